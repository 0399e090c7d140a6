/*
 * experts.c: params of the routed experts of a layer.
 *
 * Keys (cards alias the other spellings): num_experts, num_experts_per_tok (a list: one a layer),
 * moe_intermediate_size, routed_scaling_factor, n_group, topk_group, n_shared_experts,
 * shared_expert_intermediate_size, moe_norm_min, swiglu_limit, swiglu_alpha, router_jitter_noise,
 * moe_router_logit_softcapping.
 * Options (sparse: sparse.c):
 *   moe              module name, "mlp"
 *   score            "softmax", "logit", "sigmoid", "sqrt_softplus", "sparsemixer"
 *   chosen           "softmax", "sigmoid", or a key that says which
 *   renorm           true, false or a key; renorm_eps; renorm_floor (moe_norm_min);
 *                    renorm_p: a key with the p of a p-norm
 *   correction_bias, router_bias, expert_bias
 *   groups           n_group, topk_group; a group scores the sum of its two best, with group_max
 *                    its best; group_zero: experts of other groups score 0; groups_by: a key that
 *                    must say "group_limited_greedy"
 *   softcap          moe_router_logit_softcapping
 *   stacked          3-D tensors ("auto": where the checkpoint has them); transposed,
 *   down_transposed, interleaved_gate, split
 *   weigh_input      the weight multiplies the input
 *   plain            no gates; latent: experts work in a space of moe_latent_size
 *   shared           true: n_shared_experts times the width; "width": its own key; "same": one
 *   shared_gate, shared_bias, average (a key that may say "average")
 */
#include <string.h>

#include "blocks/decoder/decoder.h"
#include "blocks/ops.h"

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static uint32_t read_score(const zoo_decoder *b)
{
    static const char *const names[] = {"logit", "softmax", "sigmoid", "sqrt_softplus",
                                        "sparsemixer"};
    const zoo_config *c = b->config;
    const char *name = c->text(c, "@score", "softmax");
    for (uint32_t i = 0; i < ZOO_COUNT(names); i++) {
        if (same(name, names[i])) {
            return i;
        }
    }
    c->refuse(c, "the card's option score is \"%s\"", name);
    return 0;
}

static uint32_t read_chosen(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    const char *name = c->text(c, "@chosen", "score");
    const char *word = c->type(c, name) == ZOO_STRING ? c->text(c, name, "") : name;
    return same(word, "softmax")   ? ZOO_CHOSEN_SOFTMAX
           : same(word, "sigmoid") ? ZOO_CHOSEN_SIGMOID
                                   : ZOO_CHOSEN_SCORE;
}

static void read_renorm(const zoo_decoder *b, zoo_router *r)
{
    const zoo_config *c = b->config;
    const char *p = c->text(c, "@renorm_p", NULL);
    if (p) {
        double power = c->number(c, p, 0.0);
        r->renorm = power > 0 ? ZOO_RENORM_P : ZOO_RENORM_NONE;
        r->renorm_eps = (float)power;
        return;
    }
    bool floor = zoo_decoder_flag(b, "@renorm_floor", false);
    bool on = zoo_decoder_flag(b, "@renorm", true) && r->chosen != ZOO_CHOSEN_SOFTMAX;
    r->renorm = !on ? ZOO_RENORM_NONE : floor ? ZOO_RENORM_FLOOR : ZOO_RENORM_SUM;
    r->renorm_eps =
        (float)(floor ? c->number(c, "moe_norm_min", 1e-12) : c->number(c, "@renorm_eps", 0.0));
}

static bool has_groups(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    if (c->type(c, "@groups_by") == ZOO_STRING) {
        return same(c->text(c, c->text(c, "@groups_by", ""), ""), "group_limited_greedy");
    }
    return zoo_decoder_flag(b, "@groups", false);
}

static void read_router(const zoo_decoder *b, uint32_t layer, zoo_router *r)
{
    const zoo_config *c = b->config;
    r->n_experts = (uint32_t)zoo_decoder_number(b, "num_experts", layer, 0);
    r->top_k = (uint32_t)zoo_decoder_number(b, "num_experts_per_tok", layer, 2);
    r->score = read_score(b);
    r->chosen = read_chosen(b);
    r->scale = (float)c->number(c, "routed_scaling_factor", 1.0);
    r->softcap = zoo_decoder_flag(b, "@softcap", false)
                     ? (float)c->number(c, "moe_router_logit_softcapping", 0)
                     : 0;
    r->jitter =
        r->score == ZOO_SCORE_SPARSEMIXER ? (float)c->number(c, "router_jitter_noise", 0.01) : 0;
    read_renorm(b, r);
    if (has_groups(b)) {
        r->n_groups = c->whole(c, "n_group", 1);
        r->groups_kept = c->whole(c, "topk_group", 1);
        r->group_sum2 = !zoo_decoder_flag(b, "@group_max", false);
        r->group_zero = zoo_decoder_flag(b, "@group_zero", false);
    }
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
    p->shared.width = same(how, "width") ? c->whole(c, "shared_expert_intermediate_size", 0)
                                         : p->experts.width * (same(how, "same") ? 1 : times);
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
    read_router(b, layer, &unused.router);
    read_shared(b, &unused);
    (void)b->config->whole(b->config, "moe_intermediate_size", 0);
}

zoo_status zoo_decoder_experts(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    zoo_moe *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    read_router(b, layer, &p->router);
    p->router_bias = zoo_decoder_flag(b, "@router_bias", false);
    p->correction_bias = zoo_decoder_flag(b, "@correction_bias", false);
    p->expert_bias = zoo_decoder_flag(b, "@expert_bias", false);
    p->experts.n = p->router.n_experts;
    p->experts.width_in = b->hidden;
    p->experts.width = c->whole(c, "moe_intermediate_size", 0);
    p->experts.gated = !zoo_decoder_flag(b, "@plain", false);
    p->latent = zoo_decoder_flag(b, "@latent", false) ? c->whole(c, "moe_latent_size", 0) : 0;
    p->latent_bias = p->latent && zoo_decoder_flag(b, "@mlp_bias", false);
    p->experts.weigh_input = zoo_decoder_flag(b, "@weigh_input", false);
    p->experts.glu = zoo_decoder_glu(b, c->text(c, "@act", "silu"));
    read_storage(b, layer, p);
    read_shared(b, p);
    *out = (zoo_part){.ops = &zoo_moe_ops,
                      .params = p,
                      .name = c->text(c, "@moe", "mlp"),
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
    return zoo_moe_finish(p, b->hidden, b->err);
}
