/*
 * refuse.c: routing rules and experts that cannot be computed.
 *
 * Memory: none.
 */
#include "blocks/moe/impl.h"

static zoo_status refuse_router(const zoo_moe *p, zoo_error *err)
{
    const zoo_router *r = &p->router;
    if (!r->n_experts || r->n_experts > 65536 || !r->top_k || r->top_k > r->n_experts) {
        return zoo_fail(err, ZOO_E_CONFIG, "experts: %u chosen of %u", r->top_k, r->n_experts);
    }
    if (r->score > ZOO_SCORE_SPARSEMIXER || r->chosen > ZOO_CHOSEN_SIGMOID ||
        r->renorm > ZOO_RENORM_P || (r->renorm == ZOO_RENORM_P && !(r->renorm_eps > 0))) {
        return zoo_fail(err, ZOO_E_CONFIG, "experts: routing rule %u, %u, %u", r->score, r->chosen,
                        r->renorm);
    }
    if (r->n_groups > 1 &&
        (r->n_experts % r->n_groups != 0 || !r->groups_kept || r->groups_kept > r->n_groups)) {
        return zoo_fail(err, ZOO_E_CONFIG, "experts: %u of %u groups of %u experts", r->groups_kept,
                        r->n_groups, r->n_experts);
    }
    if (r->n_groups == 1 && !r->groups_kept) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "experts: none of 1 group is kept, so that the reference chooses among "
                        "equal scores");
    }
    if (r->n_groups > 1 && r->n_experts / r->n_groups * r->groups_kept < r->top_k) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "experts: %u are chosen, but the %u of %u groups that are kept hold %u",
                        r->top_k, r->groups_kept, r->n_groups,
                        r->n_experts / r->n_groups * r->groups_kept);
    }
    return ZOO_OK;
}

static zoo_status refuse_experts(const zoo_moe *p, zoo_error *err)
{
    const zoo_experts *e = &p->experts;
    if (!e->n || e->n > p->router.n_experts || !e->width || e->width > UINT32_MAX / 2 ||
        e->glu.act >= ZOO_ACT_COUNT) {
        return zoo_fail(err, ZOO_E_CONFIG, "experts: %u matrices of width %u, activation %u", e->n,
                        e->width, e->glu.act);
    }
    if (e->n < p->router.n_experts && e->width_in != e->width_out) {
        return zoo_fail(err, ZOO_E_CONFIG, "experts that return their input change its width");
    }
    if (p->fused && !e->gated) {
        return zoo_fail(err, ZOO_E_CONFIG, "experts: a fused matrix without gates");
    }
    return ZOO_OK;
}

zoo_status zoo_moe_refuse(const zoo_moe *p, zoo_error *err)
{
    ZOO_TRY(refuse_router(p, err));
    return refuse_experts(p, err);
}
