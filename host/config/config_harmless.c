/*
 * config_harmless.c: keys that concern files, tokens, training, caching or output format, never the
 * forward pass; and values of keys that no class of the type reads which leave it as it is.
 *
 * Releases with code of their own write the settings of that code: for training, for towers of
 * images and sound, and for parts that the released model does not have (one group of experts,
 * every layer, a factor of 1). A switch does not belong here: what `false` means is the card's to
 * say, since a class may do always what the switch turns off. Biases are stored or not.
 */
#include <string.h>

#include "config/config_private.h"

static const char *const harmless[] = {
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_pdrop",
    "auto_map",
    "bos_token_id",
    "cache_config",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "dtype",
    "embd_pdrop",
    "embedding_dropout",
    "eos_token_id",
    "finetuning_task",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "language",
    "license",
    "model_type",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "pad_token_id",
    "problem_type",
    "resid_pdrop",
    "return_dict",
    "router_aux_loss_coef",
    "sep_token_id",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "unk_token_id",
    "use_cache",
    "quantization_config",
    "bad_words_ids",
    "begin_suppress_tokens",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_scores",
    "prefix",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict_in_generate",
    "suppress_tokens",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "top_k",
    "top_p",
    "typical_p",
    "use_bfloat16",
    "add_cross_attention",
    "cross_attention_hidden_size",
    "dropout",
    "activation_dropout",
    "layerdrop",
    "encoder_no_repeat_ngram_size",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "attn_implementation",
    "unsloth_fixed",
    "ep_size",
    "pretraining_seq_length",
    "z_loss_coefficient",
    "unsloth_version",
    "_commit_hash",
    "cache_implementation",
    "name_or_path",
    "num_labels",
    "tokenizer_vocab_size",
    "tie_last_hidden_states",
    "experts_implementation",
};

typedef struct remark {
    const char *name, *why;
} remark;

/* Keys that a class does not read, by how they begin, how they end, or whole. */
static const remark begins[] = {
    {"anyres_", "images"},
    {"audio_", "sound"},
    {"image_", "images"},
    {"init_", "initialisation only"},
    {"mtp_", "layers for drafting"},
    {"summary_", "a head that classifies"},
    {"video_", "videos"},
    {"vision_", "images"},
    {"vit_", "images"},
};
static const remark ends[] = {
    {"_balance_coeff", "training only"},
    {"_dropout", "training only"},
    {"_dropout_prob", "training only"},
    {"_init_scale", "initialisation only"},
    {"_init_std", "initialisation only"},
    {"_initializer_range", "initialisation only"},
    {"_jitter_eps", "training only"},
    {"_jitter_noise", "training only"},
    {"_loss_alpha", "training only"},
    {"_loss_coef", "training only"},
    {"_loss_weight", "training only"},
    {"_pdrop", "training only"},
    {"_pred_lambda", "training only"},
    {"_token_ids", "tokens"},
    {"_token", "a token"},
};
static const remark names[] = {
    {"add_classification_head", "a head that classifies"},
    {"aux_loss_alpha", "training only"},
    {"calc_logits_for_entire_prompt", "output format"},
    {"class_num", "a head that classifies"},
    {"dense_list", "a head that classifies"},
    {"fuse_ln", "choice of kernels"},
    {"fuse_rms_norm", "choice of kernels"},
    {"ignored_index", "training only"},
    {"model_max_length", "a promise of length"},
    {"n_ctx", "a promise of length"},
    {"num_logits_to_keep", "output format"},
    {"num_media_embeds", "images"},
    {"num_mtp_layers", "layers for drafting"},
    {"num_nextn_predict_layers", "layers for drafting"},
    {"org_vocab_size", "vocab_size counts the rows"},
    {"pool_type", "a head that classifies"},
    {"pretraining_tp", "splits matrices in training"},
    {"router_dtype", "routers are computed in float32"},
    {"seq_aux", "training only"},
    {"skip_cls_token", "a head that classifies"},
    {"use_grouped_mm", "choice of kernels"},
    {"use_mem_eff_attn", "choice of kernels"},
};

/* Values that leave out what a key would add: where no class of the type reads the key, its model
 * has no such part either. */
static const struct {
    const char *key;
    double value;
    const char *why;
} without[] = {
    {"n_group", 1, "one group"},
    {"topk_group", 1, "one group"},
    {"num_expert_group", 1, "one group"},
    {"num_expert_groups", 1, "one group"},
    {"num_limited_groups", 1, "one group"},
    {"moe_layer_freq", 1, "every layer"},
    {"moe_layer_interval", 1, "every layer"},
    {"decoder_sparse_step", 1, "every layer"},
    {"full_attn_mod", 1, "every layer"},
    {"moe_layer_num_skipped", 0, "no layer"},
    {"first_k_dense_replace", 0, "no layer"},
    {"interpolate_factor", 1, "a factor of 1"},
    {"compression_ratio", 1, "a factor of 1"},
    {"routed_scaling_factor", 1, "a factor of 1"},
    {"route_scale", 1, "a factor of 1"},
    {"logit_scale", 1, "a factor of 1"},
    {"logits_scaling", 1, "a factor of 1"},
    {"embedding_multiplier", 1, "a factor of 1"},
    {"residual_multiplier", 1, "a factor of 1"},
};

bool zoo_config_name_is_harmless(const char *name)
{
    for (size_t i = 0; i < ZOO_COUNT(harmless); i++) {
        if (strcmp(harmless[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool zoo_model_config_is_harmless(const char *key)
{
    const char *dot = strrchr(key, '.');
    return zoo_config_name_is_harmless(dot ? dot + 1 : key);
}

static bool begins_with(const char *key, const char *name)
{
    return strncmp(key, name, strlen(name)) == 0;
}

static bool ends_with(const char *key, const char *name)
{
    size_t n = strlen(key), n_name = strlen(name);
    return n > n_name && strcmp(key + n - n_name, name) == 0;
}

static bool is_whole(const char *key, const char *name)
{
    return strcmp(key, name) == 0;
}

static const char *find(const remark *list, size_t n, const char *key,
                        bool fits(const char *key, const char *name))
{
    for (size_t i = 0; i < n; i++) {
        if (fits(key, list[i].name)) {
            return list[i].why;
        }
    }
    return NULL;
}

static const char *find_without(const char *key, const cJSON *value)
{
    for (size_t i = 0; i < ZOO_COUNT(without); i++) {
        if (strcmp(key, without[i].key) == 0 && cJSON_IsNumber(value) &&
            value->valuedouble == without[i].value) {
            return without[i].why;
        }
    }
    return NULL;
}

static bool is_bias(const char *key)
{
    return strcmp(key, "bias") == 0 || ends_with(key, "_bias");
}

const char *zoo_config_unread_remark(const char *key, const cJSON *value)
{
    const char *why = find(names, ZOO_COUNT(names), key, is_whole);
    why = why ? why : find(begins, ZOO_COUNT(begins), key, begins_with);
    why = why ? why : find(ends, ZOO_COUNT(ends), key, ends_with);
    why = why || !cJSON_IsNumber(value) || !ends_with(key, "_id") ? why : "a token";
    why = why || !cJSON_IsFalse(value) || !is_bias(key) ? why : "the stored tensors say so";
    return why ? why : find_without(key, value);
}
