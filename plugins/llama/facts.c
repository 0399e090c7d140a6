/* facts.c: the blocks of this plugin as data for a reader; what they share with the shared
 * attention comes from it. */
#include "llama.h"

void llama_differential_facts(const void *params, const zoo_facts *to)
{
    const llama_differential *p = params;
    zoo_gqa_facts(params, to);
    to->text(to, "kind", "differential attention");
    to->number(to, "pairs_of_heads", p->gqa.shape.n_heads / 2);
    to->number(to, "lambda_start", (double)p->start);
}

void llama_blocks_facts(const void *params, const zoo_facts *to)
{
    const llama_blocks *p = params;
    zoo_gqa_facts(params, to);
    to->text(to, "kind", "sparse attention");
    to->number(to, "block", p->block);
    to->number(to, "blocks_chosen", p->top_blocks);
    to->number(to, "index_heads", p->index_heads);
    to->number(to, "index_dim", p->index_dim);
    to->number(to, "rows_chosen", p->keys_max);
    to->number(to, "read.k", p->keys_max);
    to->number(to, "read.v", p->keys_max);
    to->number(to, "flops.index_key", 2.0 * p->index_heads * p->index_dim);
}

/* The bias of a key comes from its value, so all values are there; the keys of the largest are
 * read. */
void llama_masked_facts(const void *params, const zoo_facts *to)
{
    const llama_masked *p = params;
    zoo_gqa_facts(params, to);
    to->text(to, "kind", "sparse attention");
    to->number(to, "rows_chosen", p->keys_max);
    to->number(to, "read.k", p->keys_max);
    to->number(to, "read.v", p->keys_max);
}

/* A window bounds what is read beside the prompt, whose length the plan does not know. */
void llama_kept_facts(const void *params, const zoo_facts *to)
{
    const llama_kept *p = params;
    zoo_gqa_facts(params, to);
    to->number(to, "kept_window", p->window);
}

void llama_routed_facts(const void *params, const zoo_facts *to)
{
    const llama_routed *p = params;
    zoo_gqa_facts(params, to);
    to->text(to, "kind", "routed attention");
    to->number(to, "experts", p->n_experts);
    zoo_router_facts(&p->router, to);
}

void llama_products_facts(const void *params, const zoo_facts *to)
{
    const llama_products *p = params;
    to->text(to, "kind", "experts");
    to->text(to, "router", "two halves of keys");
    to->number(to, "experts", p->n_experts);
    to->number(to, "experts_per_token", p->top_k);
    to->number(to, "inner", 1);
    to->text(to, "activation", zoo_act_name(p->act));
}

void llama_constant_facts(const void *params, const zoo_facts *to)
{
    (void)params;
    to->text(to, "kind", "constant");
}

void llama_cycle_facts(const void *params, const zoo_facts *to)
{
    const llama_cycle *p = params;
    to->text(to, "kind", "first layer of a cycle");
    to->text(to, "residual",
             p->first ? "the embedding and a learned state"
                      : "the quick and the slow state, one of them normed first");
}

void llama_weighed_facts(const void *params, const zoo_facts *to)
{
    (void)params;
    to->text(to, "kind", "weighed residual");
    to->text(to, "residual", "every channel of stream and branch has a weight");
}
