/*
 * delta.h: what delta_bind.c (params, tensors, config) and delta.c (forward) share. Symbols: Hk key
 * heads of dk, Hv value heads of dv, channels = 2 Hk dk + Hv dv in the order q, k, v.
 */
#ifndef HYBRID_DELTA_H
#define HYBRID_DELTA_H

#include "hybrid.h"

/* How the projections lie in the file. */
typedef enum delta_layout {
    DELTA_GROUPED = 0,  /* in_proj_qkvz, in_proj_ba: rows of a key head side by side */
    DELTA_FUSED = 1,    /* in_proj_qkv, in_proj_z, in_proj_b, in_proj_a */
    DELTA_LOW_RANK = 2, /* q_proj, k_proj, v_proj; decay and gate by two matrices each */
    DELTA_SEPARATE = 3, /* the same with one matrix each */
    DELTA_PLAIN = 4     /* q_proj, k_proj, v_proj, a_proj, g_proj; a decay for each head */
} delta_layout;

typedef struct delta_params {
    uint32_t width_in, n_k_heads, n_v_heads, k_dim, v_dim, taps;
    uint32_t layout;        /* delta_layout */
    uint32_t channel_decay; /* a decay for each key channel; else one for each value head */
    float lower_bound;      /* log decay = lower_bound sigmoid(e^A (a + bias)); 0: -e^A softplus */
    zoo_act conv_act, gate_act;
    float eps;
    float beta_scale; /* 2: eigenvalues may be negative */
    /* Derived. */
    uint32_t k_rows, v_rows, channels, n_decays, rank;
    zoo_rowmap q_map, k_map, v_map, z_map, b_map, a_map;
    zoo_rowmap fused_q, fused_k, fused_v;
    struct {
        uint32_t grouped, fused, parts, low_rank, separate, plain, one_conv, three_convs;
        uint32_t out_proj, o_proj;
    } when;
} delta_params;

typedef struct delta_weights {
    zoo_weight q, k, v, z, b, a;
    zoo_weight a_down, a_up, z_down, z_up; /* low rank */
    zoo_weight out;
    const float *conv;                     /* [channels, taps] */
    const float *conv_q, *conv_k, *conv_v; /* its three parts, where they are stored apart */
    const float *a_log, *dt_bias, *norm;   /* [heads], [n_decays], [dv] */
    const float *factor;                   /* [n_decays]: -e^A, or e^A with a lower bound */
} delta_weights;

extern const zoo_bind hybrid_delta_binds[];
zoo_status hybrid_delta_prepare(const void *params, void *weights, zoo_setup *setup,
                                zoo_error *err);
uint32_t hybrid_delta_streams(const void *params, zoo_stream *out);
zoo_status hybrid_delta_check(const void *params, zoo_error *err);

#endif
