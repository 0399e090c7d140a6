/*
 * mixers.c: params of the mixers of single releases, from those of the shared attention.
 *
 * Option mixer: "differential", "masked", "routed"; "kept" in layers of the kind that option
 * full_name names in layer_types; "blocks" in those, else where
 * sparse_attention_config.sparse_attention_freq is 1.
 * Keys: keep_window_size; sliding_window; num_experts, num_experts_per_tok; index_n_heads,
 * index_head_dim, index_block_size, index_topk_blocks, index_local_blocks.
 */
#include <math.h>
#include <string.h>

#include "llama.h"

static bool has(const zoo_decoder *b, const char *option, const char *name)
{
    return strcmp(b->config->text(b->config, option, ""), name) == 0;
}

/* Puts the params of attention at the head of a larger struct; null: no memory. */
static void *widen_params(zoo_decoder *b, zoo_part *part, const zoo_block_ops *ops, size_t size)
{
    void *p = b->setup->take(b->setup, size);
    if (p) {
        memcpy(p, part->params, sizeof(zoo_gqa));
        part->params = p;
        part->ops = ops;
    }
    return p;
}

static zoo_status turn_differential(zoo_decoder *b, uint32_t layer, zoo_part *part)
{
    llama_differential *p = widen_params(b, part, &llama_differential_ops, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->start = (float)(0.8 - 0.6 * exp(-0.3 * (double)layer));
    p->eps = b->eps;
    if (p->gqa.shape.n_kv_heads % 2 != 0 || p->gqa.shape.n_heads % 2 != 0) {
        b->config->refuse(b->config, "differential attention needs an even num_key_value_heads");
    }
    return ZOO_OK;
}

static zoo_status turn_masked(zoo_decoder *b, zoo_part *part)
{
    llama_masked *p = widen_params(b, part, &llama_masked_ops, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->keys_max = b->config->whole(b->config, "keep_window_size", 2048);
    p->v_width = p->gqa.shape.n_kv_heads * p->gqa.shape.v_dim;
    if (p->keys_max == 0) {
        b->config->refuse(b->config, "keep_window_size is 0");
    }
    return ZOO_OK;
}

static bool reads_blocks(const zoo_decoder *b, uint32_t layer)
{
    const zoo_config *c = b->config;
    static const char *const freq = "sparse_attention_config.sparse_attention_freq";
    char key[96];
    if (c->count(c, "layer_types")) {
        (void)snprintf(key, sizeof key, "layer_types[%u]", layer);
        return has(b, "@full_name", c->text(c, key, "full_attention"));
    }
    (void)snprintf(key, sizeof key, "%s[%u]", freq, layer);
    return c->number(c, key, 0) != 0;
}

static zoo_status turn_blocks(zoo_decoder *b, uint32_t layer, zoo_part *part)
{
    const zoo_config *c = b->config;
    uint32_t heads = c->whole(c, "index_n_heads", 4), dim = c->whole(c, "index_head_dim", 128);
    uint32_t block = c->whole(c, "index_block_size", 128);
    uint32_t top = c->whole(c, "index_topk_blocks", 16);
    uint32_t local = c->whole(c, "index_local_blocks", 1);
    if (!reads_blocks(b, layer)) {
        return ZOO_OK;
    }
    llama_blocks *p = widen_params(b, part, &llama_blocks_ops, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (llama_blocks){p->gqa, heads, dim, heads * dim, block, top, local, block * top};
    uint32_t rotated = p->gqa.options.rope ? 2 * p->gqa.options.rope->n_pairs : 0;
    if (!heads || !dim || !block || !top || block > 1u << 20 || top > 1u << 11 ||
        heads > 1u << 12 || dim > 1u << 12 || dim < rotated ||
        p->gqa.shape.n_kv_heads % heads != 0) {
        c->refuse(c, "an index of %u heads of %u that chooses %u blocks of %u keys", heads, dim,
                  top, block);
    }
    return ZOO_OK;
}

static zoo_status turn_kept(zoo_decoder *b, uint32_t layer, zoo_part *part)
{
    const zoo_config *c = b->config;
    char key[64];
    (void)snprintf(key, sizeof key, "layer_types[%u]", layer);
    if (!has(b, "@full_name", c->text(c, key, "full_attention"))) {
        return ZOO_OK;
    }
    llama_kept *p = widen_params(b, part, &llama_kept_ops, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->window = c->whole(c, "sliding_window", 128);
    if (p->window == 0) {
        c->refuse(c, "layer_types asks for a window beside the prompt, and sliding_window is 0");
    }
    b->plan->reuse_generated_max = p->window;
    return ZOO_OK;
}

static zoo_status turn_routed(zoo_decoder *b, zoo_part *part)
{
    const zoo_config *c = b->config;
    llama_routed *p = widen_params(b, part, &llama_routed_ops, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->n_experts = c->whole(c, "num_experts", 8);
    p->router = (zoo_router){.n_experts = p->n_experts,
                             .top_k = c->whole(c, "num_experts_per_tok", 2),
                             .score = ZOO_SCORE_LOGIT,
                             .chosen = ZOO_CHOSEN_SOFTMAX,
                             .scale = 1.0f};
    if (!p->router.top_k || p->router.top_k > p->n_experts || p->n_experts > 4096) {
        c->refuse(c, "%u of %u experts in attention", p->router.top_k, p->n_experts);
        return ZOO_OK;
    }
    p->gqa.shape.n_heads = p->gqa.shape.n_kv_heads * p->router.top_k;
    p->gqa.shape.layout = ZOO_QKV_FUSED;
    ZOO_TRY(zoo_gqa_finish(&p->gqa, b->err));
    uint32_t rows = p->gqa.derived.k_rows;
    p->gqa.shape.k_map = (zoo_rowmap){2 * rows, 0, rows, rows};
    p->gqa.shape.v_map = (zoo_rowmap){2 * rows, rows, rows, rows};
    p->gqa.derived.when.qkv_q = p->gqa.derived.when.o = 0; /* those are the experts' */
    return ZOO_OK;
}

/* Mixers that are not attention with something before or after the softmax. */
static const zoo_part_choice mixer_choices[] = {{NULL, NULL}};

zoo_status llama_mixer(zoo_decoder *b, uint32_t layer, zoo_part *part)
{
    zoo_part_maker *make = zoo_part_choose(mixer_choices, b->config->text(b->config, "@mixer", ""));
    if (make) {
        return make(b->config, b->setup, b->hidden, part, b->err);
    }
    ZOO_TRY(zoo_decoder_attention(b, layer, part));
    if (has(b, "@mixer", "")) {
        return ZOO_OK;
    }
    if (has(b, "@mixer", "differential")) {
        return turn_differential(b, layer, part);
    }
    if (has(b, "@mixer", "masked")) {
        return turn_masked(b, part);
    }
    if (has(b, "@mixer", "kept")) {
        return turn_kept(b, layer, part);
    }
    if (has(b, "@mixer", "routed")) {
        return turn_routed(b, part);
    }
    if (!has(b, "@mixer", "blocks")) {
        b->config->refuse(b->config, "the card's option mixer is no mixer of this plugin");
    }
    return turn_blocks(b, layer, part);
}
