/*
 * gqa.h: attention with grouped heads: the ordinary softmax attention of nearly every model, as one
 * block with every option that releases have used.
 *
 * For each row, with q = Wq x + bq and so on:
 *   q, k:  norm (before_rope) -> clip -> rotate -> norm (after_rope) -> q_scale or k_scale
 *          -> temperature
 *   v:     clip -> v_norm -> v_scale;   k_is_v: v is the raw output of k_proj
 *   out_h = sum_j softmax_j(scale q_h . k_j [softcap] [slope] [sink]) v_j   over the visible keys j
 *   y = Wo( sub_norm( head_norm(out_h) * act(gate) ) ) + bo
 *
 * Streams: 0 "k" [n_kv_heads * head_dim], 1 "v" [n_kv_heads * v_dim]: RING of `window` (or `chunk`)
 * rows, else ROWS. A part with `shared` (zoo_part.cache_of set) owns none and computes q only.
 *
 * Tensors below the block's module (cards rename files to these):
 *   q_proj.weight [n_heads D, in]   k_proj.weight [n_kv_heads D, in]
 *   v_proj.weight [n_kv_heads Dv, in]   o_proj.weight [out, n_heads Dv], and .bias of each
 *   fused: qkv_proj.weight, qkv_proj.bias in place of the first three, rows by q_map, k_map, v_map
 *   q_norm.weight, k_norm.weight (.bias): [D], [heads, D] or [heads D], by qk_norm.span; heads' own
 *       vectors may also stand as q_norm.norms.<head>.weight
 *   sinks [n_heads]   gate_proj.weight [n_heads or n_heads Dv, in]   gate_bias [n_heads]
 *   attn_sub_norm.weight [n_heads Dv]
 */
#ifndef ZOO_BLOCKS_GQA_H
#define ZOO_BLOCKS_GQA_H

#include "blocks/rope/rope.h"
#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zoo_qk_span {
    ZOO_QK_HEAD = 0, /* each head by itself, one weight [D] for all */
    ZOO_QK_OWN = 1,  /* each head by itself, weights [heads, D] */
    ZOO_QK_FULL = 2  /* all heads at once, weight [heads D] */
} zoo_qk_span;

typedef struct zoo_qk_norm {
    uint32_t kind; /* zoo_norm_kind; 0: none */
    uint32_t span; /* zoo_qk_span */
    uint32_t after_rope;
    uint32_t has_weight, has_bias;
    float eps;
} zoo_qk_norm;

typedef enum zoo_qkv_layout {
    ZOO_QKV_SPLIT = 0, /* q_proj, k_proj, v_proj */
    ZOO_QKV_FUSED = 1, /* qkv_proj: all q rows, all k rows, all v rows; or rows by the maps given */
    ZOO_QKV_GROUPED = 2, /* qkv_proj: for each key-value head its query heads, its key, its value */
    ZOO_QKV_QUARTERS = 3 /* qkv_proj: four times a quarter of the q rows, v rows, k rows */
} zoo_qkv_layout;

typedef enum zoo_gate_kind {
    ZOO_GATE_NONE = 0,
    ZOO_GATE_HEAD = 1,    /* gate_proj [n_heads, in]: one value a head */
    ZOO_GATE_ELEMENT = 2, /* gate_proj [n_heads Dv, in] */
    ZOO_GATE_IN_Q = 3,    /* q_proj [2 n_heads D, in]: per head D query, then D gate rows; D = Dv */
    ZOO_GATE_FUSED = 4    /* qkv_proj begins with n_heads Dv gate rows; layout FUSED without maps */
} zoo_gate_kind;

/* Sizes, reach, and how the tensors are stored. */
typedef struct zoo_gqa_shape {
    uint32_t width_in;  /* floats of x */
    uint32_t width_out; /* floats of y; 0: width_in */
    uint32_t n_heads;
    uint32_t n_kv_heads; /* 0: n_heads; divides n_heads */
    uint32_t head_dim;
    uint32_t v_dim;  /* 0: head_dim */
    uint32_t window; /* keys that a query sees, its own included; 0: all */
    uint32_t chunk;  /* keys from position / chunk * chunk on; 0: no chunks. Not with window */
    uint32_t q_bias, k_bias, v_bias, o_bias;
    uint32_t layout;                /* zoo_qkv_layout */
    zoo_rowmap q_map, k_map, v_map; /* FUSED; all zero: rows q, then k, then v */
    uint32_t transposed;            /* all matrices are stored [in, out] */
} zoo_gqa_shape;

