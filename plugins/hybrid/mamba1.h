/*
 * mamba1.h: what mamba1_bind.c (params, tensors, config) and mamba1.c (forward) share. Symbols:
 * inner channels in `heads` equal parts (one in most releases), N state places, R the rank of the
 * step sizes.
 */
#ifndef HYBRID_MAMBA1_H
#define HYBRID_MAMBA1_H

#include "hybrid.h"

typedef struct mamba1_params {
    uint32_t width_in, inner, heads, state_size, rank, taps;
    uint32_t in_bias, out_bias, conv_bias;
    uint32_t norm;        /* zoo_norm_kind of dt, B and C */
    uint32_t norm_weight; /* with a weight each */
    uint32_t interleaved; /* rows of in_proj: state, gate, state, ...; matrices of heads stacked */
    float norm_eps;
    zoo_act act;
    /* Derived. */
    uint32_t in_rows, x_rows, head_dim;
    zoo_rowmap u_map, z_map; /* rows of in_proj: of the state, of the gate */
    struct {
        uint32_t one, many; /* plain matrices, or stacked ones of the heads */
    } when;
} mamba1_params;

typedef struct mamba1_weights {
    zoo_weight u, z, out; /* [inner, in], [inner, in], [out, inner] */
    const float *u_bias, *z_bias, *out_bias;
    const zoo_weight *x, *dt;      /* [heads]: [R + 2 N, head_dim], [head_dim, R] */
    zoo_weight x_one, dt_one;      /* the same where there is one head */
    const float *dt_bias;          /* [inner] */
    const float *conv, *conv_bias; /* [inner, taps], [inner] */
    const float *a_log, *d;        /* [inner, N], [inner] */
    const float *dt_norm, *b_norm, *c_norm;
    const float *a; /* [inner, N] -exp(a_log) */
} mamba1_weights;

extern const zoo_bind hybrid_mamba1_binds[];
zoo_status hybrid_mamba1_prepare(const void *params, void *weights, zoo_setup *setup,
                                 zoo_error *err);
zoo_status hybrid_mamba1_check(const void *params, zoo_error *err);

#endif
