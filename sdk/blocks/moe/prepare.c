/*
 * prepare.c: what is checked and made once, after the experts' weights are bound.
 *
 * Memory: the factors before the norm of the experts' outputs, in the model arena.
 */
#include "blocks/moe/impl.h"

static bool alike(const zoo_weight *a, const zoo_weight *b)
{
    return a->kind == b->kind && a->group == b->group;
}

/* gate and up read the same prepared rows. */
zoo_status zoo_experts_check(const zoo_experts *experts, const zoo_expert_weights *weights,
                             zoo_error *err)
{
    for (uint32_t e = 0; e < experts->n; e++) {
        if (weights->gate && !alike(&weights->gate[e], &weights->up[0])) {
            return zoo_fail(err, ZOO_E_WEIGHT, "gate and up of expert %u are packed differently",
                            e);
        }
        if (!alike(&weights->up[e], &weights->up[0]) ||
            !alike(&weights->down[e], &weights->down[0])) {
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
