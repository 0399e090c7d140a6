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
    p->shape.width_out = p->shape.width_out ? p->shape.width_out : p->shape.width_in;
    p->shape.n_kv_heads = p->shape.n_kv_heads ? p->shape.n_kv_heads : p->shape.n_heads;
    p->shape.v_dim = p->shape.v_dim ? p->shape.v_dim : p->shape.head_dim;
    p->options.scale =
        p->options.scale != 0 ? p->options.scale : (float)(1.0 / sqrt((double)p->shape.head_dim));
    p->options.q_scale = or_one(p->options.q_scale);
    p->options.k_scale = or_one(p->options.k_scale);
    p->options.v_scale = or_one(p->options.v_scale);
    p->options.gate_act = p->options.gate_act ? p->options.gate_act : ZOO_ACT_SIGMOID;
    p->derived.k_width =
        p->shape.head_dim +
        (p->options.slopes && p->options.slopes_bf16 ? p->shape.n_heads / p->shape.n_kv_heads : 0);
}

static zoo_status refuse_sizes(const zoo_gqa *p, zoo_error *err)
{
    uint64_t width = p->shape.head_dim > p->shape.v_dim ? p->shape.head_dim : p->shape.v_dim;
    if (!p->shape.width_in || !p->shape.n_heads || !p->shape.head_dim ||
        p->shape.n_heads % p->shape.n_kv_heads != 0 || p->shape.n_heads * width > SIZE_LIMIT ||
        p->shape.n_kv_heads > p->shape.n_heads) {
        return zoo_fail(
            err, ZOO_E_CONFIG, "attention: %u heads over %u key-value heads of %u on rows of %u",
            p->shape.n_heads, p->shape.n_kv_heads, p->shape.head_dim, p->shape.width_in);
    }
    if (p->options.rope &&
        (2 * p->options.rope->n_pairs > p->shape.head_dim ||
         p->options.rope->pair_offset + p->options.rope->n_pairs > p->shape.head_dim)) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: %u rotated pairs in a head of %u",
                        p->options.rope->n_pairs, p->shape.head_dim);
    }
    if ((p->options.k_is_v || p->options.gate == ZOO_GATE_IN_Q) &&
        p->shape.head_dim != p->shape.v_dim) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: keys of %u and values of %u must be alike",
                        p->shape.head_dim, p->shape.v_dim);
    }
    return ZOO_OK;
}

static zoo_status refuse_options(const zoo_gqa *p, zoo_error *err)
{
    if (p->shape.layout > ZOO_QKV_QUARTERS || p->options.gate > ZOO_GATE_FUSED ||
        p->options.gate_act >= ZOO_ACT_COUNT || p->options.qk_norm.span > ZOO_QK_FULL ||
        p->options.qk_norm.kind > ZOO_NORM_LAYER_PLUS_ONE) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: layout %u, gate %u, norm %u",
                        p->shape.layout, p->options.gate, p->options.qk_norm.kind);
    }
    if (p->shape.window && p->shape.chunk) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: a window and chunks at once");
    }
    if ((p->options.temp_scale != 0 || p->options.temp_power != 0) &&
        !(p->options.temp_period >= 1)) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: a temperature with period %g",
                        (double)p->options.temp_period);
    }
    if (p->options.gate_bias && p->options.gate != ZOO_GATE_ELEMENT) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: biases of gate %u", p->options.gate);
    }
    if (p->options.gate == ZOO_GATE_FUSED &&
        (p->shape.layout != ZOO_QKV_FUSED || p->shape.q_map.total || p->shape.transposed ||
         p->shape.q_bias)) {
        return zoo_fail(
            err, ZOO_E_CONFIG,
            "attention: a gate in the fused matrix, with biases or not as it is stored");
    }
    if (p->options.gate == ZOO_GATE_IN_Q && p->shape.layout != ZOO_QKV_SPLIT) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: a gate inside a fused qkv matrix");
    }
    if (p->shape.layout == ZOO_QKV_QUARTERS && p->shape.n_kv_heads * p->shape.head_dim % 4 != 0) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: %u key rows in quarters",
                        p->shape.n_kv_heads * p->shape.head_dim);
    }
    if (p->options.qk_norm.span == ZOO_QK_OWN && p->options.qk_norm.has_bias) {
        return zoo_fail(err, ZOO_E_CONFIG, "attention: q and k norms with a bias for each head");
    }
    return ZOO_OK;
}

