/*
 * gqa_bind.c: params and tensors of attention: defaults, checks, fused layouts, the bind table.
 *
 * Memory: none. What it will not do: read a config; configure of each plugin fills zoo_gqa.
 */
#include "gqa_impl.h"
#include "rows.h"

#include <math.h>

#define W zoo_gqa_weights
#define P zoo_gqa

static float or_one(float x)
{
    return x != 0 ? x : 1.0f;
}

static void set_defaults(zoo_gqa *p)
{
    p->width_out = p->width_out ? p->width_out : p->width_in;
    p->n_kv_heads = p->n_kv_heads ? p->n_kv_heads : p->n_heads;
    p->v_dim = p->v_dim ? p->v_dim : p->head_dim;
    p->scale = p->scale != 0 ? p->scale : (float)(1.0 / sqrt((double)p->head_dim));
    p->q_scale = or_one(p->q_scale);
    p->k_scale = or_one(p->k_scale);
    p->v_scale = or_one(p->v_scale);
    p->gate_act = p->gate_act ? p->gate_act : ZOO_ACT_SIGMOID;
    p->k_width = p->head_dim + (p->slopes && p->slopes_bf16 ? 1 : 0);
}

static zoo_status refuse(const zoo_gqa *p, zoo_error *err)
{
    const zoo_qk_norm *norm = &p->qk_norm;
    if (!p->width_in || !p->n_heads || !p->head_dim || p->n_heads % p->n_kv_heads != 0 ||
        p->head_dim > 65536 || p->v_dim > 65536 || p->n_heads > 65536) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "attention: %u heads over %u key-value heads of %u on rows of %u",
                        p->n_heads, p->n_kv_heads, p->head_dim, p->width_in);
    }
    if (p->window && p->chunk) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: a window and chunks at once");
    }
    if (p->rope && (2 * p->rope->n_pairs > p->head_dim ||
                    p->rope->pair_offset + p->rope->n_pairs > p->head_dim)) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: %u rotated pairs in a head of %u",
                        p->rope->n_pairs, p->head_dim);
    }
    if ((p->k_is_v || p->gate == ZOO_GATE_IN_Q) && p->head_dim != p->v_dim) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: keys of %u and values of %u must be alike",
                        p->head_dim, p->v_dim);
    }
    if (p->gate == ZOO_GATE_IN_Q && p->layout != ZOO_QKV_SPLIT) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: a gate inside a fused qkv matrix");
    }
    if (p->layout == ZOO_QKV_QUARTERS && p->n_kv_heads * p->head_dim % 4 != 0) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: %u key rows in quarters",
                        p->n_kv_heads * p->head_dim);
    }
    if (p->slopes && p->slopes_bf16 && p->n_kv_heads != p->n_heads) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "attention: rounded position biases need as many "
                        "key-value heads as heads");
    }
    if (norm->span == ZOO_QK_OWN && norm->has_bias) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: q and k norms with a bias for each head");
    }
    return ZOO_OK;
}

static void set_maps(zoo_gqa *p)
{
    uint32_t total = p->q_rows + p->k_rows + p->v_rows, group = p->n_heads / p->n_kv_heads;
    uint32_t q = p->q_rows, k = p->k_rows, v = p->v_rows; /* rows of one piece */
    bool quarters = p->layout == ZOO_QKV_QUARTERS;
    if (p->layout == ZOO_QKV_GROUPED) {
        q = group * p->head_dim;
        k = p->head_dim;
        v = p->k_is_v ? 0 : p->v_dim;
    } else if (quarters) {
        q /= 4;
        k /= 4;
        v /= 4;
    }
    if (p->layout != ZOO_QKV_SPLIT && !p->q_map.total) {
        uint32_t stride = q + k + v;
        p->q_map = (zoo_rowmap){total, 0, q, stride};
        p->k_map = (zoo_rowmap){total, quarters ? q + v : q, k, stride};
        p->v_map = (zoo_rowmap){total, quarters ? q : q + k, v, stride};
    }
    if (p->gate == ZOO_GATE_IN_Q) {
        uint32_t d = p->head_dim;
        p->q_map = (zoo_rowmap){2 * p->q_rows, 0, d, 2 * d};
        p->gate_map = (zoo_rowmap){2 * p->q_rows, d, d, 2 * d};
    }
}

static void set_matrices(zoo_gqa *p)
{
    uint32_t split = p->layout == ZOO_QKV_SPLIT, fused = !split;
    uint32_t plain = !p->transposed, has_k = p->has_k, has_v = p->has_v;
    p->when.q = split && plain;
    p->when.k = split && plain && has_k;
    p->when.v = split && plain && has_v;
    p->when.o = plain;
    p->when.qkv_q = fused && plain;
    p->when.qkv_k = fused && plain && has_k;
    p->when.qkv_v = fused && plain && has_v;
    p->when.q_t = split && !plain;
    p->when.k_t = split && !plain && has_k;
    p->when.v_t = split && !plain && has_v;
    p->when.o_t = !plain;
    p->when.qkv_q_t = fused && !plain;
    p->when.qkv_k_t = fused && !plain && has_k;
    p->when.qkv_v_t = fused && !plain && has_v;
    p->when.bq = split && p->q_bias;
    p->when.bk = split && p->k_bias && has_k;
    p->when.bv = split && p->v_bias && has_v;
    p->when.fbq = fused && p->q_bias;
    p->when.fbk = fused && p->k_bias && has_k;
    p->when.fbv = fused && p->v_bias && has_v;
}

zoo_status zoo_gqa_finish(zoo_gqa *p, zoo_error *err)
{
    const zoo_qk_norm *norm = &p->qk_norm;
    set_defaults(p);
    ZOO_TRY(refuse(p, err));
    p->has_k = !p->shared;
    p->has_v = !p->shared && !p->k_is_v;
    p->q_rows = p->n_heads * p->head_dim;
    p->k_rows = p->n_kv_heads * p->head_dim;
    p->v_rows = p->k_is_v ? 0 : p->n_kv_heads * p->v_dim;
    p->o_cols = p->n_heads * p->v_dim;
    p->gate_rows = !p->gate ? 0 : p->gate == ZOO_GATE_HEAD ? p->n_heads : p->o_cols;
    set_maps(p);
    set_matrices(p);
    p->when.gate_w = p->gate == ZOO_GATE_HEAD || p->gate == ZOO_GATE_ELEMENT;
    p->when.gate_in_q = p->gate == ZOO_GATE_IN_Q;
    p->when.gate_in_q_bias = p->when.gate_in_q && p->q_bias;
    uint32_t weighted = norm->kind && norm->has_weight, own = norm->span == ZOO_QK_OWN;
    p->q_norm_rows = norm->span == ZOO_QK_FULL ? p->q_rows : p->head_dim;
    p->k_norm_rows = norm->span == ZOO_QK_FULL ? p->k_rows : p->head_dim;
    p->when.nq = weighted && !own;
    p->when.nk = weighted && !own && p->has_k;
    p->when.nq_own = weighted && own;
    p->when.nk_own = weighted && own && p->has_k;
    p->when.nbq = norm->kind && norm->has_bias;
    p->when.nbk = norm->kind && norm->has_bias && p->has_k;
    return ZOO_OK;
}

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
