/*
 * attention.c: params of the attention of one layer.
 *
 * Options:
 *   attention          module name, "attn"
 *   qkv                "split", "fused" (q, k, v), "grouped" (per key-value head: its queries, key,
 *                      value), "quarters"
 *   qkv_bias, o_bias   true, false or a key; o_bias_last: only in the last layer
 *   stored_in_out      matrices are stored [in, out]
 *   multi_query        a key: true is one key-value head, false one for each head; where the key
 *                      of option grouped_if is true, num_key_value_heads counts
 *   qk_norm_if         a key: norms with bias on each head of q and k
 *   alibi              true, false or a key: linear biases in place of rotation;
 *                      alibi_rounded: (scores + biases in bfloat16) * scale
 *   scale              "none", "key" (attn_config.softmax_scale), "weights" (scale_attn_weights and
 *                      scale_attn_by_inverse_layer_idx); else head_dim^-0.5
 *   clip               clamp by attn_config.clip_qkv
 *   local              attention_layers, or attention_types, say which layers see only
 *                      sliding_window keys
 *   rotate             "none": positions come otherwise; "table": a stored one (rotated.c), of
 *                      values too with rotate_values (sdk/blocks/decoder/rope.c has the rest)
 */
#include <math.h>
#include <string.h>

#include "classic.h"

enum { BIASED_HEADS_MAX = 1 << 16 };

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* The kind of a layer in [[["global", "local"], times], ...]; null beyond the list's end. */
static const char *kind_by_types(const zoo_config *c, uint32_t layer)
{
    char key[96];
    for (uint32_t i = 0; i < c->count(c, "attention_types"); i++) {
        (void)snprintf(key, sizeof key, "attention_types[%u][0]", i);
        uint32_t n = c->count(c, key);
        (void)snprintf(key, sizeof key, "attention_types[%u][1]", i);
        uint32_t times = c->whole(c, key, 0);
        if (n == 0) {
            continue;
        }
        if (layer / n < times) {
            (void)snprintf(key, sizeof key, "attention_types[%u][0][%u]", i, layer % n);
            return c->text(c, key, NULL);
        }
        layer -= n * times;
    }
    return NULL;
}

static bool is_local(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    char key[64];
    if (!zoo_decoder_flag(b, "@local", false)) {
        return false;
    }
    (void)snprintf(key, sizeof key, "attention_layers[%u]", layer);
    const char *kind =
        c->count(c, "attention_layers") ? c->text(c, key, NULL) : kind_by_types(c, layer);
    (void)c->type(c, "attention_types"); /* superseded, not unknown */
    if (!kind || (!same(kind, "local") && !same(kind, "global"))) {
        c->refuse(c,
                  "layer %u is neither \"local\" nor \"global\" in attention_layers or "
                  "attention_types",
                  layer);
        return false;
    }
    return same(kind, "local");
}

static uint32_t read_layout(const zoo_decoder *b)
{
    static const char *const names[] = {"split", "fused", "grouped", "quarters"};
    const zoo_config *c = b->config;
    const char *name = c->text(c, "@qkv", "split");
    for (uint32_t i = 0; i < ZOO_COUNT(names); i++) {
        if (same(names[i], name)) {
            return i; /* the order of zoo_qkv_layout */
        }
    }
    c->refuse(c, "the card's option qkv is \"%s\"", name);
    return ZOO_QKV_SPLIT;
}

static float read_scale(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    const char *how = c->text(c, "@scale", "");
    double scale = 1.0 / sqrt((double)b->head_dim);
    if (same(how, "none")) {
        return 1.0f;
    }
    if (same(how, "key")) {
        scale = c->number(c, "attn_config.softmax_scale", scale);
    } else if (same(how, "weights")) {
        bool by_layer = c->flag(c, "scale_attn_by_inverse_layer_idx", false);
        scale = c->flag(c, "scale_attn_weights", true) ? scale : 1.0;
        scale /= by_layer ? layer + 1.0 : 1.0;
    }
    return (float)scale;
}

static uint32_t read_kv_heads(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    if (c->type(c, "@multi_query") == ZOO_ABSENT) {
        return b->n_heads;
    }
    bool one = zoo_decoder_flag(b, "@multi_query", false);
    if (zoo_decoder_flag(b, "@grouped_if", false)) {
        return b->n_kv_heads;
    }
    return one ? 1 : b->n_heads;
}

/* Rotary keys of a model with linear biases: superseded, not unknown. */
static void claim_rotary_keys(const zoo_config *c)
{
    static const char *const names[] = {"rope_theta", "rope_scaling", "rope_parameters.rope_theta",
                                        "rope_parameters.rope_type"};
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        (void)c->type(c, names[i]);
    }
}

static zoo_status read_positions(zoo_decoder *b, uint32_t layer, zoo_gqa *p)
{
    const zoo_config *c = b->config;
    if (zoo_decoder_flag(b, "@alibi", false)) {
        if (b->n_heads > BIASED_HEADS_MAX) {
            return zoo_fail(b->err, ZOO_E_CONFIG, "linear biases for %u heads", b->n_heads);
        }
        float *slopes = b->setup->take(b->setup, b->n_heads * sizeof *slopes);
        if (!slopes) {
            return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
        }
        claim_rotary_keys(c);
        zoo_alibi_slopes(b->n_heads, 8.0, slopes);
        p->options.slopes = slopes;
        p->options.slopes_scaled = p->options.slopes_bf16 =
            zoo_decoder_flag(b, "@alibi_rounded", false);
        return ZOO_OK;
    }
    const char *how = c->text(c, "@rotate", "all");
    return same(how, "none") || same(how, "table") ? ZOO_OK
                                                   : zoo_decoder_rope(b, layer, &p->options.rope);
}

zoo_status classic_attention(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    zoo_gqa *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    b->reach = is_local(b, layer) ? ZOO_REACH_SLIDING : ZOO_REACH_FULL;
    p->shape.width_in = b->hidden;
    p->shape.n_heads = b->n_heads;
    p->shape.n_kv_heads = read_kv_heads(b);
    p->shape.head_dim = b->head_dim;
    p->options.scale = read_scale(b, layer);
    p->shape.window = b->reach == ZOO_REACH_SLIDING ? c->whole(c, "sliding_window", 256) : 0;
    p->shape.layout = read_layout(b);
    p->shape.transposed = zoo_decoder_flag(b, "@stored_in_out", false);
    p->shape.q_bias = p->shape.k_bias = p->shape.v_bias = zoo_decoder_flag(b, "@qkv_bias", false);
    p->shape.o_bias = zoo_decoder_flag(b, "@o_bias", false) &&
                      (layer + 1 == b->n_layers || !c->flag(c, "@o_bias_last", false));
    p->options.clip =
        c->flag(c, "@clip", false) ? (float)c->number(c, "attn_config.clip_qkv", 0.0) : 0.0f;
    if (zoo_decoder_flag(b, "@qk_norm_if", false)) {
        p->options.qk_norm =
            (zoo_qk_norm){.kind = b->norm_kind, .has_weight = 1, .has_bias = 1, .eps = b->eps};
    }
    ZOO_TRY(read_positions(b, layer, p));
    *out = (zoo_part){.ops = &zoo_gqa_ops,
                      .params = p,
                      .name = c->text(c, "@attention", "attn"),
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    ZOO_TRY(zoo_gqa_finish(p, b->err));
    return same(c->text(c, "@rotate", ""), "table") ? classic_rotate(b, p, out) : ZOO_OK;
}
