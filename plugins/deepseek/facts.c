/* facts.c: compressed attention and shortcut experts as data for a reader. */
#include "csa.h"
#include "deepseek.h"

void ds_csa_facts(const void *params, const zoo_facts *to)
{
    const ds_csa *p = params;
    double flops = 4.0 * p->n_heads * p->head_dim;
    to->text(to, "kind", "compressed attention");
    to->number(to, "heads", p->n_heads);
    to->number(to, "kv_heads", 1);
    to->number(to, "head_dim", p->head_dim);
    to->number(to, "value_dim", p->head_dim);
    to->number(to, "q_rank", p->q_lora);
    to->number(to, "output_rank", p->o_lora);
    to->number(to, "output_groups", p->n_groups);
    to->number(to, "window", p->window);
    zoo_rope_facts(p->rope, to);
    to->number(to, "sinks", 1);
    to->number(to, "flops.kv", flops);
    if (!p->when.pool) {
        return;
    }
    to->number(to, "tokens_per_entry", p->ratio);
    to->number(to, "flops.entry", flops);
    if (p->overlap) {
        to->number(to, "entries_overlap", 1);
    }
    if (p->when.index) {
        to->number(to, "entries_chosen", p->top_k);
        to->number(to, "index_heads", p->index_heads);
        to->number(to, "index_dim", p->index_dim);
        to->number(to, "read.entry", p->top_k);
        to->number(to, "flops.index_entry", 2.0 * p->index_heads * p->index_dim);
    }
}

void ds_longcat_facts(const void *params, const zoo_facts *to)
{
    (void)params;
    to->text(to, "kind", "shortcut experts");
    to->text(to, "residual", "two attentions and two feed-forwards in a row, experts beside them");
    to->text(to, "norm_place", "before");
}
