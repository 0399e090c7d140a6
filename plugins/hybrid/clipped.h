/*
 * clipped.h: attention over queries and keys of bounded length, with biases that the token makes
 * for each distance, sinks that it makes for each head, and keys and values that pass a short
 * convolution.
 *
 *   clip_c(u) = u min(1, c / (|u| + 1e-6)), each head by itself
 *   q = t clip_c(s_q Wq x_q);   k = clip_c(conv(Wk x_k));   u = conv(Wv x_v), v = u / rms(u)
 *   r_h = t clip_d(s_r (Wr x_q)_h) [rank];   b_h(n) = r_h . P[:, n] for n < extent, else 0
 *   score_j = q_h . k_j / sqrt(head_dim) + b_h(pos - j), and one more: (Ws x_q)_h, of no value
 *   y = Wo( sigmoid(Wg x_q) out )
 *
 * In windowed layers x_q, x_k and x_v are one row, t is 1, the window is the extent, and
 * conv(u) = (u + sum_i w_i u_(t-i)) / sqrt(taps + 1). In the others a row holds three, t = 1 +
 * alpha ln(max((pos + 1) / floor, 1)), and the token adds to the taps: w_i + (Wd x)_(head, i), over
 * sqrt(2 taps + 1) (dynamic_conv.c).
 *
 * Streams: those of attention, STATE "conv_k" and "conv_v" [taps - 1, rows of k, of v].
 * Source: the reference's modeling file of inkling2.
 */
#ifndef HYBRID_CLIPPED_H
#define HYBRID_CLIPPED_H

#include "relative.h"

typedef struct clipped_params {
    zoo_gqa gqa; /* first: the block builds on attention; width_in is that of one input */
    hybrid_distances distances;
    uint32_t taps, n_inputs;
    uint32_t r_rows, mix_rows; /* n_heads rank, n_kv_heads taps */
    uint32_t windowed, dynamic;
    float qk_limit, r_limit;
} clipped_params;

typedef struct clipped_weights {
    zoo_gqa_weights gqa;
    zoo_weight r, sink, mix_k, mix_v;      /* [r_rows, in], [n_heads, in], [mix_rows, in] */
    const float *conv_k, *conv_v;          /* windowed: [rows, taps]; else [taps, rows] */
    const float *scale_q, *scale_r, *bank; /* [q rows], [r_rows], [rank, extent] */
} clipped_weights;

typedef struct clipped_job {
    gqa_step step;
    const clipped_params *params;
    const clipped_weights *weights;
    float *raw_k, *raw_v; /* [n_rows, rows of k], [n_rows, rows of v] */
    float *mix_k, *mix_v; /* [n_rows, mix_rows] */
    float *r, *sinks;     /* [n_rows, r_rows], [n_rows, n_heads] */
    uint32_t length;      /* positions of the longest sequence */
    relative_worker *workers;
} clipped_job;

extern const zoo_bind hybrid_clipped_binds[];
/* Scales, clips and tempers q, k and r. clipped_rows.c [step] */
void hybrid_clipped_shape(clipped_job *job);
/* Fills the gated outputs of attention from q, the cache, r and the sinks. clipped_rows.c [step] */
void hybrid_clipped_attend(clipped_job *job);

/* y_t = (x_t + sum_i (w_i + d_(t, head, i)) x_(t-i)) * scale; its window is stream `stream`,
 * [taps - 1, channels]. dynamic_conv.c [step] */
typedef struct hybrid_dynamic_conv {
    const float *x;                /* [n_rows, channels] */
    float *y;                      /* [n_rows, channels], not x */
    const float *weight, *dynamic; /* [taps, channels], [n_rows, n_heads taps] */
    uint32_t channels, taps, n_heads, stream;
    float scale;
} hybrid_dynamic_conv;
void hybrid_dynamic_conv_run(zoo_ctx *ctx, const hybrid_dynamic_conv *conv, zoo_cache *cache,
                             const zoo_span *span);

#endif
