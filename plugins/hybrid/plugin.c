/*
 * plugin.c: descriptor of the plugin for decoders whose layers keep a state of fixed size: state
 * spaces, delta rules, linear recurrences, short convolutions, alone or beside attention.
 *
 * The cards (models.d) say how each release is computed; kinds.c and layers.c list their options;
 * MODEL.md has the maths.
 */
#include <math.h>
#include <string.h>

#include "blocks/hyper/hyper.h"
#include "blocks/mla/mla.h"
#include "blocks/predict/predict.h"
#include "ngram.h"
#include "residuals.h"

static const zoo_key keys[] = {
    {"mamba_chunk_size", ZOO_KEY_IGNORED, "how the reference cuts a prompt; changes no result"},
    {"chunk_size", ZOO_KEY_IGNORED, "how the reference cuts a prompt; changes no result"},
    {"time_step_min", ZOO_KEY_IGNORED, "initialisation only, where it is not read"},
    {"time_step_floor", ZOO_KEY_IGNORED, "initialisation only"},
    {"time_step_max", ZOO_KEY_IGNORED, "initialisation only"},
    {"time_step_init_scheme", ZOO_KEY_IGNORED, "initialisation only"},
    {"time_step_scale", ZOO_KEY_IGNORED, "initialisation only"},
    {"rescale_prenorm_residual", ZOO_KEY_IGNORED, "initialisation only"},
    {"residual_in_fp32", ZOO_KEY_IGNORED, "the residual stream is float32"},
    {"mamba_ssm_cache_dtype", ZOO_KEY_IGNORED, "states are float32"},
    {"use_mamba_kernels", ZOO_KEY_IGNORED, "chooses code of the reference"},
    {"use_associative_scan", ZOO_KEY_IGNORED, "chooses code of the reference"},
    {"use_mambapy", ZOO_KEY_IGNORED, "chooses code of the reference"},
    {"use_mem_eff_path", ZOO_KEY_IGNORED, "chooses code of the reference"},
    {"num_logits_to_keep", ZOO_KEY_IGNORED, "a limit on memory of the reference"},
    {"use_sliding_window", ZOO_KEY_IS, "false"},
    {"mamba_inner_layernorms", ZOO_KEY_IS, "true"},
    {"normalization_function", ZOO_KEY_IS, "\"rmsnorm\""},
    {"rms_norm", ZOO_KEY_IS, "true"},
    {"init_method", ZOO_KEY_IGNORED, "initialisation only"},
    {"fused_add_norm", ZOO_KEY_IGNORED, "chooses code of the reference"},
    {"pad_vocab_size_multiple", ZOO_KEY_IGNORED, "the stored table says the size"},
    {"calc_logits_for_entire_prompt", ZOO_KEY_IGNORED, "a form of output"},
    {"z_loss_coefficient", ZOO_KEY_IGNORED, "training only"},
    {"rope_parameters", ZOO_KEY_READ, NULL},
    {"rope_scaling", ZOO_KEY_READ, NULL},
    {"rope_theta", ZOO_KEY_READ, NULL},
    {"hidden_act", ZOO_KEY_READ, NULL},
    {"hidden_size", ZOO_KEY_READ, NULL},
    {"intermediate_size", ZOO_KEY_READ, NULL},
    {"max_position_embeddings", ZOO_KEY_READ, NULL},
    {"num_attention_heads", ZOO_KEY_READ, NULL},
    {"num_key_value_heads", ZOO_KEY_READ, NULL},
    {"num_hidden_layers", ZOO_KEY_READ, NULL},
    {"head_dim", ZOO_KEY_READ, NULL},
    {"layer_types", ZOO_KEY_READ, NULL},
    {"vocab_size", ZOO_KEY_READ, NULL},
    {NULL, 0, NULL},
};

static const zoo_block_ops *const mixers[] = {
    &zoo_gqa_ops,          &zoo_mla_ops,        &hybrid_mamba2_ops,
    &hybrid_mamba1_ops,    &hybrid_delta_ops,   &hybrid_shortconv_ops,
    &hybrid_lightning_ops, &hybrid_rglru_ops,   &hybrid_mlstm_ops,
    &hybrid_rwkv_time_ops, &hybrid_cca_ops,     &hybrid_pooled_ops,
    &hybrid_relative_ops,  &hybrid_clipped_ops, NULL};
static const zoo_block_ops *const ffns[] = {&zoo_mlp_ops,
                                            &zoo_moe_ops,
                                            &hybrid_map_ops,
                                            &hybrid_norm_ops,
                                            &hybrid_rwkv_channel_ops,
                                            &hybrid_recalled_ops,
                                            &hybrid_scaled_first_ops,
                                            &zoo_hyper_spread_ops,
                                            &zoo_hyper_gather_ops,
                                            &zoo_hyper_mean_ops,
                                            &zoo_predict_ops,
                                            &hybrid_ngram_ops,
                                            &hybrid_gather_ops,
                                            &hybrid_sunk_ops,
                                            &hybrid_factored_ops,
                                            &hybrid_sconv_ops,
                                            &hybrid_residuals_first_ops,
                                            &hybrid_residuals_last_ops,
                                            NULL};
