/*
 * prepare.c: what is checked and made once, after the experts' weights are bound.
 *
 * Memory: the factors before the norm of the experts' outputs, in the model arena.
 */
#include "blocks/moe/impl.h"

zoo_status zoo_experts_check(const zoo_experts *experts, const zoo_expert_weights *weights,
                             zoo_error *err)
{
    for (uint32_t e = 1; e < experts->n; e++) {
        if (weights->up[e].kind != weights->up[0].kind ||
            weights->up[e].group != weights->up[0].group ||
            weights->down[e].kind != weights->down[0].kind ||
            weights->down[e].group != weights->down[0].group) {
            return zoo_fail(err, ZOO_E_WEIGHT, "experts 0 and %u are packed differently", e);
        }
    }
    return ZOO_OK;
}

zoo_status zoo_moe_prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const zoo_moe *p = params;
    zoo_moe_weights *w = weights;
    if (p->experts.out_norm) {
        float *factors = setup->take(setup, p->experts.width_out * sizeof *factors);
        if (!factors) {
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for the norm of experts");
        }
        for (uint32_t i = 0; i < p->experts.width_out; i++) {
            factors[i] = 1.0f + w->experts.out_norm[i];
        }
        w->experts.out_norm = factors;
    }
    return zoo_experts_check(&p->experts, &w->experts, err);
}
