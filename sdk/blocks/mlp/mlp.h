/*
 * mlp.h: the feed-forward part of a layer, gated or plain.
 *
 *   gated: y = Wd( sub_norm( glu(gate_scale * (Wg x + bg), Wu x + bu) ) )
 *   plain: y = Wd( sub_norm( act(Wu x + bu) ) );   then y = down_scale * (y + bd)
 *
 * Tensors below the block's module (cards rename files to these):
 *   gate_proj.weight, up_proj.weight [width, in]   down_proj.weight [out, width], and .bias of each
 *   fused: gate_up_proj.weight [2 width, in], gate_up_proj.bias [2 width] in place of the first two
 *   ffn_sub_norm.weight [width]
 */
#ifndef ZOO_BLOCKS_MLP_H
#define ZOO_BLOCKS_MLP_H

#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* act(gate) * up, and its clamped relatives: gate = min(gate, limit), up = clamp(up, -limit,
 * limit); with clamp_after act(gate) is clamped in place of gate; with alpha: gate * sigmoid(alpha
 * * gate) * (up + up_shift); with soft caps c, d, whatever the rest says: c tanh(gate / c) *
 * sigmoid(gate) * d tanh(up / d). */
typedef struct zoo_glu {
    uint32_t act;   /* zoo_act; unused with alpha */
    float limit;    /* 0: no clamp */
    float alpha;    /* 0: act */
    float up_shift; /* 0 or 1 */
    uint32_t clamp_after;
    float gate_softcap, up_softcap; /* both, or 0: none */
} zoo_glu;

typedef enum zoo_fused {
    ZOO_FUSED_NONE = 0,
    ZOO_FUSED_HALVES = 1,      /* gate rows first, then up rows */
    ZOO_FUSED_INTERLEAVED = 2, /* gate row, up row, gate row, ... */
    ZOO_FUSED_HALVES_UP = 3    /* up rows first, then gate rows */
} zoo_fused;

/* Fill, leave the rest zero, call zoo_mlp_finish. [load] */
typedef struct zoo_mlp {
    uint32_t width_in;
    uint32_t width;     /* of the inner rows */
    uint32_t width_out; /* 0: width_in */
    uint32_t gated;
    uint32_t fused; /* zoo_fused; gated only */
    zoo_glu glu;    /* plain: only its act */
    uint32_t in_bias, out_bias;
    uint32_t transposed;          /* matrices are stored [in, out] */
    float gate_scale, down_scale; /* 0: 1 */
    uint32_t sub_norm;            /* zoo_norm_kind of ffn_sub_norm; 0: none */
    float sub_norm_eps;
    uint32_t round_input; /* rows that enter a matrix are rounded to 8 bits */
    /* x rows are width_in floats, then 2 width floats that are added to gate and up. Gated only. */
    uint32_t added;

    /* Derived by zoo_mlp_finish. */
    zoo_rowmap gate_map, up_map;
    struct {
        uint32_t gate, up, down, fused, gate_t, up_t, down_t, fused_t;
        uint32_t gate_bias, up_bias, fused_bias;
    } when;
} zoo_mlp;

typedef struct zoo_mlp_weights {
    zoo_weight gate, up, down;
    const float *gate_bias, *up_bias, *down_bias, *sub_norm;
} zoo_mlp_weights;

/* Sets defaults and derived fields; refuses what the block cannot compute. [load] */
zoo_status zoo_mlp_finish(zoo_mlp *params, zoo_error *err);

extern const zoo_block_ops zoo_mlp_ops; /* "mlp" */

/* For a reader. facts.c [load] */
void zoo_mlp_facts(const void *params, const zoo_facts *to);
void zoo_glu_facts(const zoo_glu *glu, const zoo_facts *to);
const char *zoo_act_name(uint32_t act);

/* The pieces, for other blocks. x [n_rows, width_in], y [n_rows, width_out], not x. [step] */
void zoo_mlp_run(zoo_ctx *ctx, const zoo_mlp *params, const zoo_mlp_weights *weights,
                 const float *x, float *y, uint32_t n_rows);
/* Scratch of one zoo_mlp_run. [load] */
size_t zoo_mlp_scratch(const zoo_mlp *params, uint32_t n_rows, uint32_t n_threads);
/* glu on n values, on the calling thread: gate becomes the result; up and tmp are overwritten. */
void zoo_glu_run(const zoo_kernels *kernels, const zoo_glu *glu, float *gate, float *up, float *tmp,
                 size_t n);

#ifdef __cplusplus
}
#endif

#endif
