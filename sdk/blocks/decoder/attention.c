/*
 * attention.c: params of the attention block of one layer.
 *
 * Options:
 *   attention                 module name, "self_attn"
 *   qkv_bias, o_bias          true, false or a key
 *   fused_qkv                 one tensor for q, k, v
 *   qk_norm                   "head", "own", "full"; qk_norm_if (key), qk_norm_by (a key: where it
 *                             says olmo it is full), qk_norm_after, qk_norm_bias, qk_norm_weight,
 *                             qk_norm_rotating (where it rotates)
 *   query_scalar              scale by query_pre_attn_scalar^-0.5
 *   query_factor              qk_scale_factor on q
 *   softcap_scores            attn_logit_softcapping
 *   clip                      clip_qkv
 *   sinks                     true, or "sliding": windowed layers only
 *   temperature               "yarn": llama_4_scaling_beta; on layers that do not rotate
 *                             "no_rope": attn_scale, floor_scale, "power": (1 + (position + 1) /
 *                             2048)^0.1
 *   gate                      "element", "head", "in_q", "fused" (before q in one tensor), or a
 *                             key: true is head, or a word; gate_act; gate_bias: one for each head
 *   sliding_kv_double         twice the key-value heads on windowed layers
 *   window_plus               added to sliding_window
 *   sub_norm                  a norm before o_proj
 *   head_norm                 each head's output is normed, without weight, before the gate
 *   unit_scale, v_norm        scores are not scaled; values are normed without weight
 * The key key_multiplier is a factor on the keys.
 */
#include <math.h>
#include <string.h>

#include "blocks/decoder/decoder.h"

static void read_qk_norm(const zoo_decoder *b, uint32_t layer, zoo_qk_norm *norm)
{
    const zoo_config *c = b->config;
    const char *span = c->text(c, "@qk_norm", "");
    const char *by = c->text(c, "@qk_norm_by", NULL);
    span = by && strcmp(c->text(c, by, ""), "olmo") == 0 ? "full" : span;
    bool resting =
        zoo_decoder_flag(b, "@qk_norm_rotating", false) && !zoo_decoder_layer_rotates(b, layer);
    if (!*span || !zoo_decoder_flag(b, "@qk_norm_if", true) || resting) {
        return;
    }
    norm->kind = b->norm_kind;
    norm->span = strcmp(span, "full") == 0  ? ZOO_QK_FULL
                 : strcmp(span, "own") == 0 ? ZOO_QK_OWN
                                            : ZOO_QK_HEAD;
    norm->after_rope = zoo_decoder_flag(b, "@qk_norm_after", false);
    norm->has_weight = zoo_decoder_flag(b, "@qk_norm_weight", true);
    norm->has_bias = zoo_decoder_flag(b, "@qk_norm_bias", false);
    norm->eps = b->eps;
}

static void read_temperature(const zoo_decoder *b, uint32_t layer, zoo_gqa *p)
{
    const zoo_config *c = b->config;
    const char *how = c->text(c, "@temperature", "");
    if (strcmp(how, "yarn") == 0) {
        p->options.temp_scale = (float)c->number(c, "rope_parameters.llama_4_scaling_beta", 0.0);
        p->options.temp_period =
            (float)c->number(c, "rope_parameters.original_max_position_embeddings", 16384.0);
    } else if (strcmp(how, "no_rope") == 0) {
        bool tuned =
            c->flag(c, "attn_temperature_tuning", true) && !zoo_decoder_layer_rotates(b, layer);
        double scale = c->number(c, "attn_scale", 0.1),
               period = c->number(c, "floor_scale", 8192.0);
        p->options.temp_scale = tuned ? (float)scale : 0.0f;
        p->options.temp_period = (float)period;
        p->options.temp_shift = 1.0f;
    } else if (strcmp(how, "power") == 0 && !zoo_decoder_layer_rotates(b, layer)) {
        p->options.temp_power = 0.1f;
        p->options.temp_period = 2048.0f;
        p->options.temp_shift = 1.0f;
    }
}

static void read_gate(const zoo_decoder *b, zoo_gqa *p)
{
    const zoo_config *c = b->config;
    const char *how = c->text(c, "@gate", "");
    if (!*how) {
        return;
    }
    zoo_value value = c->type(c, how);
    const char *word = value == ZOO_STRING ? c->text(c, how, "") : "";
    bool element = strcmp(how, "element") == 0 || strcmp(word, "per-element") == 0;
    if (*word && !element && strcmp(word, "per-head") != 0) {
        c->refuse(c, "\"%s\" is \"%.60s\", which is neither per-head nor per-element", how, word);
    }
    bool none = value == ZOO_BOOLEAN && !c->flag(c, how, false);
    p->options.gate = none                        ? ZOO_GATE_NONE
                      : strcmp(how, "in_q") == 0  ? ZOO_GATE_IN_Q
                      : strcmp(how, "fused") == 0 ? ZOO_GATE_FUSED
                      : element                   ? ZOO_GATE_ELEMENT
                                                  : ZOO_GATE_HEAD;
    p->options.gate_bias = p->options.gate && zoo_decoder_flag(b, "@gate_bias", false);
    p->options.gate_act =
        strcmp(c->text(c, "@gate_act", ""), "softplus") == 0 ? ZOO_ACT_SOFTPLUS : ZOO_ACT_SIGMOID;
}

