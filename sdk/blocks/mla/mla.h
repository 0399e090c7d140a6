/*
 * mla.h: latent attention, dense or over rows that an indexer chooses.
 *
 *   c_q = norm(Wqa x),  [q_nope | q_pe] = Wqb c_q per head,  [c | k_pe] = Wkva x,  c = norm(c)
 *   naive:    k_h = [Wuk_h c | k_pe],  v_h = Wuv_h c,  s = scale q_h . k_h,  o_h = sum_t p_t v_h,t
 *   absorbed: u_h = Wuk_h^T q_nope_h,  s = scale (u_h . c_t + q_pe_h . k_pe_t),
 *             o_h = Wuv_h sum_t p_t c_t
 *   y = Wo concat(gate o_h)
 *
 * The block computes the absorbed form for every row: the cache holds c and the rotated k_pe, one
 * row of each per position, whatever the number of heads. Which keys a row reads depends on its
 * position and on the model alone. A block without rotated elements (rope_dim 0) has no k_pe.
 *
 * With an indexer (index.c) a row at a position of at least top_k reads only the top_k keys of
 * the highest score, gathered from the cache. A block with `follows` takes the rows that the
 * indexer block of an earlier layer chose in the same step; both name the same `choice`. With
 * `pool` an index key stands for that many tokens (pool.c): a row reads the tokens of the best
 * top_k / pool full pools, and those of the pool that is not full yet.
 *
 * Tensors below the block's module (cards rename files to these):
 *   q_a_proj.weight [q_lora, in], q_a_layernorm.weight, q_b_proj.weight [H (nope + rope), q_lora],
 *   or q_proj.weight [H (nope + rope), in]; kv_a_proj_with_mqa.weight [kv_lora + rope, in],
 *   kv_a_layernorm.weight, kv_b_proj.weight [H (nope + v), kv_lora], o_proj.weight [in, H v];
 *   k_rope_only_layernorm.weight [rope]; q_a_proj.bias, kv_a_proj_with_mqa.bias, o_proj.bias;
 *   g_proj.weight [H or H v, in]; sinks [H];
 *   indexer.wq_b.weight [Hi d, q_lora], indexer.wk.weight [d, in], indexer.k_norm.{weight,bias},
 *   indexer.weights_proj.weight [Hi, in], indexer.index_kpool_compress_gate [d, in],
 *   indexer.index_kpool_compress_ape [pool, d]; softmax_scaling.{scale,bias} [H],
 *   indexer.softmax_scaling.{scale,bias} [Hi], indexer.q_input_norm.{weight,bias} [in]; of the
 *   model: model.rotary_emb.alpha [rope / 2]
 *
 * Sources: DeepSeek-V2 (2024), DeepSeek-V3.2-Exp (2025) reports.
 */
#ifndef ZOO_BLOCKS_MLA_H
#define ZOO_BLOCKS_MLA_H

#include "blocks/rope/rope.h"
#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* sigmoid(gate) on the heads' outputs. */
typedef enum zoo_mla_gate {
    ZOO_MLA_GATE_NONE = 0,
    ZOO_MLA_GATE_HEAD = 1,    /* g_proj [H, in] */
    ZOO_MLA_GATE_ELEMENT = 2, /* g_proj [H v, in] */
    ZOO_MLA_GATE_IN_Q = 3     /* v more rows after each head of q_b */
} zoo_mla_gate;

typedef struct zoo_mla_index {
    uint32_t n_heads, dim; /* Hi, d; 0: no indexer */
    uint32_t top_k;
    uint32_t interleaved; /* rotary pairs (2i, 2i + 1) */
    uint32_t rope_last;   /* the last rope_dim elements of a vector are rotated, else the first */
    float norm_eps;       /* of k_norm; 0: 1e-6 */
    uint32_t follows;     /* no indexer of its own: the choice of an earlier layer */
    const void *choice;   /* key of the memo that holds the choice of a step; any address */
    uint32_t pool;        /* tokens of an index key, divides top_k; 0: no pools */
    uint32_t from_input;  /* q_i = Wi layer_norm(x), not of the query latent */
} zoo_mla_index;

