/*
 * plugin.c: descriptor of the plugin for decoders of the sliding-window kind: norms of 1 + w around
 * each branch, scaled embeddings, most layers windowed, soft caps.
 *
 * The attention and feed-forward blocks are the shared ones; the cards set their options.
 * MODEL.md has the maths.
 */
#include <string.h>

#include "gemma.h"

static const zoo_key keys[] = {
    {"attn_logit_softcapping", ZOO_KEY_READ, NULL},
    {"final_logit_softcapping", ZOO_KEY_READ, NULL},
    {"head_dim", ZOO_KEY_READ, NULL},
    {"hidden_act", ZOO_KEY_READ, NULL},
    {"hidden_activation", ZOO_KEY_READ, NULL},
    {"hidden_size", ZOO_KEY_READ, NULL},
    {"intermediate_size", ZOO_KEY_READ, NULL},
    {"layer_types", ZOO_KEY_READ, NULL},
    {"max_position_embeddings", ZOO_KEY_READ, NULL},
    {"num_attention_heads", ZOO_KEY_READ, NULL},
    {"num_hidden_layers", ZOO_KEY_READ, NULL},
    {"num_key_value_heads", ZOO_KEY_READ, NULL},
    {"query_pre_attn_scalar", ZOO_KEY_READ, NULL},
    {"rms_norm_eps", ZOO_KEY_READ, NULL},
    {"rope_local_base_freq", ZOO_KEY_READ, NULL},
    {"rope_parameters", ZOO_KEY_READ, NULL},
    {"rope_theta", ZOO_KEY_READ, NULL},
    {"sliding_window", ZOO_KEY_READ, NULL},
    {"tie_word_embeddings", ZOO_KEY_READ, NULL},
    {"use_bidirectional_attention", ZOO_KEY_IS, "false|\"vision\""},
    {"vocab_size", ZOO_KEY_READ, NULL},
    {NULL, 0, NULL},
};

static const zoo_block_ops *const mixers[] = {&zoo_gqa_ops, NULL};
static const zoo_block_ops *const ffns[] = {&zoo_mlp_ops,
                                            &zoo_moe_ops,
                                            &gemma_experts4_ops,
                                            &gemma_per_layer_ops,
                                            &gemma_soft_tokens_ops,
                                            &gemma_sparse_mlp_ops,
                                            &gemma_streams_begin_ops,
                                            &gemma_streams_end_ops,
                                            NULL};
static const zoo_block_ops *const layers[] = {&gemma_layer4_ops, &gemma_layer3n_ops,
                                              &gemma_gated_ops, NULL};
static const char *const needs[] = {"zoo.kernels/1", "zoo.cache/1", "zoo.memo/1", NULL};

/* Only a card chooses this plugin: its defaults differ too much to be guessed. */
static uint32_t probe(const zoo_config *config, char *why, size_t n)
{
    bool named = config->type(config, "@card") != ZOO_ABSENT;
    (void)snprintf(why, n, named ? "a card names it" : "no card names it");
    return named ? 100 : 0;
}

ZOO_EXPORT extern const zoo_plugin zoo_plugin_entry;
const zoo_plugin zoo_plugin_entry = {
    .stamp = ZOO_STAMP,
    .size = sizeof(zoo_plugin),
    .name = "gemma",
    .version = "1.0",
    .licence = "Apache-2.0",
    .summary = "decoders with windowed layers, norms around each branch and soft caps",
    .needs = needs,
    .mixers = mixers,
    .ffns = ffns,
    .layers = layers,
    .keys = keys,
    .probe = probe,
    .configure = gemma_configure,
};
