/* facts.c: attention's params as data for a reader. */
#include "blocks/gqa/impl.h"
#include "blocks/ops.h"

static void tell_flags(const zoo_gqa *p, const zoo_facts *to)
{
    const struct {
        const char *name;
        bool holds;
    } flags[] = {{"qkv_bias", p->q_bias || p->k_bias || p->v_bias},
                 {"output_bias", p->o_bias},
                 {"sinks", p->sinks},
                 {"position_bias", p->slopes != NULL},
                 {"values_are_keys", p->k_is_v},
                 {"reads_another_layers_cache", p->shared}};
    for (size_t i = 0; i < ZOO_COUNT(flags); i++) {
        if (flags[i].holds) {
            to->number(to, flags[i].name, 1);
        }
    }
}

static void tell_norms(const zoo_gqa *p, const zoo_facts *to)
{
    static const char *const spans[] = {"each head", "each head, weights of its own",
                                        "all heads at once"};
    static const char *const gates[] = {"none", "one value a head", "every element",
                                        "every element"};
    if (p->qk_norm.kind && p->qk_norm.span < ZOO_COUNT(spans)) {
        to->text(to, "qk_norm", spans[p->qk_norm.span]);
        to->text(to, "qk_norm_place", p->qk_norm.after_rope ? "after rotation" : "before rotation");
    }
    if (p->v_norm) {
        to->text(to, "value_norm", "each head");
    }
    if (p->gate && p->gate < ZOO_COUNT(gates)) {
        to->text(to, "output_gate", gates[p->gate]);
    }
}

void zoo_gqa_facts(const void *params, const zoo_facts *to)
{
    const zoo_gqa *p = params;
    to->text(to, "kind", "attention");
    to->number(to, "heads", p->n_heads);
    to->number(to, "kv_heads", p->n_kv_heads);
    to->number(to, "head_dim", p->head_dim);
    to->number(to, "value_dim", p->v_dim);
    if (p->window) {
        to->number(to, "window", p->window);
    }
    if (p->chunk) {
        to->number(to, "chunk", p->chunk);
    }
    zoo_rope_facts(p->rope, to);
    to->number(to, "scale", (double)p->scale);
    if (p->softcap > 0) {
        to->number(to, "softcap", (double)p->softcap);
    }
    if (p->clip > 0) {
        to->number(to, "clip", (double)p->clip);
    }
    tell_norms(p, to);
    tell_flags(p, to);
    to->number(to, "flops.k", 2.0 * p->n_heads * p->head_dim);
    to->number(to, "flops.v", 2.0 * p->n_heads * p->v_dim);
}
