/*
 * mamba2.h: what mamba2_bind.c (params, tensors, config) and mamba2.c (forward) share. Symbols: H
 * heads of P channels, N state places, G groups, inner = H P, channels = inner + 2 G N.
 */
#ifndef HYBRID_MAMBA2_H
#define HYBRID_MAMBA2_H

#include "hybrid.h"

enum { MAMBA2_SEGMENTS = 5 }; /* z, x, B, C, dt */

typedef struct mamba2_params {
    uint32_t width_in, n_heads, head_dim, state_size, n_groups, taps;
    uint32_t in_bias, out_bias, conv_bias;
    float dt_min, dt_max;
    uint32_t scaled; /* the segments of in_proj's output are scaled */
    float scale[MAMBA2_SEGMENTS];
    uint32_t norm, gate_first; /* norm: zoo_norm_kind of the gated norm */
    float eps;
    zoo_act act;
    /* Derived. */
    uint32_t inner, channels, main_rows, in_rows;
    zoo_rowmap main_map, dt_map;
} mamba2_params;

typedef struct mamba2_weights {
    zoo_weight in, dt, out; /* [inner + channels, in], [H, in], [out, inner] */
    const float *in_bias, *dt_in_bias, *out_bias;
    const float *conv, *conv_bias; /* [channels, taps], [channels] */
    const float *dt_bias, *a_log;  /* [H] */
    const float *d, *norm;         /* [H], [inner] */
    const float *a;                /* [H] -exp(a_log) */
} mamba2_weights;

extern const zoo_bind hybrid_mamba2_binds[];
zoo_status hybrid_mamba2_prepare(const void *params, void *weights, zoo_setup *setup,
                                 zoo_error *err);
zoo_status hybrid_mamba2_check(const void *params, zoo_error *err);

#endif
