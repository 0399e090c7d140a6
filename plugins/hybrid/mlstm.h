/* mlstm.h: what mlstm_bind.c (params, tensors, config) and mlstm.c (forward) share. */
#ifndef HYBRID_MLSTM_H
#define HYBRID_MLSTM_H

#include "hybrid.h"

typedef struct mlstm_params {
    uint32_t width_in, n_heads, k_dim, v_dim;
    uint32_t qk_rows, v_rows;
    uint32_t has_bias; /* use_bias: every projection and the norm have one */
    float cap, eps, norm_eps;
} mlstm_params;

typedef struct mlstm_weights {
    zoo_weight q, k, v, o, i, f, out;
    const float *i_bias, *f_bias;  /* [H] */
    const float *norm, *norm_bias; /* [v_rows] */
    const float *q_bias, *k_bias;  /* [qk_rows] or null, as those below */
    const float *v_bias, *o_bias;  /* [v_rows] */
    const float *out_bias;         /* [width_in] */
} mlstm_weights;

extern const zoo_bind hybrid_mlstm_binds[];

#endif
