/*
 * ffn.c: params of the dense feed-forward block.
 *
 * Options: mlp (module name), plain (no gate), mlp_bias, fused_gate_up, act (class default of
 * hidden_act), sub_norm.
 */
#include "blocks/ops.h"
#include "build.h"

zoo_status llama_ffn(llama_build *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    if (llama_layer_sparse(b, layer)) {
        return llama_experts(b, layer, out);
    }
    zoo_mlp *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width_in = b->hidden;
    p->width = c->whole(c, "intermediate_size", 4 * b->hidden);
    p->gated = !llama_flag(b, "@plain", false);
    p->fused = llama_flag(b, "@fused_gate_up", false) ? ZOO_FUSED_HALVES : ZOO_FUSED_NONE;
    p->glu.act = zoo_act_read(c, "hidden_act", c->text(c, "@act", "silu"));
    p->in_bias = p->out_bias = llama_flag(b, "@mlp_bias", false);
    p->sub_norm = llama_flag(b, "@sub_norm", false) ? b->norm_kind : 0;
    p->sub_norm_eps = b->eps;
    *out = (zoo_part){.ops = &zoo_mlp_ops,
                      .params = p,
                      .name = c->text(c, "@mlp", "mlp"),
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    return zoo_mlp_finish(p, b->err);
}
