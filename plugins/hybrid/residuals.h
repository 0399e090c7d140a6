/*
 * residuals.h: layers whose parts read an attention over the residuals of earlier layers.
 *
 * A row of the residual holds X [hidden], the present one, then B_1, B_2, ...: what it was before
 * layer 0 and every `every`-th one from there, the layers at which a block begins. With a learned
 * query w and x^ = x / rms(x):
 *
 *   mix(w, P) = sum_j p_j x^_j,  p = softmax(w . x^_j / sqrt(hidden)),  over all B so far and P
 *
 *   layer i:  a = c( attn( N mix(w_i, X) ) )          layer 0: N X
 *             a block begins: B_next = X, P = a;      else P = X + a
 *             X = P + c( ffn( N mix(u_i, P) ) )
 *   at last:  h = mix(w, X)
 *
 * c is a short convolution (convolved.c). Layers without a window have three w and three norms, for
 * queries, keys and values. Source: the reference's modeling file of inkling2.
 *
 * Tensors of a layer: attention_input.query [3, hidden] or [hidden], mlp_input.query [hidden]; at
 * the end final_input.query [hidden].
 */
#ifndef HYBRID_RESIDUALS_H
#define HYBRID_RESIDUALS_H

#include "blocks/ops.h"
#include "hybrid.h"

typedef struct hybrid_residuals {
    uint32_t hidden;
    uint32_t flat;     /* floats of a row */
    uint32_t n_kept;   /* B that stand before the layer */
    uint32_t n_inputs; /* rows that attention reads: 1, or 3 */
    uint32_t mixes;    /* attention reads a mix: not in layer 0 */
    uint32_t begins;   /* a block begins with the layer */
} hybrid_residuals;

/* mix of rows [n_rows, flat] and last [n_rows, ...] to y [n_rows, hidden], strides in floats. */
typedef struct hybrid_residual_mix {
    const float *query; /* [hidden] */
    const float *rows;  /* X, then the n_kept B */
    const float *last;  /* P */
    float *y;
    float *scores; /* [n_rows, 2 (n_kept + 1)] scratch */
    size_t stride, last_stride;
    uint32_t hidden, n_kept;
} hybrid_residual_mix;

/* residuals_ends.c [step] */
void hybrid_residual_mix_run(zoo_ctx *ctx, const hybrid_residual_mix *mix, uint32_t n_rows);
extern const zoo_block_ops hybrid_residuals_ops, hybrid_residuals_first_ops,
    hybrid_residuals_last_ops;

#endif
