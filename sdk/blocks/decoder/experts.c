/*
 * experts.c: params of the routed experts of a layer.
 *
 * Keys (cards alias the other spellings): moe_intermediate_size, n_shared_experts,
 * shared_expert_intermediate_size, swiglu_limit, swiglu_alpha; those of the choice: router.c.
 * Options (sparse: sparse.c):
 *   moe              module name, "mlp"
 *   correction_bias, router_bias, expert_bias; router_in_out: the router is stored [in, experts];
 *   correction_rows: so many rows of correction biases are stored, the first counts
 *   stacked          3-D tensors ("auto": where the checkpoint has them); transposed,
 *   down_transposed, interleaved_gate, split
 *   weigh_input      the weight multiplies the input
 *   plain            no gates; latent: experts work in a space of moe_latent_size; latent_norm:
 *                    rows are normed there first
 *   expert_norm      each expert's output is norm((1 + w) output), with the eps post_norm_eps
 *   shared           true: n_shared_experts times the width; "width": its own key; "widths":
 *                    n_shared_experts times its own key; "same": one
 *   experts_act      the activation of routed experts, whatever hidden_act says
 *   shared_gate, shared_bias, average (a key that may say "average")
 */
#include <string.h>

#include "blocks/decoder/decoder.h"
#include "blocks/ops.h"

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Of a list, one for each kind of input, the first is the text's. */
static uint32_t expert_width(const zoo_config *c)
{
    bool list = c->type(c, "moe_intermediate_size") == ZOO_ARRAY;
    return c->whole(c, list ? "moe_intermediate_size[0]" : "moe_intermediate_size", 0);
}

/* Option stacked; "auto" looks which of the two forms the checkpoint holds. */
static bool is_stacked(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    char name[256];
    if (c->type(c, "@stacked") != ZOO_STRING || !same(c->text(c, "@stacked", ""), "auto")) {
        return zoo_decoder_flag(b, "@stacked", false);
    }
    (void)snprintf(name, sizeof name, "%s.%s.%u.%s.experts.gate_up_proj", b->prefix,
                   c->text(c, "@layers", "layers"), layer, c->text(c, "@moe", "mlp"));
    return c->has_tensor(c, name);
}

static void read_storage(const zoo_decoder *b, uint32_t layer, zoo_moe *p)
{
    bool transposed = zoo_decoder_flag(b, "@transposed", false),
         split = zoo_decoder_flag(b, "@split", false);
    if (!is_stacked(b, layer)) {
        return;
    }
    p->storage = ZOO_EXPERTS_STACKED;
    p->fused = split                                             ? ZOO_FUSED_NONE
               : zoo_decoder_flag(b, "@interleaved_gate", false) ? ZOO_FUSED_INTERLEAVED
                                                                 : ZOO_FUSED_HALVES;
    p->in_transposed = transposed;
    p->down_transposed = transposed || zoo_decoder_flag(b, "@down_transposed", false);
}

static void read_shared(const zoo_decoder *b, zoo_moe *p)
{
    const zoo_config *c = b->config;
    const char *how = c->type(c, "@shared") == ZOO_STRING ? c->text(c, "@shared", "") : "";
    if (c->type(c, "@shared") == ZOO_ABSENT) {
        return;
    }
    uint32_t times = c->whole(c, "n_shared_experts", 1);
    bool own = same(how, "width") || same(how, "widths");
    uint32_t width = own ? c->whole(c, "shared_expert_intermediate_size", 0) : p->experts.width;
    p->shared.width = width * (same(how, "width") || same(how, "same") ? 1 : times);
    p->shared.gated = p->experts.gated;
    p->shared.glu = p->experts.glu;
    p->shared.fused =
        zoo_decoder_flag(b, "@fused_gate_up", false) ? ZOO_FUSED_HALVES : ZOO_FUSED_NONE;
    p->shared.in_bias = p->shared.out_bias = zoo_decoder_flag(b, "@shared_bias", false);
    p->shared_gate = zoo_decoder_flag(b, "@shared_gate", false);
    const char *key = c->text(c, "@average", NULL);
    if (key && same(c->text(c, key, "sum"), "average")) {
        p->shared_scale = p->routed_scale = 0.5f;
    }
}

void zoo_decoder_experts_keys(const zoo_decoder *b, uint32_t layer)
{
    zoo_moe unused = {.shared_scale = 0};
    zoo_decoder_router(b, layer, &unused.router);
    read_shared(b, &unused);
    (void)expert_width(b->config);
}

zoo_status zoo_decoder_experts(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    zoo_moe *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    zoo_decoder_router(b, layer, &p->router);
    p->router_bias = zoo_decoder_flag(b, "@router_bias", false);
    p->correction_bias = zoo_decoder_flag(b, "@correction_bias", false);
    p->router_turned = zoo_decoder_flag(b, "@router_in_out", false);
    p->bias_rows = c->whole(c, "@correction_rows", 0);
    p->expert_bias = zoo_decoder_flag(b, "@expert_bias", false);
    p->experts.n = p->router.n_experts;
    p->experts.width_in = b->hidden;
    p->experts.width = expert_width(c);
    p->experts.gated = !zoo_decoder_flag(b, "@plain", false);
    p->latent = zoo_decoder_flag(b, "@latent", false) ? c->whole(c, "moe_latent_size", 0) : 0;
    p->latent_bias = p->latent && zoo_decoder_flag(b, "@mlp_bias", false);
    p->latent_norm = p->latent && zoo_decoder_flag(b, "@latent_norm", false) ? b->norm_kind : 0;
    p->latent_eps = b->eps;
    p->experts.out_eps = zoo_decoder_flag(b, "@expert_norm", false)
                             ? (float)c->number(c, "post_norm_eps", (double)b->eps)
                             : 0.0f;
    p->experts.weigh_input = zoo_decoder_flag(b, "@weigh_input", false);
    p->experts.glu = zoo_decoder_glu(b, c->text(c, "@act", "silu"));
    read_storage(b, layer, p);
    read_shared(b, p);
    if (c->type(c, "@experts_act") == ZOO_STRING) {
        p->experts.glu.act = zoo_act_read(c, "@experts_act", "silu");
    }
    zoo_decoder_limit(b, "@layer_limits", layer, &p->experts.glu);
    zoo_decoder_limit(b, "@shared_limits", layer, &p->shared.glu);
    *out = (zoo_part){.ops = &zoo_moe_ops,
                      .params = p,
                      .name = c->text(c, "@moe", "mlp"),
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    return zoo_moe_finish(p, b->hidden, b->err);
}
