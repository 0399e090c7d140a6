/* facts.c: attention's params as data for a reader. */
#include "blocks/gqa/impl.h"
#include "blocks/ops.h"

static void tell_flags(const zoo_gqa *p, const zoo_facts *to)
{
    const struct {
        const char *name;
        bool holds;
    } flags[] = {{"qkv_bias", p->shape.q_bias || p->shape.k_bias || p->shape.v_bias},
                 {"output_bias", p->shape.o_bias},
                 {"sinks", p->options.sinks},
                 {"position_bias", p->options.slopes != NULL},
                 {"values_are_keys", p->options.k_is_v},
                 {"reads_another_layers_cache", p->options.shared}};
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
                                        "every element", "every element"};
    if (p->options.qk_norm.kind && p->options.qk_norm.span < ZOO_COUNT(spans)) {
        to->text(to, "qk_norm", spans[p->options.qk_norm.span]);
        to->text(to, "qk_norm_place",
                 p->options.qk_norm.after_rope ? "after rotation" : "before rotation");
    }
    if (p->options.v_norm) {
        to->text(to, "value_norm", "each head");
    }
    if (p->options.gate && p->options.gate < ZOO_COUNT(gates)) {
        to->text(to, "output_gate", gates[p->options.gate]);
    }
}

void zoo_gqa_facts(const void *params, const zoo_facts *to)
{
    const zoo_gqa *p = params;
    to->text(to, "kind", "attention");
    to->number(to, "heads", p->shape.n_heads);
    to->number(to, "kv_heads", p->shape.n_kv_heads);
    to->number(to, "head_dim", p->shape.head_dim);
    to->number(to, "value_dim", p->shape.v_dim);
    if (p->shape.window) {
        to->number(to, "window", p->shape.window);
    }
    if (p->shape.chunk) {
        to->number(to, "chunk", p->shape.chunk);
    }
    zoo_rope_facts(p->options.rope, to);
    to->number(to, "scale", (double)p->options.scale);
    if (p->options.softcap > 0) {
        to->number(to, "softcap", (double)p->options.softcap);
    }
    if (p->options.clip > 0) {
        to->number(to, "clip", (double)p->options.clip);
    }
    tell_norms(p, to);
    tell_flags(p, to);
    to->number(to, "flops.k", 2.0 * p->shape.n_heads * p->shape.head_dim);
    to->number(to, "flops.v", 2.0 * p->shape.n_heads * p->shape.v_dim);
}
