/*
 * plugin.c: descriptor of the plugin for decoders with grouped-query attention.
 *
 * The cards (models.d) say how each release is computed; blocks/decoder/decoder.h makes the plan;
 * MODEL.md has the maths.
 */
#include <string.h>

#include "blocks/predict/predict.h"
#include "llama.h"

static const zoo_key keys[] = {
    {"attention_bias", ZOO_KEY_READ, NULL},
    {"attention_multiplier", ZOO_KEY_READ, NULL},
    {"attention_out_bias", ZOO_KEY_READ, NULL},
    {"embedding_multiplier", ZOO_KEY_READ, NULL},
    {"head_dim", ZOO_KEY_READ, NULL},
    {"hidden_act", ZOO_KEY_READ, NULL},
    {"hidden_size", ZOO_KEY_READ, NULL},
    {"intermediate_size", ZOO_KEY_READ, NULL},
    {"layer_types", ZOO_KEY_READ, NULL},
    {"logits_scaling", ZOO_KEY_READ, NULL},
    {"max_position_embeddings", ZOO_KEY_READ, NULL},
    {"mlp_bias", ZOO_KEY_READ, NULL},
    {"num_attention_heads", ZOO_KEY_READ, NULL},
    {"num_hidden_layers", ZOO_KEY_READ, NULL},
    {"num_key_value_heads", ZOO_KEY_READ, NULL},
    {"pretraining_tp", ZOO_KEY_IGNORED, "splits matrices in training, changes no number"},
    {"residual_multiplier", ZOO_KEY_READ, NULL},
    {"rms_norm_eps", ZOO_KEY_READ, NULL},
    {"rope_parameters", ZOO_KEY_READ, NULL},
    {"rope_scaling", ZOO_KEY_READ, NULL},
    {"rope_theta", ZOO_KEY_READ, NULL},
    {"sliding_window", ZOO_KEY_READ, NULL},
    {"tie_word_embeddings", ZOO_KEY_READ, NULL},
    {"vocab_size", ZOO_KEY_READ, NULL},
    {NULL, 0, NULL},
};

static const zoo_block_ops *const mixers[] = {&zoo_gqa_ops,
                                              &llama_differential_ops,
                                              &llama_blocks_ops,
                                              &llama_masked_ops,
                                              &llama_kept_ops,
                                              &llama_routed_ops,
                                              NULL};
static const zoo_block_ops *const ffns[] = {
    &zoo_mlp_ops,     &zoo_moe_ops, &llama_products_ops, &llama_constant_ops, &llama_xielu_ops,
    &zoo_predict_ops, NULL};
static const zoo_block_ops *const layers[] = {&llama_weighed_ops, &llama_cycle_ops, NULL};
static const char *const needs[] = {"zoo.kernels/1", "zoo.cache/1", "zoo.memo/1", NULL};

/* A config that no card names is taken only if it is the plain block by all its keys. */
static uint32_t probe(const zoo_config *config, char *why, size_t n)
{
    if (config->type(config, "@card") != ZOO_ABSENT) {
        (void)snprintf(why, n, "a card names it");
        return 100;
    }
    static const char *const wanted[] = {"num_attention_heads", "num_hidden_layers", "hidden_size",
                                         "intermediate_size", "rms_norm_eps"};
    for (size_t i = 0; i < ZOO_COUNT(wanted); i++) {
        if (config->type(config, wanted[i]) != ZOO_NUMBER) {
            (void)snprintf(why, n, "there is no %s", wanted[i]);
            return 0;
        }
    }
    (void)snprintf(why, n, "it has the keys of a plain decoder");
    return 10;
}

ZOO_EXPORT extern const zoo_plugin zoo_plugin_entry;
const zoo_plugin zoo_plugin_entry = {
    .stamp = ZOO_STAMP,
    .size = sizeof(zoo_plugin),
    .name = "llama",
    .version = "1.0",
    .licence = "Apache-2.0",
    .summary = "decoders with grouped-query attention, dense or with experts",
    .needs = needs,
    .mixers = mixers,
    .ffns = ffns,
    .layers = layers,
    .keys = keys,
    .probe = probe,
    .configure = llama_configure,
};
