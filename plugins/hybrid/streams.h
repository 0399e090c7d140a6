/*
 * streams.h: several residual streams with a gate for each element around every block.
 *
 * A row holds n streams X_1 .. X_n of `hidden` floats. Around a block f:
 *
 *   N_i = X_i / rms(X_i) (1 + w_i)                  each stream by itself
 *   g = sigmoid( up( silu( down(N) / n ) ) )        [n, hidden], through `rank` values
 *   x = mean_i g_i N_i                              what the block reads
 *   X_k = X_k + 2 sigmoid( (inject N)_k / n ) f(x)
 *
 * At the end of the model h = mean_i g_i N_i. Layers that are told to add what ngram.c makes of the
 * tokens to the streams before the first block.
 *
 * Tensors below the module of each place: hc_norm.weight [n hidden], input_mix_weight_down.weight
 * [rank, n hidden], input_mix_weight_up.weight [n hidden, rank], block_inject_weight.weight
 * [n, n hidden].
 */
#ifndef HYBRID_STREAMS_H
#define HYBRID_STREAMS_H

#include "blocks/ops.h"
#include "hybrid.h"

enum { HYBRID_STREAMS_MAX = 64 };

typedef struct hybrid_streams {
    uint32_t hidden, n, rank;
    float eps;
    uint32_t flat;   /* n hidden */
    uint32_t ngrams; /* part 0 is added to the streams first */
} hybrid_streams;

/* Weights of one place. */
typedef struct hybrid_mix {
    const float *norm; /* [flat] */
    zoo_weight down, up, inject;
} hybrid_mix;

/* Scratch of one place. */
typedef struct hybrid_mix_rows {
    float *normed; /* [n_rows, flat] */
    float *gate;   /* [n_rows, flat] */
    float *low;    /* [n_rows, rank] */
    float *inject; /* [n_rows, n] */
} hybrid_mix_rows;

hybrid_mix_rows hybrid_mix_take(const hybrid_streams *p, uint32_t n_rows,
                                zoo_scratch_layout *layout);
/* Bytes of scratch of the matrices. [load] */
size_t hybrid_mix_scratch(const hybrid_streams *p, uint32_t n_rows);
/* x [n_rows, hidden] from streams [n_rows, flat]; rows->inject is the factor of each stream if the
 * place has that matrix. [step] */
void hybrid_mix_run(zoo_ctx *ctx, const hybrid_streams *p, const hybrid_mix *w,
                    const hybrid_mix_rows *rows, const float *streams, float *x, uint32_t n_rows);
/* y_g = x_g / rms(x_g) (1 + w_g) for each of n parts of a row [n hidden]; y may be x. [step] */
void hybrid_group_norm(zoo_ctx *ctx, const hybrid_streams *p, const float *weight, const float *x,
                       float *y, uint32_t n_rows);

extern const zoo_block_ops hybrid_streams_ops; /* a layer */
extern const zoo_block_ops hybrid_gather_ops;  /* streams become one row */
hybrid_facts_fn hybrid_streams_facts, hybrid_gather_facts;

#endif
