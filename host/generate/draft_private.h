/* draft_private.h: the state of a draft model, shared by draft_model.c and draft_layers.c. */
#ifndef ZOO_GENERATE_DRAFT_PRIVATE_H
#define ZOO_GENERATE_DRAFT_PRIVATE_H

#include "generate/draft_model.h"

struct zoo_draft_model {
    zoo_engine *engine;
    zoo_sampler *sampler;
    zoo_item *items; /* [n_items], room for seqs_max: the current step */
    zoo_row **rows;  /* [n_items] their rows */
    int32_t *last;   /* [n_items] the draft that an item runs, if it runs one */
    uint32_t n_items;
    /* Of prediction layers: */
    zoo_engine *main;  /* the model whose layers they are; null: a model of its own */
    uint32_t width;    /* of a given row */
    bool normed;       /* given rows are those behind the last norm */
    float *given;      /* [seqs_max, width] rows that items of further drafts read */
    float *queue;      /* [n_queued, width], room for rows_max: rows of prompts */
    zoo_item *reading; /* [n_reading], room for seqs_max: items over the queue */
    uint32_t n_queued, n_reading;
};

static inline uint32_t zoo_draft_known(const zoo_row *row)
{
    return row->n_prompt + row->n_out;
}

/* Opens the row's sequence if it is not open; false: there is no room. */
static inline bool zoo_draft_open_row(zoo_draft_model *m, zoo_row *row)
{
    zoo_error ignored;
    uint32_t n = row->n_prompt + row->n_new_max;
    if (!row->draft_seq.is_open && n <= zoo_engine_limits(m->engine)->context_max &&
        zoo_engine_seq_open(m->engine, zoo_draft_known(row), n, &row->draft_seq.seq, &ignored) ==
            ZOO_OK) {
        row->draft_seq.is_open = true;
    }
    return row->draft_seq.is_open;
}

/* ---- draft_layers.c ---- */

/* Makes the items of the first step: rows of the main model that were not run. */
void zoo_draft_layers_catch_up(zoo_draft_model *model, zoo_row *const *rows, uint32_t n_rows);
/* The row of the last step, counted over its items, for item `index` of the next one. */
const float *zoo_draft_layers_give(zoo_draft_model *model, uint32_t row, uint32_t index);

#endif
