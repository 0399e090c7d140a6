/*
 * relative.h: attention whose scores have a bias that the token makes for each distance, over keys
 * and values that pass a short convolution.
 *
 *   q = norm(Wq x);   k = norm(c(Wk x));   v = c(Wv x);   c(u) = u + conv(u), depthwise over `taps`
 *   r_h = (Wr x)_h [d_rel];   b_h(n) = r_h . P[:, n] for n < extent, else 0
 *   s_j = t (q_h . k_j / head_dim + b_h(pos - j)),  t = 1 + alpha ln(max((pos + 1) / floor, 1))
 *
 * t is 1 where there is no floor. Windowed layers have sizes of their own, the window for their
 * extent, and no t.
 *
 * Streams: those of attention, STATE "conv_k" and "conv_v" [taps - 1, rows of k, of v].
 */
#ifndef HYBRID_RELATIVE_H
#define HYBRID_RELATIVE_H

#include "blocks/gqa/impl.h"
#include "hybrid.h"

/* Biases by distance, and t. */
typedef struct hybrid_distances {
    uint32_t rank, extent;
    float log_floor, log_alpha; /* log_floor 0: t is 1 */
} hybrid_distances;

typedef struct relative_params {
    zoo_gqa gqa; /* first: the block builds on attention */
    hybrid_distances distances;
    uint32_t taps;
    uint32_t r_rows; /* n_heads rank */
} relative_params;

typedef struct relative_weights {
    zoo_gqa_weights gqa;
    zoo_weight r;                        /* [r_rows, in] */
    const float *conv_k, *conv_v, *bank; /* [k rows, taps], [v rows, taps], [rank, extent] */
} relative_weights;

typedef struct relative_worker {
    float *bias;    /* [group, length] by key */
    uint32_t *keys; /* [length] */
    gqa_chosen chosen;
} relative_worker;

typedef struct relative_job {
    gqa_step step;
    const relative_params *params;
    const relative_weights *weights;
    float *raw_k, *raw_v; /* [n_rows, rows of k], [n_rows, rows of v] */
    float *r;             /* [n_rows, r_rows] */
    uint32_t length;      /* positions of the longest sequence */
    relative_worker *workers;
} relative_job;

/* t at a position; r . P[:, pos - key] for keys first .. pos, by key. relative_rows.c [step] */
float hybrid_temperature(const hybrid_distances *d, uint32_t pos);
void hybrid_distance_bias(const hybrid_distances *d, const float *bank, const float *r,
                          uint32_t first, uint32_t pos, float *out);
/* A number of the layers with a window (swa_ before the key), or of the others. relative.c */
uint32_t hybrid_windowed_size(const zoo_config *c, bool slides, const char *key, uint32_t fallback);
/* Fills the outputs of attention from q, the cache and r. relative_rows.c [step] */
void hybrid_relative_attend(relative_job *job);

#endif
