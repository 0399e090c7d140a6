/*
 * params.c: params of attention: defaults, refusals, rows of fused tensors, and which tensors
 * there are.
 *
 * Memory: none. What it will not do: read a config; configure of each plugin fills zoo_gqa.
 */
#include "blocks/gqa/impl.h"

#include <math.h>

enum { SIZE_LIMIT = 1 << 24 }; /* floats of all heads of a row */

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
    p->k_width = p->head_dim + (p->slopes && p->slopes_bf16 ? p->n_heads / p->n_kv_heads : 0);
}

static zoo_status refuse_sizes(const zoo_gqa *p, zoo_error *err)
{
    uint64_t width = p->head_dim > p->v_dim ? p->head_dim : p->v_dim;
    if (!p->width_in || !p->n_heads || !p->head_dim || p->n_heads % p->n_kv_heads != 0 ||
        p->n_heads * width > SIZE_LIMIT || p->n_kv_heads > p->n_heads) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "attention: %u heads over %u key-value heads of %u on rows of %u",
                        p->n_heads, p->n_kv_heads, p->head_dim, p->width_in);
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
    return ZOO_OK;
}

static zoo_status refuse_options(const zoo_gqa *p, zoo_error *err)
{
    if (p->layout > ZOO_QKV_QUARTERS || p->gate > ZOO_GATE_IN_Q || p->gate_act >= ZOO_ACT_COUNT ||
        p->qk_norm.span > ZOO_QK_FULL || p->qk_norm.kind > ZOO_NORM_LAYER_PLUS_ONE) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: layout %u, gate %u, norm %u", p->layout,
                        p->gate, p->qk_norm.kind);
    }
    if (p->window && p->chunk) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: a window and chunks at once");
    }
    if (p->temp_scale != 0 && !(p->temp_period >= 1)) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: a temperature with period %g",
                        (double)p->temp_period);
    }
    if (p->gate == ZOO_GATE_IN_Q && p->layout != ZOO_QKV_SPLIT) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: a gate inside a fused qkv matrix");
    }
    if (p->layout == ZOO_QKV_QUARTERS && p->n_kv_heads * p->head_dim % 4 != 0) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: %u key rows in quarters",
                        p->n_kv_heads * p->head_dim);
    }
    if (p->qk_norm.span == ZOO_QK_OWN && p->qk_norm.has_bias) {
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
    ZOO_TRY(refuse_sizes(p, err));
    ZOO_TRY(refuse_options(p, err));
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
