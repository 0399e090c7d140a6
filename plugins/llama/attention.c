/*
 * attention.c: params of the attention block of one layer.
 *
 * Options: attention (module name, "self_attn"); qkv_bias, o_bias; fused_qkv; interleaved (rotary
 * pairs); rope_theta, rope_partial (class defaults); unscaled_sliding (windowed layers rotate
 * without scaling, with their own theta); qk_norm ("head", "own", "full"), qk_norm_if (key),
 * qk_norm_after; clip (reads clip_qkv); sinks; temperature ("all": after yarn's original length);
 * window_if (key).
 */
#include <math.h>
#include <string.h>

#include "build.h"

static zoo_status read_rope(llama_build *b, llama_reach reach, uint32_t layer, const zoo_rope **out)
{
    const zoo_config *c = b->config;
    bool by_layer = strcmp(c->text(c, "@rotate", "all"), "theta") == 0;
    if (!by_layer && b->ropes[reach]) {
        *out = b->ropes[reach];
        return ZOO_OK;
    }
    char key[64];
    (void)snprintf(key, sizeof key, "layer_rope_theta[%u]", layer);
    bool own = reach == LLAMA_SLIDING && llama_flag(b, "@unscaled_sliding", false);
    zoo_rope_want want = {.head_dim = b->head_dim,
                          .layer_type =
                              reach == LLAMA_SLIDING ? "sliding_attention" : "full_attention",
                          .theta = c->number(c, own ? "@sliding_theta" : "@rope_theta", 10000.0),
                          .theta_key = own ? "" : NULL,
                          .theta_fixed = by_layer ? c->number(c, key, 0) : 0,
                          .partial = c->number(c, "@rope_partial", 1.0),
                          .interleaved = llama_flag(b, "@interleaved", false),
                          .unscaled = own};
    zoo_rope *rope = b->setup->take(b->setup, sizeof *rope);
    if (!rope) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for rotary tables");
    }
    ZOO_TRY(zoo_rope_read(c, b->setup, &want, rope, b->err));
    zoo_rope_reread(rope, b->plan);
    b->ropes[reach] = by_layer ? NULL : rope;
    *out = rope;
    return ZOO_OK;
}

static void read_qk_norm(const llama_build *b, zoo_qk_norm *norm)
{
    const zoo_config *c = b->config;
    const char *span = c->text(c, "@qk_norm", "");
    if (!*span || !llama_flag(b, "@qk_norm_if", true)) {
        return;
    }
    norm->kind = b->norm_kind;
    norm->span = strcmp(span, "full") == 0  ? ZOO_QK_FULL
                 : strcmp(span, "own") == 0 ? ZOO_QK_OWN
                                            : ZOO_QK_HEAD;
    norm->after_rope = llama_flag(b, "@qk_norm_after", false);
    norm->has_weight = 1;
    norm->has_bias = llama_flag(b, "@qk_norm_bias", false);
    norm->eps = b->eps;
}

static void read_temperature(const llama_build *b, zoo_gqa *p)
{
    const zoo_config *c = b->config;
    if (llama_flag(b, "@temperature", false)) {
        p->temp_scale = (float)c->number(c, "rope_parameters.llama_4_scaling_beta", 0.0);
        p->temp_period =
            (float)c->number(c, "rope_parameters.original_max_position_embeddings", 16384.0);
    }
}

static void read_window(llama_build *b)
{
    const zoo_config *c = b->config;
    uint32_t window = c->whole(c, "sliding_window", 0);
    b->window = llama_flag(b, "@window_if", true) ? window : 0;
}

zoo_status llama_attention(llama_build *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    zoo_gqa *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    read_window(b);
    llama_reach reach = llama_layer_reach(b, layer);
    p->width_in = b->hidden;
    p->n_heads = b->n_heads;
    p->n_kv_heads = b->n_kv_heads;
    p->head_dim = b->head_dim;
    p->scale = (float)c->number(c, "attention_multiplier", 0.0);
    p->window = reach == LLAMA_SLIDING ? b->window : 0;
    p->q_bias = p->k_bias = p->v_bias = llama_flag(b, "@qkv_bias", false);
    p->o_bias = llama_flag(b, "@o_bias", false);
    p->layout = llama_flag(b, "@fused_qkv", false) ? ZOO_QKV_FUSED : ZOO_QKV_SPLIT;
    p->sinks = llama_flag(b, "@sinks", false);
    p->clip = llama_flag(b, "@clip", false) ? (float)c->number(c, "clip_qkv", 0.0) : 0.0f;
    p->sub_norm = llama_flag(b, "@sub_norm", false) ? b->norm_kind : 0;
    p->sub_norm_eps = b->eps;
    read_qk_norm(b, &p->qk_norm);
    read_temperature(b, p);
    if (llama_layer_rotates(b, layer)) {
        ZOO_TRY(read_rope(b, reach, layer, &p->rope));
    }
    *out = (zoo_part){.ops = &zoo_gqa_ops,
                      .params = p,
                      .name = c->text(c, "@attention", "self_attn"),
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    return zoo_gqa_finish(p, b->err);
}