/* Operations on queries, keys, values and scores; all zero is ordinary attention. */
typedef struct zoo_gqa_options {
    float scale;          /* on q . k; 0: head_dim^-0.5 */
    float softcap;        /* 0: none */
    const zoo_rope *rope; /* null: no rotation */
    zoo_qk_norm qk_norm;
    uint32_t v_norm; /* zoo_norm_kind of values, per head, without weight; 0: none */
    float v_norm_eps;
    uint32_t k_is_v; /* no v_proj: values come from the raw keys; head_dim == v_dim */
    float q_scale, k_scale, v_scale; /* 0: 1 */
    float clip;                      /* clamp of q, k, v; 0: none */
    /* q *= 1 + temp_scale * ln(1 + floor((position + temp_shift) / temp_period)); 0: none */
    float temp_scale, temp_period, temp_shift;
    /* q *= (1 + (position + temp_shift) / temp_period) ^ temp_power; 0: none */
    float temp_power;

    uint32_t sinks;         /* a learned logit for each query head */
    const float *slopes;    /* [n_heads] zoo_alibi_slopes, or null */
    uint32_t slopes_scaled; /* the bias is added before `scale`: (q . k + bias) * scale */
    uint32_t slopes_bf16;   /* slopes and products rounded to bf16 */

    uint32_t gate;      /* zoo_gate_kind */
    uint32_t gate_bias; /* gate_bias [n_heads], one for all of a head; with ZOO_GATE_ELEMENT */
    uint32_t gate_act;  /* zoo_act; 0: ZOO_ACT_SIGMOID */
    uint32_t sub_norm;  /* zoo_norm_kind of attn_sub_norm before o_proj; 0: none */
    float sub_norm_eps;
    uint32_t head_norm; /* zoo_norm_kind of each head's output, without weight; 0: none */
    float head_norm_eps;
    uint32_t round_input; /* rows that enter a matrix are rounded to 8 bits */
    uint32_t shared;      /* reads the streams of another part: q only */
    /* x rows are width_in floats, then q_rows + k_rows + v_rows floats that are added to q, k, v
     * before their norms (what low-rank adapters of a shared block give). */
    uint32_t added;
} zoo_gqa_options;

/* Derived from shape and options: sizes of the bind rows, and which of them exist. */
typedef struct zoo_gqa_derived {
    uint32_t q_rows, k_rows, v_rows, gate_rows, o_cols, one;
    uint32_t q_norm_rows, k_norm_rows, norm_cols;
    uint32_t k_width; /* head_dim, and an element for each rounded bias of a key */
    uint32_t has_k, has_v;
    struct {
        uint32_t q, k, v, qkv_q, qkv_k, qkv_v, o;               /* plain */
        uint32_t q_t, k_t, v_t, qkv_q_t, qkv_k_t, qkv_v_t, o_t; /* stored transposed */
        uint32_t bq, bk, bv, fbq, fbk, fbv;
        uint32_t gate_w, gate_in_q, gate_in_q_bias, gate_fused;
        uint32_t nq, nk, nq_own, nk_own, nbq, nbk;
    } when;
    zoo_rowmap gate_map;
} zoo_gqa_derived;

/*
 * Fill what the model has, leave the rest zero, then call zoo_gqa_finish, which sets the defaults
 * and `derived`. [load]
 */
typedef struct zoo_gqa {
    zoo_gqa_shape shape;
    zoo_gqa_options options;
    zoo_gqa_derived derived;
} zoo_gqa;

typedef struct zoo_gqa_weights {
    zoo_weight q, k, v, o, gate;
    const float *q_bias, *k_bias, *v_bias, *o_bias, *gate_bias;
    const float *q_norm, *k_norm, *q_norm_bias, *k_norm_bias;
    const float *sinks, *sub_norm;
    const float *gate_head_bias;
} zoo_gqa_weights;

/* Sets defaults and derived fields; refuses what the block cannot compute. [load] */
zoo_status zoo_gqa_finish(zoo_gqa *params, zoo_error *err);

extern const zoo_block_ops zoo_gqa_ops; /* "gqa" */

#ifdef __cplusplus
}
#endif

#endif
