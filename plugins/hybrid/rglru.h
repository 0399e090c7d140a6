/* rglru.h: what rglru_bind.c (params, tensors, config) and rglru.c (forward) share. */
#ifndef HYBRID_RGLRU_H
#define HYBRID_RGLRU_H

#include "hybrid.h"

typedef struct rglru_params {
    uint32_t width_in, width, n_heads, block, taps; /* block: channels of a head */
    zoo_act act;
} rglru_params;

typedef struct rglru_weights {
    zoo_weight x, y, out;
    const float *x_bias, *y_bias, *out_bias;
    const zoo_weight *r, *i; /* [heads], each [block, block] */
    const float *r_bias, *i_bias;
    const float *conv, *conv_bias; /* [width, taps], [width] */
    const float *param;            /* [width] */
    const float *decay;            /* [width] -8 softplus(param) */
} rglru_weights;

extern const zoo_bind hybrid_rglru_binds[];
zoo_status hybrid_rglru_prepare(const void *params, void *weights, zoo_setup *setup,
                                zoo_error *err);

#endif
