/*
 * step.h: one step over a bound plan: embed, layers, last norm, logits of the wanted rows.
 */
#ifndef ZOO_MODEL_STEP_H
#define ZOO_MODEL_STEP_H

#include "base/scratch.h"
#include "model/bound_model.h"
#include "model/trace.h"

typedef struct zoo_memo {
    const void *key;
    void *bytes;
} zoo_memo;

enum { ZOO_MEMOS_MAX = 64 };

/* Buffers of a step, made once for limits.rows_max rows. */
typedef struct zoo_step {
    zoo_ctx ctx; /* first, so that a block's ctx leads back here */
    zoo_model *model;
    zoo_scratch scratch, kept;
    zoo_memo memos[ZOO_MEMOS_MAX];
    uint32_t n_memos;
    const zoo_bound_layer *layer;       /* the one that runs */
    float *h, *h_next;                  /* [rows_max, widest stream] */
    float *normed, *scaled, *sum, *out; /* [rows_max, widest part] */
    const char *normed_name;            /* the norm whose result `normed` holds; null: none */
    const float *normed_of;             /* its input */
    uint32_t width_max;
    float *logits; /* [n, head rows] */
    size_t logits_size;
    float *last; /* [rows_max, widest part]: rows that get logits */
    zoo_trace_fn *trace;
    void *trace_arg;
} zoo_step;

zoo_status zoo_step_init(zoo_step *step, zoo_model *model, zoo_error *err);
/* Bytes that zoo_step_init takes. */
size_t zoo_step_size(const zoo_model *model);
void zoo_step_release(zoo_step *step);

/* Runs the rows of the span; rows[n_rows] of the span get logits,
 * in this order, in step->logits. */
zoo_status zoo_step_run(zoo_step *step, const zoo_span *span, const uint32_t *rows, uint32_t n_rows,
                        zoo_error *err);

#endif
