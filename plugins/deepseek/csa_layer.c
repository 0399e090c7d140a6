/*
 * csa_layer.c: params of attention over compressed entries, and of the experts beside it.
 *
 * Kinds of layers: layer_types with compress_rates, or compress_ratios (0: window only, below 16:
 * overlapping entries with an indexer, else plain entries). Rotation: rope_parameters.main and
 * .compress; else rope_theta without scaling for layers of the first kind, compress_rope_theta with
 * rope_scaling for the others. Experts by token id: mlp_layer_types
 * "hash_moe", or the first num_hash_layers.
 */
#include "csa.h"
#include "deepseek.h"

#include <string.h>

enum { OVERLAP_BELOW = 16 };

static void read_kind(const zoo_decoder *b, uint32_t layer, ds_csa *p)
{
    const zoo_config *c = b->config;
    char key[64];
    if (!c->count(c, "layer_types")) {
        (void)snprintf(key, sizeof key, "compress_ratios[%u]", layer);
        p->ratio = c->whole(c, key, 0);
        p->overlap = p->ratio && p->ratio < OVERLAP_BELOW;
        return;
    }
    (void)snprintf(key, sizeof key, "layer_types[%u]", layer);
    const char *kind = c->text(c, key, "");
    if (strcmp(kind, "compressed_sparse_attention") == 0) {
        p->ratio = c->whole(c, "compress_rates.compressed_sparse_attention", 4);
        p->overlap = 1;
    } else if (strcmp(kind, "heavily_compressed_attention") == 0) {
        p->ratio = c->whole(c, "compress_rates.heavily_compressed_attention", 128);
    } else if (strcmp(kind, "sliding_attention") != 0) {
        c->refuse(c, "layer_types names \"%.60s\", which is no kind of attention here", kind);
    }
}

static zoo_status read_rope(ds_model *m, bool compressed, bool back, const zoo_rope **out)
{
    zoo_decoder *b = &m->b;
    const zoo_config *c = b->config;
    uint32_t place = (compressed ? 2u : 0u) + (back ? 1u : 0u);
    const char *member = compressed ? "rope_parameters.compress" : "rope_parameters.main";
    bool own = c->type(c, member) == ZOO_OBJECT;
    uint32_t dim = c->whole(c, "qk_rope_head_dim", 64);
    double theta = c->number(c, "compress_rope_theta", 160000.0);
    const zoo_rope_want want = {.head_dim = dim,
                                .rotary_dim = dim,
                                .layer_type = compressed ? "compress" : "main",
                                .theta = 10000.0,
                                .theta_fixed = compressed && !own ? theta : 0,
                                .interleaved = 1,
                                .negated = back,
                                .unscaled = !compressed};
    if (!m->csa_ropes[place]) {
        zoo_rope *rope = b->setup->take(b->setup, sizeof *rope);
        if (!rope) {
            return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for rotary tables");
        }
        ZOO_TRY(zoo_rope_read(c, b->setup, &want, rope, b->err));
        m->csa_ropes[place] = rope;
    }
    *out = m->csa_ropes[place];
    if ((*out)->kind != ZOO_ROPE_FIXED) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "rotary tables that depend on the length");
    }
    return ZOO_OK;
}

zoo_status ds_csa_attention(ds_model *m, uint32_t layer, zoo_part *out, const char **kind)
{
    zoo_decoder *b = &m->b;
    const zoo_config *c = b->config;
    ds_csa *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (ds_csa){.width_in = b->hidden,
                  .n_heads = b->n_heads,
                  .head_dim = b->head_dim,
                  .rope_dim = c->whole(c, "qk_rope_head_dim", 64),
                  .q_lora = c->whole(c, "q_lora_rank", 1024),
                  .n_groups = c->whole(c, "o_groups", 8),
                  .o_lora = c->whole(c, "o_lora_rank", 1024),
                  .window = c->whole(c, "sliding_window", 128),
                  .norm_eps = b->eps};
    read_kind(b, layer, p);
    uint32_t index_heads = c->whole(c, "index_n_heads", 64);
    uint32_t index_dim = c->whole(c, "index_head_dim", 128), top_k = c->whole(c, "index_topk", 512);
    if (p->overlap) {
        p->index_heads = index_heads;
        p->index_dim = index_dim;
        p->top_k = top_k;
    }
    ZOO_TRY(read_rope(m, p->ratio != 0, false, &p->rope));
    ZOO_TRY(read_rope(m, p->ratio != 0, true, &p->back));
    *kind = p->overlap ? "compressed_sparse_attention"
            : p->ratio ? "heavily_compressed_attention"
                       : "sliding_attention";
    *out = (zoo_part){
        .ops = &ds_csa_ops, .params = p, .name = "self_attn", .in_scale = 1.0f, .out_scale = 1.0f};
    return ds_csa_finish(p, b->err);
}

zoo_status ds_hash_experts(ds_model *m, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = m->b.config;
    char key[64];
    (void)snprintf(key, sizeof key, "mlp_layer_types[%u]", layer);
    ZOO_TRY(zoo_decoder_experts(&m->b, layer, out));
    zoo_moe *p = (zoo_moe *)(uintptr_t)out->params;
    bool hash = c->count(c, "mlp_layer_types") ? strcmp(c->text(c, key, ""), "hash_moe") == 0
                                               : layer < c->whole(c, "num_hash_layers", 3);
    p->hash_rows = hash ? m->b.plan->vocab_size : 0;
    p->correction_bias = !hash;
    return zoo_moe_finish(p, m->b.hidden, m->b.err);
}
