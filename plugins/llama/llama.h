/*
 * llama.h: what the files of this plugin share: model.c (plan) and the mixers that single releases
 * brought, each built on the shared attention: its params begin with a zoo_gqa, its weights with a
 * zoo_gqa_weights.
 */
#ifndef PLUGIN_LLAMA_H
#define PLUGIN_LLAMA_H

#include "blocks/decoder/decoder.h"
#include "blocks/gqa/impl.h"
#include "blocks/ops.h"

/* differential.c */
typedef struct llama_differential {
    zoo_gqa gqa;
    float start; /* lambda without the learned part */
    float eps;
} llama_differential;
extern const zoo_block_ops llama_differential_ops;

/* blocks.c: keys in blocks, chosen by an indexer. */
typedef struct llama_blocks {
    zoo_gqa gqa;
    uint32_t index_heads, index_dim, index_rows;
    uint32_t block, top_blocks, local_blocks;
    uint32_t keys_max; /* keys that a query reads at most */
} llama_blocks;
extern const zoo_block_ops llama_blocks_ops;

/* masked.c: keys with a bias that comes from their values. */
typedef struct llama_masked {
    zoo_gqa gqa;
    uint32_t keys_max; /* a query reads so many keys, those of largest bias */
    uint32_t v_width;  /* all values of a row */
} llama_masked;
extern const zoo_block_ops llama_masked_ops;

/* kept.c: generated tokens see the prompt and a window. */
typedef struct llama_kept {
    zoo_gqa gqa;
    uint32_t window;
} llama_kept;
extern const zoo_block_ops llama_kept_ops;

/* routed.c: queries and outputs by experts. */
typedef struct llama_routed {
    zoo_gqa gqa; /* n_heads = top_k n_kv_heads */
    zoo_router router;
    uint32_t n_experts;
} llama_routed;
extern const zoo_block_ops llama_routed_ops;

/* constant.c: y = bias. */
typedef struct llama_constant {
    uint32_t width;
} llama_constant;
extern const zoo_block_ops llama_constant_ops;

/* cycles.c: the first layer of a run of a stack. */
enum { LLAMA_QUICK = 0, LLAMA_SLOW = 1 };
typedef struct llama_cycle {
    uint32_t width;
    uint32_t first;  /* of the model: x is the embedding */
    uint32_t before; /* the state that the run before made, LLAMA_QUICK or LLAMA_SLOW */
    float eps;
    const void *key; /* of the states of a step, the same in all layers */
} llama_cycle;
extern const zoo_block_ops llama_cycle_ops;
/* Layers of b->plan, in cycles; b must be begun. cycles_plan.c [load] */
zoo_status llama_configure_cycles(zoo_decoder *b);

/* weighed.c: a layer whose residual has a weight for each channel. */
typedef struct llama_weighed {
    uint32_t width;
    uint32_t n_parts; /* 0: attention; the others: what is added after it */
} llama_weighed;
extern const zoo_block_ops llama_weighed_ops;

/* facts.c [load] */
typedef void llama_facts_fn(const void *params, const zoo_facts *to);
llama_facts_fn llama_differential_facts, llama_blocks_facts, llama_masked_facts, llama_kept_facts,
    llama_routed_facts, llama_products_facts, llama_constant_facts, llama_weighed_facts,
    llama_cycle_facts;

/* products.c: experts of one inner value each, found by product keys. */
typedef struct llama_products {
    uint32_t width;
    uint32_t n_keys, key_rows; /* of a half; 2 n_keys */
    uint32_t n_experts, top_k;
    uint32_t act;
} llama_products;
extern const zoo_block_ops llama_products_ops;

/* xielu.c: a plain feed-forward part whose activation has learned coefficients. */
typedef struct llama_xielu {
    uint32_t hidden, width, one;
} llama_xielu;
extern const zoo_block_ops llama_xielu_ops;
zoo_part_maker llama_xielu_part;

/* The mixer of a layer. mixers.c */
zoo_status llama_mixer(zoo_decoder *b, uint32_t layer, zoo_part *part);

/* model.c */
zoo_status llama_configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                           zoo_error *err);

#endif