/* Fill, leave the rest zero, call zoo_mla_finish. [load] */
typedef struct zoo_mla {
    uint32_t width_in, width_out; /* width_out 0: width_in */
    uint32_t n_heads;
    uint32_t q_lora; /* 0: q_proj */
    uint32_t kv_lora, nope, rope_dim, v_dim;
    uint32_t bias;                 /* of q_a, kv_a and o */
    uint32_t q_both;               /* q_b reads [norm(a) | a] of a = q_a x */
    uint32_t gate;                 /* zoo_mla_gate */
    float norm_eps;                /* of q_a_layernorm and kv_a_layernorm */
    float scale;                   /* on scores; 0: (nope + rope_dim)^-1/2 */
    float q_scale, latent_scale;   /* on q and on the normed latent; 0: 1 */
    float temp_scale, temp_period; /* q *= 1 + temp_scale ln(1 + floor(pos / period)) */
    uint32_t sinks;                /* a logit of each head in the denominator of its softmax */
    uint32_t rope_norm;            /* k_pe is normed before it is rotated */
    uint32_t window;               /* rows that a query sees, its own included; 0: all */
    uint32_t log_scaling;          /* q_h *= s_h ln(pos + 1) + b_h, learned; index queries too */
    uint32_t learned_rope;         /* frequencies of the rotation are multiplied by e^alpha */
    uint32_t shares;               /* reads the streams of an earlier part, has no kv_a */
    const zoo_rope *rope;          /* null: no rotation */
    zoo_mla_index index;

    /* Derived by zoo_mla_finish. */
    uint32_t q_head, q_rows, q_in;    /* floats of a head of q, rows of q_b, its inputs */
    uint32_t kv_rows;                 /* kv_lora + rope_dim */
    uint32_t o_cols, gate_rows;       /* H v; rows of g_proj */
    uint32_t index_q_rows, index_row; /* Hi d; d */
    uint32_t index_rotated;           /* first element of an index vector that is rotated */
    uint32_t index_gate_row;          /* d with pools */
    uint32_t index_q_in, rope_pairs;  /* inputs of index queries; learned frequencies */
    uint32_t chosen_max;              /* rows that a row reads at most, if it does not read all */
    uint32_t index_stream, open_stream;
    zoo_rowmap k_map, v_map;
    zoo_rope index_rope;
    struct {
        uint32_t q, q_a, q_a_bias, gate, index, pool, rope_norm, kv_a, kv_a_bias;
        uint32_t index_input, index_scaling;
    } when;
} zoo_mla;

typedef struct zoo_mla_weights {
    zoo_weight q_a, q, kv_a, o, gate;
    const zoo_weight *k_up; /* [H] of [kv_lora, nope]: Wuk_h^T */
    const zoo_weight *v_up; /* [H] of [v, kv_lora]: Wuv_h */
    const float *q_a_bias, *kv_a_bias, *o_bias, *q_norm, *kv_norm, *rope_norm, *sinks;
    zoo_weight index_q, index_k, index_w, index_gate;
    const float *index_norm, *index_norm_bias, *index_place; /* index_place [pool, d] */
    const float *scaling, *scaling_bias, *index_scaling, *index_scaling_bias;
    const float *index_input, *index_input_bias, *alpha;
    const zoo_rope *rope; /* with learned frequencies; else null */
} zoo_mla_weights;

/* Sets defaults and derived fields; refuses what the block cannot compute. [load] */
zoo_status zoo_mla_finish(zoo_mla *params, zoo_error *err);

extern const zoo_block_ops zoo_mla_ops; /* "mla" */

#ifdef __cplusplus
}
#endif

#endif
