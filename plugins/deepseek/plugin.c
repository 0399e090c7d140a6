/*
 * plugin.c: descriptor of the plugin for models with latent attention.
 *
 * The cards (models.d) say how each release is computed; attention.c and layers.c make the plan;
 * MODEL.md has the maths.
 */
#include "blocks/hyper/hyper.h"
#include "blocks/predict/predict.h"
#include "csa.h"
#include "deepseek.h"

static const zoo_key keys[] = {
    {"attention_bias", ZOO_KEY_READ, NULL},
    {"first_k_dense_replace", ZOO_KEY_READ, NULL},
    {"hidden_act", ZOO_KEY_READ, NULL},
    {"hidden_size", ZOO_KEY_READ, NULL},
    {"intermediate_size", ZOO_KEY_READ, NULL},
    {"kv_lora_rank", ZOO_KEY_READ, NULL},
    {"max_position_embeddings", ZOO_KEY_READ, NULL},
    {"num_attention_heads", ZOO_KEY_READ, NULL},
    {"num_hidden_layers", ZOO_KEY_READ, NULL},
    {"q_lora_rank", ZOO_KEY_READ, NULL},
    {"qk_nope_head_dim", ZOO_KEY_READ, NULL},
    {"qk_rope_head_dim", ZOO_KEY_READ, NULL},
    {"rms_norm_eps", ZOO_KEY_READ, NULL},
    {"rope_parameters", ZOO_KEY_READ, NULL},
    {"rope_scaling", ZOO_KEY_READ, NULL},
    {"rope_theta", ZOO_KEY_READ, NULL},
    {"tie_word_embeddings", ZOO_KEY_READ, NULL},
    {"v_head_dim", ZOO_KEY_READ, NULL},
    {"vocab_size", ZOO_KEY_READ, NULL},
    {"head_dim", ZOO_KEY_IGNORED, "heads are qk_nope_head_dim + qk_rope_head_dim wide"},
    {"qk_head_dim", ZOO_KEY_IGNORED, "heads are qk_nope_head_dim + qk_rope_head_dim wide"},
    {"num_key_value_heads", ZOO_KEY_IGNORED, "all heads share one latent"},
    {"layer_types", ZOO_KEY_IGNORED, "all layers have the same attention"},
    {"pretraining_tp", ZOO_KEY_IGNORED, "splits matrices in training, changes no number"},
    {"ep_size", ZOO_KEY_IGNORED, "splits experts over machines, changes no number"},
    {"aux_loss_alpha", ZOO_KEY_IGNORED, "training only"},
    {"seq_aux", ZOO_KEY_IGNORED, "training only"},
    {"num_nextn_predict_layers", ZOO_KEY_IGNORED,
     "prediction layers only draft, and the first of them does"},
    {"num_mtp_layers", ZOO_KEY_IGNORED, "prediction layers only draft, and the first of them does"},
    {"moe_layer_freq", ZOO_KEY_IGNORED, "1 in every release; the reference does not read it"},
    {NULL, 0, NULL},
};

static const zoo_block_ops *const mixers[] = {&zoo_mla_ops, &ds_csa_ops, NULL};
static const zoo_block_ops *const ffns[] = {&zoo_hyper_spread_ops,
                                            &zoo_hyper_gather_ops,
                                            &zoo_hyper_mean_ops,
                                            &zoo_mlp_ops,
                                            &zoo_moe_ops,
                                            &zoo_predict_ops,
                                            NULL};
static const zoo_block_ops *const layers[] = {&ds_longcat_ops, &ds_framed_ops, &zoo_hyper_ops,
                                              NULL};
static const zoo_cache_ops *const caches[] = {&ds_fp8_rows, NULL};
static const char *const needs[] = {"zoo.kernels/1", "zoo.cache/1", "zoo.memo/1", NULL};

/* Only configs that a card names: the widths alone do not say how a router or a rope works. */
static uint32_t probe(const zoo_config *config, char *why, size_t n)
{
    if (config->type(config, "@card") != ZOO_ABSENT) {
        (void)snprintf(why, n, "a card names it");
        return 100;
    }
    bool latent = config->type(config, "kv_lora_rank") == ZOO_NUMBER;
    (void)snprintf(why, n,
                   latent ? "it has latent attention, but no card says which router and rotation"
                          : "there is no kv_lora_rank");
    return 0;
}

ZOO_EXPORT extern const zoo_plugin zoo_plugin_entry;
const zoo_plugin zoo_plugin_entry = {
    .stamp = ZOO_STAMP,
    .size = sizeof(zoo_plugin),
    .name = "deepseek",
    .version = "1.0",
    .licence = "Apache-2.0",
    .summary = "decoders with latent attention, dense or over keys that an indexer chooses",
    .needs = needs,
    .mixers = mixers,
    .ffns = ffns,
    .layers = layers,
    .caches = caches,
    .keys = keys,
    .probe = probe,
    .configure = ds_configure,
};
