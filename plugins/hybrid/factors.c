/*
 * factors.c: residuals that are the normed input, with two factors for each kind of part (option
 * factors).
 *
 * Keys: full_attn_alpha_factor, full_attn_beta_factor, the same of linear_attn and mlp.
 */
#include "hybrid.h"

zoo_status hybrid_set_factors(zoo_decoder *b, hybrid_kind kind, zoo_layer *out)
{
    const zoo_config *c = b->config;
    bool full = kind == HYBRID_ATTENTION;
    zoo_branch *branches = b->setup->take(b->setup, 2 * sizeof *branches);
    if (!branches) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    for (uint32_t i = 0; i < 2; i++) {
        branches[i] = out->branches[i];
        branches[i].residual_from_norm = 1;
    }
    branches[0].h_scale =
        (float)c->number(c, full ? "full_attn_alpha_factor" : "linear_attn_alpha_factor", 1.0);
    branches[0].scale =
        (float)c->number(c, full ? "full_attn_beta_factor" : "linear_attn_beta_factor", 1.0);
    branches[1].h_scale = (float)c->number(c, "mlp_alpha_factor", 1.0);
    branches[1].scale = (float)c->number(c, "mlp_beta_factor", 1.0);
    out->branches = branches;
    return ZOO_OK;
}
