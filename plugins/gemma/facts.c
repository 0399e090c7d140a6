/* facts.c: the blocks of this plugin as data for a reader. */
#include "gemma.h"

static void tell_inputs(const zoo_facts *to, uint32_t width)
{
    if (width) {
        to->number(to, "per_layer_input", width);
    }
}

void gemma_layer4_facts(const void *params, const zoo_facts *to)
{
    const gemma_layer4 *p = params;
    to->text(to, "kind", "sandwich layer");
    to->text(to, "norm_place", "before and after");
    to->text(to, "residual",
             p->has_experts ? "experts beside the dense part; the layer is scaled"
                            : "the layer is scaled by a learned number");
    tell_inputs(to, p->has_inputs ? p->width : 0);
}

void gemma_layer3n_facts(const void *params, const zoo_facts *to)
{
    const gemma_layer3n *p = params;
    to->text(to, "kind", "alternating updates");
    to->text(to, "norm_place", "before and after");
    to->number(to, "streams", p->n_streams);
    to->text(to, "residual", "one stream runs through the layer, the others are predicted from it");
    to->number(to, "low_rank_path", p->rank);
    tell_inputs(to, p->width);
}

void gemma_gated_facts(const void *params, const zoo_facts *to)
{
    const gemma_gated *p = params;
    to->text(to, "kind", "gated residual");
    to->text(to, "norm_place", "before and after");
    to->text(to, "residual", "a learned gate for each channel weighs it against the branch");
    to->number(to, "gate_temperature", (double)p->temperature);
}

void gemma_experts4_facts(const void *params, const zoo_facts *to)
{
    const gemma_experts4 *p = params;
    to->text(to, "kind", "experts");
    to->number(to, "experts", p->experts.n);
    zoo_router_facts(&p->router, to);
    to->number(to, "inner", p->experts.width);
    to->number(to, "gated", 1);
    zoo_glu_facts(&p->experts.glu, to);
}

void gemma_sparse_mlp_facts(const void *params, const zoo_facts *to)
{
    const gemma_sparse_mlp *p = params;
    to->text(to, "kind", "feed-forward");
    to->number(to, "inner", p->width);
    to->number(to, "gated", 1);
    to->text(to, "activation", zoo_act_name(p->act));
    to->number(to, "gates_kept_above_deviations", (double)p->cut);
}

void gemma_per_layer_facts(const void *params, const zoo_facts *to)
{
    const gemma_per_layer *p = params;
    to->text(to, "kind", "per-layer inputs");
    tell_inputs(to, p->width);
}

void gemma_soft_tokens_facts(const void *params, const zoo_facts *to)
{
    const gemma_soft_tokens *p = params;
    to->text(to, "kind", "tokens of a tower");
    to->number(to, "first_token", p->begin);
    to->number(to, "tokens", p->end - p->begin);
    to->number(to, "inner", p->width);
}