static bool has_sinks(const zoo_decoder *b, zoo_reach reach)
{
    const zoo_config *c = b->config;
    if (c->type(c, "@sinks") == ZOO_STRING) {
        return reach == ZOO_REACH_SLIDING;
    }
    return c->flag(c, "@sinks", false);
}

static void read_reach(zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    uint32_t window = c->whole(c, "sliding_window", 0);
    char key[64];
    (void)snprintf(key, sizeof key, "layer_types[%u]", layer);
    if (c->type(c, "sliding_window") == ZOO_NUMBER && !window &&
        strcmp(c->text(c, key, ""), "sliding_attention") == 0) {
        c->refuse(c, "layer_types asks for sliding_attention, and sliding_window is 0");
    }
    window += window ? c->whole(c, "@window_plus", 0) : 0;
    b->window = zoo_decoder_flag(b, "@window_if", true) ? window : 0;
    b->reach = zoo_decoder_layer_reach(b, layer);
    b->chunk = b->reach == ZOO_REACH_CHUNKED ? c->whole(c, "attention_chunk_size", 8192) : 0;
}

static void read_heads(const zoo_decoder *b, uint32_t layer, zoo_gqa *p)
{
    const zoo_config *c = b->config;
    bool doubled =
        b->reach == ZOO_REACH_SLIDING && zoo_decoder_flag(b, "@sliding_kv_double", false);
    p->shape.width_in = b->hidden;
    p->shape.n_heads =
        (uint32_t)zoo_decoder_number(b, "num_attention_heads_per_layer", layer, b->n_heads);
    char key[64];
    (void)snprintf(key, sizeof key, "per_layer_config.%u.num_attention_heads", layer);
    (void)c->type(c, key); /* the list holds it */
    p->shape.n_kv_heads = b->n_kv_heads * (doubled ? 2 : 1);
    p->shape.head_dim = b->head_dim;
    p->shape.v_dim = c->whole(c, "v_head_dim", 0);
}

zoo_status zoo_decoder_attention(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    zoo_gqa *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    read_reach(b, layer);
    read_heads(b, layer, p);
    p->options.scale = (float)c->number(c, "attention_multiplier", 0.0);
    if (zoo_decoder_flag(b, "@query_scalar", false)) {
        p->options.scale = (float)pow(c->number(c, "query_pre_attn_scalar", b->head_dim), -0.5);
    }
    if (zoo_decoder_flag(b, "@softcap_scores", false)) {
        p->options.softcap = (float)c->number(c, "attn_logit_softcapping", 0.0);
    }
    p->options.q_scale = zoo_decoder_flag(b, "@query_factor", false)
                             ? (float)c->number(c, "qk_scale_factor", 1.0)
                             : 0.0f;
    p->options.v_scale = (float)c->number(c, "attention_value_scale", 0.0);
    p->options.k_scale = (float)c->number(c, "key_multiplier", 0.0);
    p->shape.window = b->reach == ZOO_REACH_SLIDING ? b->window : 0;
    p->shape.chunk = b->chunk;
    p->shape.q_bias = p->shape.k_bias = p->shape.v_bias = zoo_decoder_flag(b, "@qkv_bias", false);
    p->shape.o_bias = zoo_decoder_flag(b, "@o_bias", false);
    p->shape.layout = zoo_decoder_flag(b, "@fused_qkv", false) ? ZOO_QKV_FUSED : ZOO_QKV_SPLIT;
    p->options.sinks = has_sinks(b, b->reach);
    p->options.clip =
        zoo_decoder_flag(b, "@clip", false) ? (float)c->number(c, "clip_qkv", 0.0) : 0.0f;
    p->options.sub_norm = zoo_decoder_flag(b, "@sub_norm", false) ? b->norm_kind : 0;
    p->options.sub_norm_eps = b->eps;
    p->options.head_norm = zoo_decoder_flag(b, "@head_norm", false) ? ZOO_NORM_RMS : 0;
    p->options.head_norm_eps = b->eps;
    p->options.round_input = zoo_decoder_rounds(b);
    if (zoo_decoder_flag(b, "@unit_scale", false)) {
        p->options.scale = 1.0f;
    }
    p->options.v_norm = zoo_decoder_flag(b, "@v_norm", false) ? ZOO_NORM_RMS : 0;
    p->options.v_norm_eps = b->eps;
    p->options.k_is_v = b->k_is_v;
    p->options.shared = b->shares;
    read_qk_norm(b, layer, &p->options.qk_norm);
    read_temperature(b, layer, p);
    read_gate(b, p);
    if (zoo_decoder_layer_rotates(b, layer)) {
        ZOO_TRY(zoo_decoder_rope(b, layer, &p->options.rope));
    }
    *out = (zoo_part){.ops = &zoo_gqa_ops,
                      .params = p,
                      .name = c->text(c, "@attention", "self_attn"),
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    return zoo_gqa_finish(p, b->err);
}
