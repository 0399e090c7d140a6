/*
 * ffn.c: params of the dense feed-forward block.
 *
 * Options: mlp (module name); plain (no gate); mlp_bias; fused_gate_up, up_first (its rows); act
 * (class default of hidden_act); gelu_is_tanh; sub_norm; dense_width (the key of the width,
 * "intermediate_size");
 * softcapped (mlp_gate_softcap and mlp_up_softcap, of experts; hidden_act counts for nothing);
 * round_if (rows are rounded to 8 bits before every matrix of a layer where this key is "bitnet");
 * stored_in_out (matrices are stored [in, out]); limit (swiglu_limit and swiglu_alpha, of experts
 * too); layer_limits (a key: the clamp behind the activation of each layer's routed experts),
 * shared_limits (the same of its dense part or shared expert).
 * The key mlp_multipliers holds a factor before the activation and one on the output.
 */
#include <string.h>

#include "blocks/decoder/decoder.h"
#include "blocks/ops.h"

bool zoo_decoder_rounds(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    const char *key = c->text(c, "@round_if", NULL);
    return key && strcmp(c->text(c, key, ""), "bitnet") == 0;
}

static zoo_glu softcapped(const zoo_config *c)
{
    zoo_glu glu = {.act = ZOO_ACT_SILU,
                   .gate_softcap = (float)c->number(c, "mlp_gate_softcap", 4.0),
                   .up_softcap = (float)c->number(c, "mlp_up_softcap", 25.0)};
    if (!(glu.gate_softcap > 0) || !(glu.up_softcap > 0)) {
        c->refuse(c, "mlp_gate_softcap is %g and mlp_up_softcap %g, and must be above 0",
                  (double)glu.gate_softcap, (double)glu.up_softcap);
    }
    return glu;
}

zoo_glu zoo_decoder_glu(const zoo_decoder *b, const char *act)
{
    const zoo_config *c = b->config;
    if (zoo_decoder_flag(b, "@softcapped", false)) {
        return softcapped(c);
    }
    zoo_glu glu = {.act = zoo_act_read(c, "hidden_act", act)};
    if (zoo_decoder_flag(b, "@limit", false)) {
        glu.limit = (float)c->number(c, "swiglu_limit", 7.0);
        glu.alpha = (float)c->number(c, "swiglu_alpha", 1.702);
        glu.up_shift = 1.0f;
    }
    return glu;
}

void zoo_decoder_limit(const zoo_decoder *b, const char *option, uint32_t layer, zoo_glu *glu)
{
    const zoo_config *c = b->config;
    const char *key = c->text(c, option, NULL);
    if (key && c->type(c, key) == ZOO_ARRAY) {
        glu->limit = (float)zoo_decoder_number(b, key, layer, 0.0);
        glu->clamp_after = 1;
    }
}

zoo_status zoo_decoder_dense(zoo_decoder *b, uint32_t width, const char *name, zoo_part *out)
{
    const zoo_config *c = b->config;
    zoo_mlp *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width_in = b->hidden;
    p->width = width;
    p->gated = !zoo_decoder_flag(b, "@plain", false);
    p->fused = !zoo_decoder_flag(b, "@fused_gate_up", false) ? ZOO_FUSED_NONE
               : zoo_decoder_flag(b, "@up_first", false)     ? ZOO_FUSED_HALVES_UP
                                                             : ZOO_FUSED_HALVES;
    p->glu = zoo_decoder_glu(b, c->text(c, "@act", "silu"));
    if (p->glu.act == ZOO_ACT_GELU && zoo_decoder_flag(b, "@gelu_is_tanh", false)) {
        p->glu.act = ZOO_ACT_GELU_TANH;
    }
    zoo_decoder_limit(b, "@shared_limits", b->layer, &p->glu);
    p->in_bias = p->out_bias = zoo_decoder_flag(b, "@mlp_bias", false);
    p->sub_norm = zoo_decoder_flag(b, "@sub_norm", false) ? b->norm_kind : 0;
    p->sub_norm_eps = b->eps;
    p->round_input = zoo_decoder_rounds(b);
    p->transposed = zoo_decoder_flag(b, "@stored_in_out", false);
    p->gate_scale = (float)c->number(c, "mlp_multipliers[0]", 0.0);
    p->down_scale = (float)c->number(c, "mlp_multipliers[1]", 0.0);
    *out = (zoo_part){
        .ops = &zoo_mlp_ops, .params = p, .name = name, .in_scale = 1.0f, .out_scale = 1.0f};
    return zoo_mlp_finish(p, b->err);
}

zoo_status zoo_decoder_ffn(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    const char *key = c->text(c, "@dense_width", "intermediate_size");
    /* Keys of either kind are known, also where no layer is of that kind. */
    (void)c->type(c, key);
    (void)zoo_decoder_flag(b, "@mlp_bias", false);
    if (zoo_decoder_layer_sparse(b, layer)) {
        return zoo_decoder_experts(b, layer, out);
    }
    if (c->type(c, "@score") != ZOO_ABSENT || c->type(c, "@sparse") != ZOO_ABSENT) {
        zoo_decoder_experts_keys(b, layer);
    }
    uint32_t width = c->whole(c, key, 4 * b->hidden);
    b->layer = layer;
    return zoo_decoder_dense(b, width, c->text(c, "@mlp", "mlp"), out);
}
