/*
 * cca.h: compressed convolutional attention: queries and keys pass two short convolutions, half of
 * each value comes from the token before.
 *
 *   [q | k] = [Wq x | Wk x];  u = depthwise(q | k) over `taps` tokens;  c = grouped(u) over
 *   `group_taps` tokens, a group for each head;  r_h = (q_h + k_g) / 2,  r_g = mean of its r_h
 *   q_h = sqrt(d) (c_h + r_h) / |c_h + r_h|;   k_g = temp_g sqrt(d) (c_g + r_g) / |c_g + r_g|
 *   v = [Wv x_t | Wd x_(t - 1)];   then rotation and attention as in blocks/gqa/gqa.h
 *
 * Streams: those of attention, STATE "conv" [taps + group_taps - 2, channels] raw rows of q and k,
 * STATE "late" [half] the last Wd x. Source: Compressed Convolutional Attention (2025).
 */
#ifndef HYBRID_CCA_H
#define HYBRID_CCA_H

#include "blocks/gqa/impl.h"
#include "hybrid.h"

typedef struct cca_params {
    zoo_gqa gqa; /* first: the block builds on attention */
    uint32_t taps, group_taps, bias;
    uint32_t channels, half; /* rows of q and k; half of those of v */
    uint32_t group_cols;     /* head_dim group_taps */
    uint32_t behind;         /* rows before a row that its convolutions read */
} cca_params;

typedef struct cca_weights {
    zoo_gqa_weights gqa;
    zoo_weight now, late;                /* [half, in] */
    const float *now_bias, *late_bias;   /* [half] */
    const float *depth, *depth_bias;     /* [channels, taps] */
    const float *grouped, *grouped_bias; /* [channels, group_cols] */
    const float *temp;                   /* [n_kv_heads] */
} cca_weights;

typedef struct cca_job {
    gqa_step step;
    const cca_params *params;
    const cca_weights *weights;
    float *raw;    /* [n_rows, channels] */
    float *late;   /* [n_rows, half] */
    float *window; /* [n_threads, group_cols] */
} cca_job;

/* Fills q, k and v of the step from raw and late, and carries the states on. cca_rows.c [step] */
void hybrid_cca_rows(cca_job *job);

#endif
