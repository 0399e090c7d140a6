/*
 * config_harmless.c: keys that concern files, tokens, training, caching or output format, never the
 * forward pass.
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