static void set_maps(zoo_gqa *p)
{
    uint32_t total = p->derived.q_rows + p->derived.k_rows + p->derived.v_rows,
             group = p->shape.n_heads / p->shape.n_kv_heads;
    uint32_t q = p->derived.q_rows, k = p->derived.k_rows,
             v = p->derived.v_rows; /* rows of one piece */
    bool quarters = p->shape.layout == ZOO_QKV_QUARTERS;
    if (p->shape.layout == ZOO_QKV_GROUPED) {
        q = group * p->shape.head_dim;
        k = p->shape.head_dim;
        v = p->options.k_is_v ? 0 : p->shape.v_dim;
    } else if (quarters) {
        q /= 4;
        k /= 4;
        v /= 4;
    }
    if (p->shape.layout != ZOO_QKV_SPLIT && !p->shape.q_map.total) {
        uint32_t stride = q + k + v;
        p->shape.q_map = (zoo_rowmap){total, 0, q, stride};
        p->shape.k_map = (zoo_rowmap){total, quarters ? q + v : q, k, stride};
        p->shape.v_map = (zoo_rowmap){total, quarters ? q : q + k, v, stride};
    }
    if (p->options.gate == ZOO_GATE_FUSED) {
        uint32_t gate = p->derived.gate_rows;
        zoo_rowmap *const maps[] = {&p->shape.q_map, &p->shape.k_map, &p->shape.v_map};
        for (uint32_t i = 0; i < ZOO_COUNT(maps); i++) {
            maps[i]->total += gate;
            maps[i]->offset += gate;
        }
        p->derived.gate_map = (zoo_rowmap){p->shape.q_map.total, 0, gate, gate};
    }
    if (p->options.gate == ZOO_GATE_IN_Q) {
        uint32_t d = p->shape.head_dim;
        p->shape.q_map = (zoo_rowmap){2 * p->derived.q_rows, 0, d, 2 * d};
        p->derived.gate_map = (zoo_rowmap){2 * p->derived.q_rows, d, d, 2 * d};
    }
}

static void set_matrices(zoo_gqa *p)
{
    uint32_t split = p->shape.layout == ZOO_QKV_SPLIT, fused = !split;
    uint32_t plain = !p->shape.transposed, has_k = p->derived.has_k, has_v = p->derived.has_v;
    p->derived.when.q = split && plain;
    p->derived.when.k = split && plain && has_k;
    p->derived.when.v = split && plain && has_v;
    p->derived.when.o = plain;
    p->derived.when.qkv_q = fused && plain;
    p->derived.when.qkv_k = fused && plain && has_k;
    p->derived.when.qkv_v = fused && plain && has_v;
    p->derived.when.q_t = split && !plain;
    p->derived.when.k_t = split && !plain && has_k;
    p->derived.when.v_t = split && !plain && has_v;
    p->derived.when.o_t = !plain;
    p->derived.when.qkv_q_t = fused && !plain;
    p->derived.when.qkv_k_t = fused && !plain && has_k;
    p->derived.when.qkv_v_t = fused && !plain && has_v;
    p->derived.when.bq = split && p->shape.q_bias;
    p->derived.when.bk = split && p->shape.k_bias && has_k;
    p->derived.when.bv = split && p->shape.v_bias && has_v;
    p->derived.when.fbq = fused && p->shape.q_bias;
    p->derived.when.fbk = fused && p->shape.k_bias && has_k;
    p->derived.when.fbv = fused && p->shape.v_bias && has_v;
}

zoo_status zoo_gqa_finish(zoo_gqa *p, zoo_error *err)
{
    const zoo_qk_norm *norm = &p->options.qk_norm;
    set_defaults(p);
    ZOO_TRY(refuse_sizes(p, err));
    ZOO_TRY(refuse_options(p, err));
    p->derived.has_k = !p->options.shared;
    p->derived.has_v = !p->options.shared && !p->options.k_is_v;
    p->derived.q_rows = p->shape.n_heads * p->shape.head_dim;
    p->derived.k_rows = p->shape.n_kv_heads * p->shape.head_dim;
    p->derived.v_rows = p->options.k_is_v ? 0 : p->shape.n_kv_heads * p->shape.v_dim;
    p->derived.o_cols = p->shape.n_heads * p->shape.v_dim;
    p->derived.gate_rows = !p->options.gate                   ? 0
                           : p->options.gate == ZOO_GATE_HEAD ? p->shape.n_heads
                                                              : p->derived.o_cols;
    set_maps(p);
    set_matrices(p);
    p->derived.when.gate_w =
        p->options.gate == ZOO_GATE_HEAD || p->options.gate == ZOO_GATE_ELEMENT;
    p->derived.when.gate_fused = p->options.gate == ZOO_GATE_FUSED;
    p->derived.when.gate_in_q = p->options.gate == ZOO_GATE_IN_Q;
    p->derived.when.gate_in_q_bias = p->derived.when.gate_in_q && p->shape.q_bias;
    uint32_t weighted = norm->kind && norm->has_weight, own = norm->span == ZOO_QK_OWN;
    p->derived.q_norm_rows = norm->span == ZOO_QK_FULL ? p->derived.q_rows : p->shape.head_dim;
    p->derived.k_norm_rows = norm->span == ZOO_QK_FULL ? p->derived.k_rows : p->shape.head_dim;
    p->derived.when.nq = weighted && !own;
    p->derived.when.nk = weighted && !own && p->derived.has_k;
    p->derived.when.nq_own = weighted && own;
    p->derived.when.nk_own = weighted && own && p->derived.has_k;
    p->derived.when.nbq = norm->kind && norm->has_bias;
    p->derived.when.nbk = norm->kind && norm->has_bias && p->derived.has_k;
    return ZOO_OK;
}
