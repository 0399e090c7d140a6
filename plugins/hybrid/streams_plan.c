/*
 * streams_plan.c: the plan of a model over several residual streams (option shape "gated_streams").
 *
 * Keys: hc_count, hc_lowrank, ple_layer_ids (from 1; layers with a state that first add n-grams).
 * Option pooled_index: attention reads blocks of keys that an index of pooled keys chooses.
 */
#include "blocks/hyper/hyper.h"
#include "ngram.h"

static zoo_status no_memory(const zoo_decoder *b)
{
    return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
}

static zoo_status read_streams(const zoo_decoder *b, hybrid_streams *p)
{
    const zoo_config *c = b->config;
    *p = (hybrid_streams){.hidden = b->hidden,
                          .n = c->whole(c, "hc_count", 4),
                          .rank = c->whole(c, "hc_lowrank", 320),
                          .eps = b->eps};
    if (p->n < 2 || p->n > HYBRID_STREAMS_MAX || !p->rank || p->rank > 1u << 20 ||
        p->hidden > 1u << 20) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "hc_count %u residual streams (2 to %d) of %u with gates of hc_lowrank %u",
                        p->n, HYBRID_STREAMS_MAX, p->hidden, p->rank);
    }
    p->flat = p->n * p->hidden;
    return ZOO_OK;
}

zoo_status hybrid_streams_ends(zoo_decoder *b)
{
    hybrid_streams *p = b->setup->take(b->setup, sizeof *p);
    zoo_part *ends = b->setup->take(b->setup, 2 * sizeof *ends);
    zoo_hyper *begin = b->setup->take(b->setup, sizeof *begin);
    if (!p || !ends || !begin) {
        return no_memory(b);
    }
    ZOO_TRY(read_streams(b, p));
    *begin = (zoo_hyper){.n = p->n, .hidden = p->hidden, .flat = p->flat};
    ends[0] = (zoo_part){.ops = &zoo_hyper_spread_ops,
                         .params = begin,
                         .name = "streams",
                         .in_scale = 1.0f,
                         .out_scale = 1.0f,
                         .width_in = b->hidden,
                         .width_out = p->flat};
    ends[1] = (zoo_part){.ops = &hybrid_gather_ops,
                         .params = p,
                         .name = "hyper_connection_mixer",
                         .path = zoo_decoder_path(b, "hyper_connection_mixer"),
                         .in_scale = 1.0f,
                         .out_scale = 1.0f,
                         .width_in = p->flat,
                         .width_out = b->hidden};
    b->plan->prologue = &ends[0];
    b->plan->epilogue = &ends[1];
    b->plan->n_prologue = b->plan->n_epilogue = 1;
    b->plan->stream_width = p->flat;
    b->plan->norm.kind = ZOO_NORM_NONE;
    return ends[1].path ? ZOO_OK : no_memory(b);
}

/* Whether the list holds the layer, and how many different layers of it come before. */
static bool adds_ngrams(const zoo_decoder *b, uint32_t layer, uint32_t *index)
{
    const zoo_config *c = b->config;
    bool *listed = b->setup->take(b->setup, b->n_layers * sizeof *listed);
    for (uint32_t i = 0; listed && i < c->count(c, "ple_layer_ids"); i++) {
        char at[64];
        (void)snprintf(at, sizeof at, "ple_layer_ids[%u]", i);
        uint32_t id = c->whole(c, at, 0);
        if (id < 1 || id > b->n_layers) {
            c->refuse(c, "ple_layer_ids holds %u, and the layers are 1 to %u", id, b->n_layers);
            return false;
        }
        listed[id - 1] = true;
    }
    *index = 0;
    for (uint32_t i = 0; listed && i < layer; i++) {
        *index += listed[i];
    }
    return listed && listed[layer];
}

/* Keys of parts that a model may lack: superseded, not unknown. */
static void claim_keys(const zoo_config *c)
{
    static const char *const names[] = {"ngram_size",
                                        "heads_per_ngram",
                                        "ple_embed_dim",
                                        "eos_token_id",
                                        "ple_conv_kernel_size",
                                        "ngram_vocab_size_base",
                                        "seed",
                                        "indexer_n_heads",
                                        "make_ngram_vocab_size_divisible_by",
                                        "indexer_kv_heads",
                                        "indexer_head_dim",
                                        "indexer_budget",
                                        "output_gate_type",
                                        "indexer_compress_ratio"};
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        (void)c->type(c, names[i]);
    }
}

zoo_status hybrid_streams_layer(zoo_decoder *b, hybrid_kind kind, uint32_t layer, zoo_layer *out)
{
    zoo_part *parts = b->setup->take(b->setup, 3 * sizeof *parts), *mixer = parts;
    hybrid_streams *p = b->setup->take(b->setup, sizeof *p);
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    uint32_t index = 0;
    if (!parts || !p || !path) {
        return no_memory(b);
    }
    claim_keys(b->config);
    ZOO_TRY(read_streams(b, p));
    p->ngrams = adds_ngrams(b, layer, &index);
    if (p->ngrams) {
        if (kind != HYBRID_LINEAR) {
            b->config->refuse(b->config, "ple_layer_ids holds %u, and that layer attends",
                              layer + 1);
        }
        ZOO_TRY(hybrid_ngram_part(b, p, index, mixer++));
    }
    bool pooled = kind == HYBRID_ATTENTION && zoo_decoder_flag(b, "@pooled_index", false);
    ZOO_TRY(kind != HYBRID_ATTENTION ? hybrid_mixer(b, layer, &mixer[0])
            : pooled                 ? hybrid_pooled_part(b, layer, &mixer[0])
                                     : zoo_decoder_attention(b, layer, &mixer[0]));
    ZOO_TRY(zoo_decoder_ffn(b, layer, &mixer[1]));
    *out = (zoo_layer){.path = path,
                       .kind = pooled ? "indexed_attention" : NULL,
                       .ops = &hybrid_streams_ops,
                       .params = p,
                       .parts = parts,
                       .n_parts = 2 + p->ngrams};
    return ZOO_OK;
}
