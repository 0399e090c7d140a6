/* facts.c: routed experts as data for a reader. */
#include "blocks/moe/impl.h"

void zoo_router_facts(const zoo_router *router, const zoo_facts *to)
{
    static const char *const scores[] = {"logits", "softmax", "sigmoid", "sqrt(softplus)",
                                         "sparsemixer"};
    static const char *const chosen[] = {"", "softmax over the chosen", "sigmoid of the chosen"};
    to->number(to, "experts_per_token", router->top_k);
    if (router->score < ZOO_COUNT(scores)) {
        to->text(to, "router", scores[router->score]);
    }
    if (router->chosen && router->chosen < ZOO_COUNT(chosen)) {
        to->text(to, "weights", chosen[router->chosen]);
    }
    if (router->renorm) {
        to->number(to, "weights_renormalised", 1);
    }
    if (router->scale > 0 && (router->scale < 1 || router->scale > 1)) {
        to->number(to, "routed_scale", (double)router->scale);
    }
    if (router->n_groups > 1) {
        to->number(to, "expert_groups", router->n_groups);
        to->number(to, "groups_kept", router->groups_kept);
    }
}

void zoo_moe_facts(const void *params, const zoo_facts *to)
{
    const zoo_moe *p = params;
    to->text(to, "kind", "experts");
    to->number(to, "experts", p->experts.n);
    zoo_router_facts(&p->router, to);
    to->number(to, "inner", p->experts.width);
    if (p->experts.gated) {
        to->number(to, "gated", 1);
    }
    zoo_glu_facts(&p->experts.glu, to);
    if (p->correction_bias) {
        to->number(to, "choice_bias", 1);
    }
    if (p->hash_rows) {
        to->number(to, "chosen_by_token_id", 1);
    }
    if (p->router.n_experts > p->experts.n) {
        to->number(to, "identity_experts", p->router.n_experts - p->experts.n);
    }
    if (p->latent) {
        to->number(to, "expert_latent", p->latent);
    }
    if (p->shared.width) {
        to->number(to, "shared_inner", p->shared.width);
    }
    if (p->shared_gate) {
        to->number(to, "shared_gate", 1);
    }
}
