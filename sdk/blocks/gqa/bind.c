/*
 * bind.c: the tensors of attention as a bind table. Which rows exist stands in zoo_gqa.when,
 * set by params.c.
 */
#include "blocks/gqa/impl.h"
#include "blocks/rows.h"

#define W zoo_gqa_weights
#define P zoo_gqa

#define QKV      "qkv_proj.weight"
#define QKV_BIAS "qkv_proj.bias"
#define OWN(f, name_, heads_, when_)                                                               \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .flags = ZOO_BIND_OR_NEXT, .field = ZOO_AT(W, f),  \
        .rows = AT(heads_), .cols = AT(head_dim), .experts = NONE, .map = NONE, .when = when_      \
    }

/* clang-format off */
const zoo_bind zoo_gqa_binds[] = {
    MATRIX(q, "q_proj.weight", 0, q_rows, width_in, AT(q_map), AT(when.q)),
    MATRIX(k, "k_proj.weight", 0, k_rows, width_in, NONE, AT(when.k)),
    MATRIX(v, "v_proj.weight", 0, v_rows, width_in, NONE, AT(when.v)),
    MATRIX(q, QKV, 0, q_rows, width_in, AT(q_map), AT(when.qkv_q)),
    MATRIX(k, QKV, 0, k_rows, width_in, AT(k_map), AT(when.qkv_k)),
    MATRIX(v, QKV, 0, v_rows, width_in, AT(v_map), AT(when.qkv_v)),
    MATRIX(o, "o_proj.weight", 0, width_out, o_cols, NONE, AT(when.o)),
    MATRIX(q, "q_proj.weight", T, q_rows, width_in, AT(q_map), AT(when.q_t)),
    MATRIX(k, "k_proj.weight", T, k_rows, width_in, NONE, AT(when.k_t)),
    MATRIX(v, "v_proj.weight", T, v_rows, width_in, NONE, AT(when.v_t)),
    MATRIX(q, QKV, T, q_rows, width_in, AT(q_map), AT(when.qkv_q_t)),
    MATRIX(k, QKV, T, k_rows, width_in, AT(k_map), AT(when.qkv_k_t)),
    MATRIX(v, QKV, T, v_rows, width_in, AT(v_map), AT(when.qkv_v_t)),
    MATRIX(o, "o_proj.weight", T, width_out, o_cols, NONE, AT(when.o_t)),
    MATRIX(gate, "gate_proj.weight", 0, gate_rows, width_in, NONE, AT(when.gate_w)),
    MATRIX(gate, "q_proj.weight", 0, gate_rows, width_in, AT(gate_map), AT(when.gate_in_q)),
    VECTOR(q_bias, "q_proj.bias", q_rows, AT(q_map), AT(when.bq)),
    VECTOR(gate_bias, "q_proj.bias", gate_rows, AT(gate_map), AT(when.gate_in_q_bias)),
    VECTOR(k_bias, "k_proj.bias", k_rows, NONE, AT(when.bk)),
    VECTOR(v_bias, "v_proj.bias", v_rows, NONE, AT(when.bv)),
    VECTOR(q_bias, QKV_BIAS, q_rows, AT(q_map), AT(when.fbq)),
    VECTOR(k_bias, QKV_BIAS, k_rows, AT(k_map), AT(when.fbk)),
    VECTOR(v_bias, QKV_BIAS, v_rows, AT(v_map), AT(when.fbv)),
    VECTOR(o_bias, "o_proj.bias", width_out, NONE, AT(o_bias)),
    VECTOR(q_norm, "q_norm.weight", q_norm_rows, NONE, AT(when.nq)),
    VECTOR(k_norm, "k_norm.weight", k_norm_rows, NONE, AT(when.nk)),
    OWN(q_norm, "q_norm.weight", n_heads, AT(when.nq_own)),
    EXPERT_VECTORS(q_norm, "q_norm.norms.%u.weight", 0, head_dim, n_heads, NONE, AT(when.nq_own)),
    OWN(k_norm, "k_norm.weight", n_kv_heads, AT(when.nk_own)),
    EXPERT_VECTORS(k_norm, "k_norm.norms.%u.weight", 0, head_dim, n_kv_heads, NONE,
                   AT(when.nk_own)),
    VECTOR(q_norm_bias, "q_norm.bias", q_norm_rows, NONE, AT(when.nbq)),
    VECTOR(k_norm_bias, "k_norm.bias", k_norm_rows, NONE, AT(when.nbk)),
    VECTOR(sinks, "sinks", n_heads, NONE, AT(sinks)),
    VECTOR(sub_norm, "attn_sub_norm.weight", o_cols, NONE, AT(sub_norm)),
    {0}};
/* clang-format on */
