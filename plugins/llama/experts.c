/*
 * experts.c: params of the routed experts of a layer.
 *
 * Keys: num_experts, num_experts_per_tok, moe_intermediate_size (cards alias the other spellings),
 * shared_expert_intermediate_size. Options: sparse (layer_types.c), moe (module name), renorm
 * (true, false or a key), shared (shared expert), shared_gate.
 */
#include "blocks/ops.h"
#include "build.h"

static void read_shared(const llama_build *b, zoo_moe *p)
{
    const zoo_config *c = b->config;
    if (!llama_flag(b, "@shared", false)) {
        return;
    }
    p->shared.width = c->whole(c, "shared_expert_intermediate_size", 0);
    p->shared.gated = 1;
    p->shared.glu = p->experts.glu;
    p->shared_gate = llama_flag(b, "@shared_gate", false);
}

zoo_status llama_experts(llama_build *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    zoo_moe *p = b->setup->take(b->setup, sizeof *p);
    (void)layer;
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->router.n_experts = c->whole(c, "num_experts", 0);
    p->router.top_k = c->whole(c, "num_experts_per_tok", 2);
    p->router.score = ZOO_SCORE_SOFTMAX;
    p->router.renorm = llama_flag(b, "@renorm", true) ? ZOO_RENORM_SUM : ZOO_RENORM_NONE;
    p->experts.n = p->router.n_experts;
    p->experts.width_in = b->hidden;
    p->experts.width = c->whole(c, "moe_intermediate_size", 0);
    p->experts.gated = 1;
    p->experts.glu.act = zoo_act_read(c, "hidden_act", "silu");
    read_shared(b, p);
    *out = (zoo_part){.ops = &zoo_moe_ops,
                      .params = p,
                      .name = c->text(c, "@moe", "mlp"),
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    return zoo_moe_finish(p, b->hidden, b->err);
}