static const zoo_block_ops *const whole_layers[] = {&hybrid_shared_ops,
                                                    &zoo_hyper_ops,
                                                    &hybrid_scaled_ops,
                                                    &hybrid_streams_ops,
                                                    &hybrid_convolved_ops,
                                                    &hybrid_residuals_ops,
                                                    NULL};
static const char *const needs[] = {"zoo.kernels/1", "zoo.cache/1", "zoo.memo/1", NULL};

/* Only a card chooses this plugin: the same keys mean different mixers in different releases. */
static uint32_t probe(const zoo_config *config, char *why, size_t n)
{
    bool named = config->type(config, "@mixer") != ZOO_ABSENT;
    (void)snprintf(why, n, named ? "a card names it" : "no card says which mixer it has");
    return named ? 100 : 0;
}

/* Option embed_scale "sqrt_bf16": the root of the hidden size, rounded to bf16. */
static void round_embed_scale(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    if (strcmp(c->text(c, "@embed_scale", ""), "sqrt_bf16") != 0) {
        return;
    }
    uint32_t bits;
    float scale = sqrtf((float)b->hidden);
    memcpy(&bits, &scale, sizeof bits);
    bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    memcpy(&b->plan->embed_scale, &bits, sizeof bits);
}

/* Some files spell the eps of the norms twice. */
static void check_eps(const zoo_decoder *b)
{
    const zoo_config *c = b->config;
    double other = c->number(c, "layer_norm_epsilon", b->eps);
    if ((float)other != b->eps) {
        c->refuse(c, "rms_norm_eps is %g and layer_norm_epsilon %g", (double)b->eps, other);
    }
}

/* Option first_norm: a norm between the embeddings and the first layer; with embed_norm_inside it
 * belongs to the reference's embedding module. */
static zoo_status first_norm(zoo_decoder *b)
{
    const char *name = b->config->text(b->config, "@first_norm", NULL);
    if (!name) {
        return ZOO_OK;
    }
    zoo_part *part = b->setup->take(b->setup, sizeof *part);
    const char *path = zoo_decoder_path(b, name);
    if (!part) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    b->plan->prologue = part;
    b->plan->n_prologue = 1;
    if (zoo_decoder_flag(b, "@embed_norm_inside", false)) {
        b->plan->embed_scale_inside = 2;
    }
    return hybrid_norm_part(b, path, path, b->hidden, part);
}

/* The prediction layer is like the last layer with attention. */
static zoo_status predict(zoo_decoder *b)
{
    uint32_t like = b->n_layers;
    if (!zoo_decoder_predicts(b)) {
        return ZOO_OK;
    }
    while (like > 0 && hybrid_layer_kind(b, like - 1) != HYBRID_ATTENTION) {
        like--;
    }
    zoo_layer *layer = b->setup->take(b->setup, sizeof *layer);
    if (!layer) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    if (like == 0) {
        return zoo_fail(b->err, ZOO_E_UNSUPPORTED,
                        "a prediction layer needs a layer with attention that it is like");
    }
    ZOO_TRY(hybrid_layer(b, like - 1, layer));
    return zoo_decoder_predict(b, layer);
}

static zoo_status configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                            zoo_error *err)
{
    zoo_decoder b;
    ZOO_TRY(zoo_decoder_begin(&b, config, setup, plan, err));
    check_eps(&b);
    if (strcmp(config->text(config, "@shape", ""), "streams") == 0) {
        const zoo_hyper *streams;
        ZOO_TRY(zoo_hyper_ends(&b, &streams));
    }
    if (strcmp(config->text(config, "@shape", ""), "scaled") == 0) {
        ZOO_TRY(hybrid_scaled_begin(&b));
    }
    zoo_layer *layers = setup->take(setup, b.n_layers * sizeof *layers);
    if (!layers) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the plan");
    }
    for (uint32_t i = 0; i < b.n_layers; i++) {
        ZOO_TRY(hybrid_layer(&b, i, &layers[i]));
    }
    plan->layers = layers;
    plan->n_layers = b.n_layers;
    round_embed_scale(&b);
    plan->norm.eps = (float)config->number(config, "@last_eps", plan->norm.eps);
    ZOO_TRY(first_norm(&b));
    ZOO_TRY(predict(&b));
    const char *shape = config->text(config, "@shape", "");
    return strcmp(shape, "rwkv") == 0            ? hybrid_rwkv_finish(&b)
           : strcmp(shape, "gated_streams") == 0 ? hybrid_streams_ends(&b)
           : strcmp(shape, "residuals") == 0     ? hybrid_residuals_ends(&b)
                                                 : ZOO_OK;
}

ZOO_EXPORT extern const zoo_plugin zoo_plugin_entry;
const zoo_plugin zoo_plugin_entry = {
    .stamp = ZOO_STAMP,
    .size = sizeof(zoo_plugin),
    .name = "hybrid",
    .version = "1.0",
    .licence = "Apache-2.0",
    .summary = "decoders with state spaces, delta rules, linear recurrences or short convolutions",
    .needs = needs,
    .mixers = mixers,
    .ffns = ffns,
    .layers = whole_layers,
    .keys = keys,
    .probe = probe,
    .configure = configure,
};
