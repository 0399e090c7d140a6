/*
 * draft_model.h: what a smaller model says next, for rows of a larger one (drafts.h).
 *
 *   the row's tokens that the draft model has not read -> its step -> a token drawn with the row's
 *   number for that position -> its step -> ... all rows together
 *
 * Each row has a sequence of its own in the draft model's engine, from its first proposal to its
 * end. What was read there and did not come is taken back before the next proposal. A row for which
 * there is no room has no drafts of the model.
 *
 * Penalties, masks and grammars are left out: what they forbid is not the sample, and so not kept.
 *
 * Memory: one sampler; the caches are the engine's. Not thread-safe.
 */
#ifndef ZOO_GENERATE_DRAFT_MODEL_H
#define ZOO_GENERATE_DRAFT_MODEL_H

#include "generate/row.h"
#include "generate/step_costs.h"

typedef struct zoo_draft_model zoo_draft_model;

/* Whether the engine's model can take back what it has read; if not, err says why. */
zoo_status zoo_draft_model_judge(const zoo_engine *engine, const char *name, zoo_error *err);

/* The engine is kept by reference. ZOO_E_MEMORY. [load] */
zoo_status zoo_draft_model_new(zoo_engine *engine, zoo_draft_model **out, zoo_error *err);
void zoo_draft_model_free(zoo_draft_model *model);

/*
 * Adds up to n drafts to the proposals of rows [n_rows], which have none; each row counts for as
 * many as it has room for. A row whose tokens the model has yet to read may get none now. An error
 * is the engine's.
 */
zoo_status zoo_draft_model_propose(zoo_draft_model *model, zoo_row *const *rows, uint32_t n_rows,
                                   uint32_t n, zoo_error *err);
/* Gives up what the row has in the draft model; null: nothing. */
void zoo_draft_model_leave(zoo_draft_model *model, zoo_row *row);

#endif
