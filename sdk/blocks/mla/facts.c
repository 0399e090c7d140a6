/* facts.c: latent attention's params as data for a reader. */
#include "blocks/mla/impl.h"

static void tell_index(const zoo_mla *p, const zoo_facts *to)
{
    if (!p->when.index && !p->index.follows) {
        return;
    }
    to->number(to, "rows_chosen", p->index.top_k);
    to->number(to, "read.latent", p->chosen_max);
    if (p->rope_dim) {
        to->number(to, "read.rope_key", p->chosen_max);
    }
    if (p->index.follows) {
        to->number(to, "follows_an_earlier_choice", 1);
        return;
    }
    to->number(to, "index_heads", p->index.n_heads);
    to->number(to, "index_dim", p->index.dim);
    if (p->when.pool) {
        to->number(to, "tokens_per_index_key", p->index.pool);
    }
    to->number(to, "flops.index_key", 2.0 * p->index.n_heads * p->index.dim);
}

void zoo_mla_facts(const void *params, const zoo_facts *to)
{
    const zoo_mla *p = params;
    to->text(to, "kind", "latent attention");
    to->number(to, "heads", p->n_heads);
    to->number(to, "head_dim", p->nope + p->rope_dim);
    to->number(to, "value_dim", p->v_dim);
    if (p->q_lora) {
        to->number(to, "q_rank", p->q_lora);
    }
    to->number(to, "kv_rank", p->kv_lora);
    if (p->rope_dim) {
        to->number(to, "rope_key", p->rope_dim);
    }
    if (p->window) {
        to->number(to, "window", p->window);
    }
    zoo_rope_facts(p->rope, to);
    to->number(to, "scale", (double)p->scale);
    if (p->gate) {
        to->text(to, "output_gate",
                 p->gate == ZOO_MLA_GATE_HEAD ? "one value a head" : "every element");
    }
    if (p->sinks) {
        to->number(to, "sinks", 1);
    }
    to->number(to, "flops.latent", 4.0 * p->n_heads * p->kv_lora);
    if (p->rope_dim) {
        to->number(to, "flops.rope_key", 2.0 * p->n_heads * p->rope_dim);
    }
    tell_index(p, to);
}
