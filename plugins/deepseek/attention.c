/*
 * attention.c: params of latent attention from a config and a card.
 *
 * Keys: q_lora_rank (null: no bottleneck), kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim,
 * v_head_dim, attention_bias; index_n_heads, index_head_dim, index_topk,
 * indexer_types, index_topk_pattern, index_topk_freq, index_skip_topk_offset.
 * Options:
 *   interleave           pairs (2i, 2i + 1) rotate together (the default), else (i, i + n / 2)
 *   no_mscale            scores are not scaled by the square of yarn's mscale
 *   rank_scale           q and latent are multiplied by sqrt(hidden / rank), unless
 *                        mla_scale_q_lora, mla_scale_kv_lora say no
 *   temperature          "yarn": llama_4_scaling_beta over original_max_position_embeddings
 *   index                an indexer; index_interleaved: its vectors rotate pairs (2i, 2i + 1)
 *   q_both, gate_in_q    q_b reads the normed and the raw latent; holds gate rows
 *   latent_eps           eps of the norms of latents, 1e-6, or a key that holds it
 *   index_eps            the norm of index keys has rms_norm_eps
 *   index_last           index vectors rotate their last elements
 *   gate                 "element": a gate of every value, "head": of every head; sinks
 *   rope_norm            k_pe is normed before it is rotated
 *   latent_types         typed.c; rotated_layers, latent_sources: shared.c
 *   log_scaling          heads of q are multiplied by a learned s ln(pos + 1) + b
 *   learned_rope         the model's frequencies are multiplied by e^alpha
 *   index_from_input     index queries are made from the normed input
 */
#include "deepseek.h"

#include <math.h>
#include <string.h>

static zoo_mla_gate read_gate(const ds_model *m)
{
    const char *gate = m->b.config->text(m->b.config, "@gate", "");
    return zoo_decoder_flag(&m->b, "@gate_in_q", false) ? ZOO_MLA_GATE_IN_Q
           : strcmp(gate, "element") == 0               ? ZOO_MLA_GATE_ELEMENT
           : strcmp(gate, "head") == 0                  ? ZOO_MLA_GATE_HEAD
                                                        : ZOO_MLA_GATE_NONE;
}

zoo_status ds_read_rope(ds_model *m)
{
    zoo_decoder *b = &m->b;
    const zoo_config *c = b->config;
    zoo_rope *rope = b->setup->take(b->setup, sizeof *rope);
    uint32_t *choice = b->setup->take(b->setup, sizeof *choice);
    if (!rope || !choice) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for rotary tables");
    }
    m->choice = choice;
    if (zoo_decoder_flag(b, "@latent_types", false)) {
        return ds_read_typed_ropes(m);
    }
    uint32_t dim = c->whole(c, "qk_rope_head_dim", 64);
    zoo_rope_want want = {.head_dim = dim,
                          .rotary_dim = dim,
                          .partial_key = "",
                          .theta = c->number(c, "@rope_theta", 10000.0),
                          .interleaved = zoo_decoder_flag(b, "@interleave", true)};
    ZOO_TRY(zoo_rope_read(c, b->setup, &want, rope, b->err));
    zoo_rope_reread(rope, b->plan);
    m->rope = rope;
    return ZOO_OK;
}

static double score_scale(const ds_model *m)
{
    return zoo_decoder_flag(&m->b, "@no_mscale", false) ? 1.0 : zoo_rope_score_scale(m->rope);
}

/* Whether layer `layer` chooses keys itself or takes an earlier layer's choice. */
static bool chooses(const ds_model *m, uint32_t layer)
{
    const zoo_config *c = m->b.config;
    char key[64];
    (void)snprintf(key, sizeof key, "indexer_types[%u]", layer);
    if (c->count(c, "indexer_types")) {
        const char *type = c->text(c, key, "full");
        if (strcmp(type, "full") != 0 && strcmp(type, "shared") != 0) {
            c->refuse(c, "indexer_types names \"%.60s\", which is neither full nor shared", type);
        }
        return strcmp(type, "full") == 0;
    }
    if (c->type(c, "index_topk_pattern") == ZOO_STRING) {
        const char *letters = c->text(c, "index_topk_pattern", "");
        return layer >= strlen(letters) || letters[layer] == 'F';
    }
    uint32_t every = c->whole(c, "index_topk_freq", 1);
    uint32_t offset = c->whole(c, "index_skip_topk_offset", 2);
    uint32_t at = layer + 1 > offset ? layer + 1 - offset : 0;
    return every <= 1 || at % every == 0;
}

