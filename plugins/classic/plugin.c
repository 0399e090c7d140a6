/*
 * plugin.c: descriptor of the plugin for the decoders of 2019 to 2023: learned, sinusoidal or
 * linear positions, layer norms with bias, plain feed-forward parts, parallel or serial branches.
 *
 * Attention and feed-forward are the shared blocks; the cards set their options. MODEL.md has
 * the maths.
 */
#include "classic.h"

static const zoo_key keys[] = {
    {"attn_config.alibi", ZOO_KEY_IS, "true"},
    {"attn_config.attn_type", ZOO_KEY_IS, "\"multihead_attention\""},
    {"attn_config.prefix_lm", ZOO_KEY_IS, "false"},
    {"attn_config.qk_ln", ZOO_KEY_IS, "false"},
    {"hidden_act", ZOO_KEY_READ, NULL},
    {"hidden_size", ZOO_KEY_READ, NULL},
    {"intermediate_size", ZOO_KEY_READ, NULL},
    {"max_position_embeddings", ZOO_KEY_READ, NULL},
    {"num_attention_heads", ZOO_KEY_READ, NULL},
    {"num_hidden_layers", ZOO_KEY_READ, NULL},
    {"rms_norm_eps", ZOO_KEY_READ, NULL},
    {"summary_activation", ZOO_KEY_IGNORED, "for classification heads only"},
    {"summary_first_dropout", ZOO_KEY_IGNORED, "for classification heads only"},
    {"summary_proj_to_labels", ZOO_KEY_IGNORED, "for classification heads only"},
    {"summary_type", ZOO_KEY_IGNORED, "for classification heads only"},
    {"summary_use_proj", ZOO_KEY_IGNORED, "for classification heads only"},
    {"tie_word_embeddings", ZOO_KEY_READ, NULL},
    {"vocab_size", ZOO_KEY_READ, NULL},
    {NULL, 0, NULL},
};

static const zoo_block_ops *const mixers[] = {&zoo_gqa_ops, &classic_rotated_ops, NULL};
static const zoo_block_ops *const ffns[] = {&zoo_mlp_ops,           &classic_positions_ops,
                                            &classic_first_row_ops, &classic_project_ops,
                                            &classic_joined_ops,    NULL};
static const char *const needs[] = {"zoo.kernels/1", "zoo.cache/1", "zoo.memo/1", NULL};

/* Only a card chooses this plugin: these configs name their keys too differently to be guessed. */
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
    .name = "classic",
    .version = "1.0",
    .licence = "Apache-2.0",
    .summary = "decoders with learned, sinusoidal or linear positions and layer norms with bias",
    .needs = needs,
    .mixers = mixers,
    .ffns = ffns,
    .keys = keys,
    .probe = probe,
    .configure = classic_configure,
};
