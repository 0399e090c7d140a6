/*
 * draft_model.h: speculative decoding with a smaller draft model.
 *
 *   tokens of the row that the draft model has not run -> step -> a token sampled with the row's
 *   random number for that position -> step -> ... ; all rows in the same steps
 *
 * Each row has a sequence in the draft model's engine, from its first draft to its end. Rejected
 * drafts are rewound before the next ones are made. A row for which that engine has no room gets no
 * drafts from the model.
 *
 * Penalties, masks and grammars are not applied to drafts: a draft that they forbid is rejected.
 *
 * Memory: one sampler; the caches belong to the engine. Not thread-safe.
 */
#ifndef ZOO_GENERATE_DRAFT_MODEL_H
#define ZOO_GENERATE_DRAFT_MODEL_H

#include "generate/row.h"
#include "generate/step_costs.h"

typedef struct zoo_draft_model zoo_draft_model;

/* Whether the engine can run a draft model, which needs a cache that can be rewound.
 * ZOO_E_USAGE. */
zoo_status zoo_draft_model_check(const zoo_engine *engine, const char *name, zoo_error *err);

/* The engine is referenced, not owned. ZOO_E_MEMORY. [load] */
zoo_status zoo_draft_model_new(zoo_engine *engine, zoo_draft_model **out, zoo_error *err);
void zoo_draft_model_free(zoo_draft_model *model);

/*
 * Adds up to n drafts to each of rows [n_rows], which have none yet; fewer near a row's limit. A
 * row of which the model has still to run tokens that do not fit the step gets none. Errors are
 * those of the draft model's engine.
 */
zoo_status zoo_draft_model_propose(zoo_draft_model *model, zoo_row *const *rows, uint32_t n_rows,
                                   uint32_t n, zoo_error *err);
/* Closes the row's sequence in the draft model; model may be null. */
void zoo_draft_model_close_row(zoo_draft_model *model, zoo_row *row);

#endif