static void read_index(const ds_model *m, uint32_t layer, zoo_mla *p)
{
    const zoo_config *c = m->b.config;
    if (!ds_layer_indexes(m, layer)) {
        return;
    }
    uint32_t n_heads = c->whole(c, "index_n_heads", 64), dim = c->whole(c, "index_head_dim", 128);
    bool own = m->predicting || chooses(m, layer);
    p->index.top_k = c->whole(c, "index_topk", 2048);
    p->index.n_heads = own ? n_heads : 0;
    p->index.dim = own ? dim : 0;
    p->index.follows = !own;
    p->index.interleaved = zoo_decoder_flag(&m->b, "@index_interleaved", false);
    p->index.rope_last = zoo_decoder_flag(&m->b, "@index_last", false);
    p->index.norm_eps = zoo_decoder_flag(&m->b, "@index_eps", false) ? m->b.eps : 0;
    p->index.from_input = zoo_decoder_flag(&m->b, "@index_from_input", false);
    p->index.choice = m->choice;
    if (!own && layer == 0) {
        c->refuse(c, "the first layer has no indexer whose choice it could share");
    }
}

static void read_sizes(const ds_model *m, uint32_t layer, zoo_mla *p)
{
    const zoo_config *c = m->b.config;
    p->width_in = m->b.hidden;
    p->n_heads = ds_layer_size(m, layer, "num_attention_heads", m->b.n_heads);
    p->q_lora = ds_layer_size(m, layer, "q_lora_rank", 0);
    p->kv_lora = ds_layer_size(m, layer, "kv_lora_rank", 512);
    p->nope = ds_layer_size(m, layer, "qk_nope_head_dim", 128);
    p->rope_dim = ds_layer_size(m, layer, "qk_rope_head_dim", 64);
    p->v_dim = ds_layer_size(m, layer, "v_head_dim", m->b.hidden / m->b.n_heads);
    p->window = ds_layer_slides(m, layer) ? c->whole(c, "sliding_window", 512) : 0;
    p->rope_norm = zoo_decoder_flag(&m->b, "@rope_norm", false);
    p->log_scaling = zoo_decoder_flag(&m->b, "@log_scaling", false);
    p->learned_rope = zoo_decoder_flag(&m->b, "@learned_rope", false);
    p->shares = ds_latent_source(m, layer) != layer;
    p->rope = p->window ? m->sliding_rope : m->rope;
    if (!ds_layer_rotates(m, layer)) {
        p->nope += p->rope_dim;
        p->rope_dim = 0;
        p->rope = NULL;
    }
    p->bias = c->flag(c, "attention_bias", false);
    const char *eps = c->text(c, "@latent_eps", "@latent_eps");
    p->norm_eps = (float)c->number(c, eps, 1e-6);
}

zoo_status ds_attention(ds_model *m, uint32_t layer, const char *name, zoo_part *out)
{
    const zoo_decoder *b = &m->b;
    const zoo_config *c = b->config;
    zoo_mla *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    read_sizes(m, layer, p);
    p->scale = (float)(score_scale(m) / sqrt((double)p->nope + p->rope_dim));
    if (zoo_decoder_flag(b, "@rank_scale", false) && p->q_lora && p->kv_lora) {
        bool of_q = c->flag(c, "mla_scale_q_lora", true);
        bool of_latent = c->flag(c, "mla_scale_kv_lora", true);
        p->q_scale = of_q ? (float)sqrt((double)b->hidden / p->q_lora) : 0;
        p->latent_scale = of_latent ? (float)sqrt((double)b->hidden / p->kv_lora) : 0;
    }
    if (strcmp(c->text(c, "@temperature", ""), "yarn") == 0) {
        p->temp_scale = (float)c->number(c, "rope_parameters.llama_4_scaling_beta", 0.0);
        p->temp_period = (float)m->rope->original_max;
    }
    p->q_both = zoo_decoder_flag(b, "@q_both", false);
    p->gate = read_gate(m);
    p->sinks = zoo_decoder_flag(b, "@sinks", false);
    read_index(m, layer, p);
    *out = (zoo_part){
        .ops = &zoo_mla_ops, .params = p, .name = name, .in_scale = 1.0f, .out_scale = 1.0f};
    out->cache_of = p->shares ? m->latents[ds_latent_source(m, layer)] : NULL;
    m->latents[layer] = out;
    return zoo_mla_finish(p, b->err);
}
