/*
 * draft_model.h: speculative decoding with a smaller draft model, or with the prediction layer
 * (multi-token prediction) that the checkpoint has itself.
 *
 *   tokens of the row that the draft model has not run -> step -> a token sampled with the row's
 *   random number for that position -> step -> ... ; all rows in the same steps
 *
 * Each row has a sequence in the draft model's engine, from its first draft to its end. Rejected
 * drafts are rewound before the next ones are made. A row for which that engine has no room gets no
 * drafts from the model.
 *
 * A prediction layer reads rows of the main model, each with the token that follows it, as
 * zoo_draft_layers_follow passes them; for a further draft it reads its own last row. It shares
 * embedding and head with the main model.
 *
 * Penalties, masks and grammars are not applied to drafts: a draft that they forbid is rejected.
 *
 * Memory: one sampler, and of prediction layers 32 rows for each sequence; the caches belong to the
 * engine. Not thread-safe.
 */
#ifndef ZOO_GENERATE_DRAFT_MODEL_H
#define ZOO_GENERATE_DRAFT_MODEL_H

#include "generate/row.h"
#include "generate/step_costs.h"

typedef struct zoo_draft_model zoo_draft_model;

/* Whether the engine can run a draft model, which needs a cache that can be rewound.
 * ZOO_E_USAGE. */
zoo_status zoo_draft_model_check(const zoo_engine *engine, const char *name, zoo_error *err);

/* The engines are referenced, not owned. main: the model that is drafted for; engine: a draft
 * model, or main's prediction layer (zoo_plan.given_width). ZOO_E_MEMORY. [load] */
zoo_status zoo_draft_model_new(zoo_engine *engine, zoo_engine *main, zoo_draft_model **out,
                               zoo_error *err);
void zoo_draft_model_free(zoo_draft_model *model);

/*
 * Adds up to n drafts to each of rows [n_rows], which have none yet; fewer near a row's limit. A
 * row of which the model has still to run tokens that do not fit the step gets none. Errors are
 * those of the draft model's engine.
 */
zoo_status zoo_draft_model_propose(zoo_draft_model *model, zoo_row *const *rows, uint32_t n_rows,
                                   uint32_t n, zoo_error *err);
/* Whether the next drafts of the row have much to read first, which makes them slower. */
bool zoo_draft_model_is_behind(const zoo_draft_model *model, const zoo_row *row);
/* Closes the row's sequence in the draft model; model may be null. */
void zoo_draft_model_close_row(zoo_draft_model *model, zoo_row *row);

/* ---- Prediction layers (draft_layers.c); without effect on a draft model. ---- */

/* Rows that the main model's last step computed for a row. */
typedef struct zoo_draft_rows {
    uint32_t at;  /* the first one, counted over the items of the step */
    uint32_t pos; /* its position */
    uint32_t n;
    bool pays; /* drafts pay at present: the layer reads them all */
} zoo_draft_rows;

/* Opens the prediction layer of the model in the folder; the engine needs the model's head next
 * (zoo_engine_lend_head). ZOO_E_USAGE: the model has none that can draft. [load] */
zoo_status zoo_draft_layers_open(const char *folder, const zoo_engine_options *options,
                                 zoo_engine **out, zoo_error *err);
/* Takes the rows that belong to the row's tokens as they are now; before its sequence is rewound
 * and before main's next step. Errors are those of the layer's engine. */
zoo_status zoo_draft_layers_follow(zoo_draft_model *model, zoo_row *row, const zoo_draft_rows *rows,
                                   zoo_error *err);
/* Runs the rows that wait to be read; once after all zoo_draft_layers_follow of a step. */
zoo_status zoo_draft_layers_read(zoo_draft_model *model, zoo_error *err);
/* Bytes that rows take besides the engine's. */
size_t zoo_draft_layers_bytes(const zoo_engine *layers, uint32_t n_rows);

#endif
