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
    size_t n; /* of them */
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
    const float *given; /* [n_rows, plan.given_width] of the step that begins; null: zeros */
    float *logits;      /* [n, head rows] */
    size_t logits_size;
    float *last; /* [rows_max, widest part]: rows that get logits */
    zoo_trace_fn *trace;
    void *trace_arg;
} zoo_step;

zoo_status zoo_step_init(zoo_step *step, zoo_model *model, zoo_error *err);
/* Bytes that zoo_step_init takes. */
size_t zoo_step_size(const zoo_model *model);
void zoo_step_release(zoo_step *step);

/*
 * The three ways of a step: enter: embedding and prologue; layers: those of this rank, over step->h
 * [n_rows, stream width]; leave: epilogue, norm and head, rows [n_rows] of the span get logits, in
 * this order, in step->logits. A rank that has not the whole way begins with zoo_step_clear, puts
 * rows into step->h and, with the key that blocks know them by, what the blocks share.
 */
void zoo_step_clear(zoo_step *step);
void *zoo_step_put(zoo_step *step, const void *key, size_t n);
zoo_status zoo_step_enter(zoo_step *step, const zoo_span *span, zoo_error *err);
zoo_status zoo_step_layers(zoo_step *step, const zoo_span *span, zoo_error *err);
zoo_status zoo_step_leave(zoo_step *step, const zoo_span *span, const uint32_t *rows,
                          uint32_t n_rows, zoo_error *err);
/* Copies rows first .. first + n - 1 of the last step, as they are behind the layers or, with
 * normed, behind the last norm, to out [n, hidden_size]. Only without epilogue. */
void zoo_step_rows(zoo_step *step, uint32_t first, uint32_t n, bool normed, float *out);
/* All of it. */
zoo_status zoo_step_run(zoo_step *step, const zoo_span *span, const uint32_t *rows, uint32_t n_rows,
                        zoo_error *err);

#endif
