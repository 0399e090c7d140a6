/*
 * test_class.c: configs as the reference's class reads them: each derivation, spelling and rotary
 * form of models.d/classes on small configs, with values computed by the reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

static char folder[] = "/tmp/lmzoo-class-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    char path[64];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    (void)unlink(path);
    return rmdir(folder);
}

static zoo_model_config *open_config(const char *text, zoo_error *err)
{
    char path[64];
    zoo_model_config *config = NULL;
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    *err = (zoo_error){0};
    assert_int_equal(zoo_model_config_open(folder, &config, err), ZOO_OK);
    if (zoo_model_config_unwrap(config, LMZOO_SOURCE_DIR "/models.d", err) != ZOO_OK ||
        zoo_model_config_read_class(config, LMZOO_SOURCE_DIR "/models.d", err) != ZOO_OK) {
        zoo_model_config_close(config);
        return NULL;
    }
    return config;
}

typedef struct search {
    const char *key;
    char value[600], from[120];
} search;

static void note(void *arg, const char *key, const char *value, const char *from)
{
    search *s = arg;
    if (strcmp(key, s->key) == 0) {
        (void)snprintf(s->value, sizeof s->value, "%s", value);
        (void)snprintf(s->from, sizeof s->from, "%s", from ? from : "");
    }
}

typedef struct example {
    const char *config, *key, *value, *from;
} example;

static void check(const example *examples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        zoo_error err;
        zoo_model_config *config = open_config(examples[i].config, &err);
        search s = {.key = examples[i].key};
        if (!config) {
            fail_msg("%s: %s", examples[i].config, err.text);
        }
        zoo_model_config_each(config, note, &s);
        zoo_model_config_close(config);
        if (strcmp(s.value, examples[i].value) != 0 ||
            (examples[i].from && strcmp(s.from, examples[i].from) != 0)) {
            fail_msg("%s\n  %s is %s (%s), wanted %s (%s)", examples[i].config, s.key, s.value,
                     s.from, examples[i].value, examples[i].from ? examples[i].from : "any");
        }
    }
}

#define TYPE(name) "{\"model_type\": \"" name "\""

static void keys_and_spellings(void **state)
{
    static const example examples[] = {
        {TYPE("llama") "}", "rms_norm_eps", "1e-06", "class"},
        {TYPE("llama") ", \"hidden_size\": 64}", "hidden_size", "64", "file: hidden_size"},
        {TYPE("mixtral") ", \"num_experts\": 3}", "num_local_experts", "3", "file: num_experts"},
        {TYPE("gpt2") ", \"hidden_size\": 64}", "n_embd", "64", "file: hidden_size"},
        {TYPE("falcon") ", \"n_embed\": 32}", "hidden_size", "32", "file: n_embed"},
        {TYPE("step3p5") "}", "n_routed_experts", "288", "class"},
        {TYPE("step3p5") ", \"num_local_experts\": 64}", "n_routed_experts", "288", "class"},
        {TYPE("step3p5") ", \"moe_num_experts\": 16}", "n_routed_experts", "16", NULL},
        {TYPE("nemotron_h") ", \"mamba_d_conv\": 3}", "conv_kernel", "3", "file: mamba_d_conv"},
        {TYPE("glm_moe_dsa") ", \"num_experts\": 5}", "n_routed_experts", "5", NULL},
        {TYPE("mimo_v2_flash") ", \"sliding_window_size\": 7}", "sliding_window", "8", NULL},
        {TYPE("llama") ", \"sliding_window\": 4}", "sliding_window", "", NULL},
    };
    (void)state;
    check(examples, sizeof examples / sizeof *examples);
}

static void single_values(void **state)
{
    static const example examples[] = {
        {TYPE("llama") ", \"hidden_size\": 96, \"num_attention_heads\": 5}", "head_dim", "19",
         "derived: quotient"},
        {TYPE("llama") ", \"num_attention_heads\": 6, \"num_key_value_heads\": null}",
         "num_key_value_heads", "6", "derived: same of num_attention_heads"},
        {TYPE("deepseek_v3") ", \"qk_nope_head_dim\": 5, \"qk_rope_head_dim\": 8}", "qk_head_dim",
         "13", "derived: sum"},
        {TYPE("mamba") ", \"hidden_size\": 40}", "time_step_rank", "3", NULL},
        {TYPE("mamba") ", \"hidden_size\": 40, \"expand\": 3}", "intermediate_size", "120", NULL},
        {TYPE("bamba") ", \"hidden_size\": 64, \"mamba_n_heads\": 8}", "mamba_d_head", "16", NULL},
        {TYPE("hyperclovax") ", \"head_dim\": 16}", "attention_multiplier", "0.25", NULL},
        {TYPE("qwen2") ", \"sliding_window\": 5}", "sliding_window", "null", NULL},
        {TYPE("gemma3_text") ", \"sliding_window\": 9, \"use_bidirectional_attention\": true}",
         "sliding_window", "5", NULL},
        {TYPE("gemma") ", \"hidden_act\": \"gelu\"}", "hidden_act", "\"gelu_pytorch_tanh\"", NULL},
        {TYPE("ernie4_5_moe") ", \"num_hidden_layers\": 5}", "moe_layer_end_index", "4", NULL},
        {TYPE("gpt_bigcode") "}", "num_key_value_heads", "1", NULL},
        {TYPE("minicpm3") ", \"num_hidden_layers\": 9, \"scale_depth\": null}", "scale_depth", "3",
         NULL},
    };
    (void)state;
    check(examples, sizeof examples / sizeof *examples);
}

static void lists_of_layers(void **state)
{
    static const example examples[] = {
        {TYPE("ministral") ", \"num_hidden_layers\": 2}", "layer_types",
         "[\"sliding_attention\",\"sliding_attention\"]", "derived: first"},
        {TYPE("ministral") ", \"num_hidden_layers\": 2, \"sliding_window\": null}", "layer_types",
         "[\"full_attention\",\"full_attention\"]", NULL},
        {TYPE("qwen3") ", \"num_hidden_layers\": 3, \"use_sliding_window\": true, "
                       "\"max_window_layers\": 2}",
         "layer_types", "[\"full_attention\",\"full_attention\",\"sliding_attention\"]", NULL},
        {TYPE("olmo3") ", \"num_hidden_layers\": 2, \"layer_types\": [\"attention\", "
                       "\"sliding_attention\"]}",
         "layer_types", "[\"full_attention\",\"sliding_attention\"]", "file: layer_types"},
        {TYPE("gemma3_text") ", \"num_hidden_layers\": 3, \"sliding_window_pattern\": 2}",
         "layer_types", "[\"sliding_attention\",\"full_attention\",\"sliding_attention\"]",
         "derived: periodic"},
        {TYPE("axk1") ", \"num_hidden_layers\": 4, \"moe_layer_freq\": 2}", "mlp_layer_types",
         "[\"dense\",\"dense\",\"sparse\",\"dense\"]", NULL},
        {TYPE("lfm3") ", \"num_hidden_layers\": 5}", "layer_types",
         "[\"conv\",\"conv\",\"full_attention\",\"conv\",\"sliding_attention\"]", "derived: cycle"},
        {TYPE("cohere2_moe") ", \"num_hidden_layers\": 4, \"first_k_dense_replace\": 2, "
                             "\"sliding_window_pattern\": 2}",
         "layer_types",
         "[\"full_attention\",\"full_attention\",\"sliding_attention\",\"full_attention\"]",
         "derived: prefix_pattern"},
        {TYPE("llama4_text") ", \"num_hidden_layers\": 4, \"interleave_moe_layer_step\": 2}",
         "moe_layers", "[1,3]", "derived: every_nth"},
        {TYPE("llama4_text") ", \"num_hidden_layers\": 2, \"no_rope_layers\": [1, 0]}",
         "layer_types", "[\"chunked_attention\",\"full_attention\"]", "derived: where"},
        {TYPE("kimi_linear") ", \"num_hidden_layers\": 2, \"linear_attn_config\": "
                             "{\"full_attn_layers\": [2], \"kda_layers\": [1]}}",
         "layer_types", "[\"linear_attention\",\"full_attention\"]", "derived: numbered"},
        {TYPE("nemotron_h") ", \"hybrid_override_pattern\": \"M*-E\"}", "layers_block_type",
         "[\"linear_attention\",\"full_attention\",\"mlp\",\"moe\"]", "derived: letters"},
        {TYPE("zamba") ", \"num_hidden_layers\": 9}", "layers_block_type",
         "[\"linear_attention\",\"linear_attention\",\"hybrid\",\"linear_attention\","
         "\"linear_attention\",\"linear_attention\",\"linear_attention\",\"hybrid\","
         "\"linear_attention\"]",
         NULL},
        {TYPE("gpt_neo") ", \"attention_types\": [[[\"global\", \"local\"], 2]]}",
         "attention_layers", "[\"global\",\"local\",\"global\",\"local\"]", "derived: expand"},
        {TYPE("gemma3n_text") ", \"num_hidden_layers\": 2, \"intermediate_size\": 7}",
         "intermediate_size", "[7,7]", NULL},
        {TYPE("granite_swa") ", \"num_hidden_layers\": 2, \"rope_theta\": 50.0}",
         "layer_rope_theta", "[50,50]", "derived: repeat"},
        {TYPE("gemma4_text") ", \"num_hidden_layers\": 2}", "layer_types",
         "[\"sliding_attention\",\"full_attention\"]", NULL},
        {TYPE("glm_moe_dsa") ", \"num_hidden_layers\": 3, \"index_topk_pattern\": \"FSF\"}",
         "indexer_types", "[\"full\",\"shared\",\"full\"]", "derived: indexer_pattern"},
        {TYPE("flint") ", \"num_hidden_layers\": 8}", "layer_types",
         "[\"full_attention\",\"full_attention\",\"sliding_attention\",\"sliding_attention\","
         "\"sliding_attention\",\"full_attention\",\"sliding_attention\",\"full_attention\"]",
         NULL},
        {TYPE("deepseek_v4") ", \"num_hidden_layers\": 3, \"compress_ratios\": [0, 4, 128, 9]}",
         "layer_types",
         "[\"sliding_attention\",\"compressed_sparse_attention\","
         "\"heavily_compressed_attention\"]",
         "derived: compressed_layers"},
    };
    (void)state;
    check(examples, sizeof examples / sizeof *examples);
}

static void rotary_forms(void **state)
{
    static const char *const key = "rope_parameters";
    const example examples[] = {
        {TYPE("llama") "}", key, "{\"rope_theta\":10000,\"rope_type\":\"default\"}", "class"},
        {TYPE("llama") ", \"rope_theta\": 5.0, \"partial_rotary_factor\": 0.5, \"rope_parameters\":"
                       " {\"rope_type\": \"default\", \"rope_theta\": 7.0, \"beta_fast\": 3}}",
         key, "{\"rope_type\":\"default\",\"rope_theta\":7}", "file: rope_parameters"},
        {TYPE("llama") ", \"rope_theta\": 5.0, \"rope_scaling\": {\"type\": \"linear\", "
                       "\"factor\": 2.0}, \"rope_parameters\": {\"rope_theta\": 7.0}}",
         key, "{\"factor\":2,\"rope_theta\":5,\"rope_type\":\"linear\"}",
         "file: rope_scaling, rope_theta"},
        {TYPE("llama") ", \"max_position_embeddings\": 64, \"rope_scaling\": {\"rope_type\": "
                       "\"yarn\", \"factor\": 2.0}}",
         key,
         "{\"rope_type\":\"yarn\",\"factor\":2,\"rope_theta\":10000,"
         "\"original_max_position_embeddings\":64}",
         NULL},
        {TYPE("gpt_neox") ", \"rotary_pct\": 0.5, \"rotary_emb_base\": 9}", key,
         "{\"rope_theta\":9,\"partial_rotary_factor\":0.5,\"rope_type\":\"default\"}",
         "file: rotary_emb_base, rotary_pct"},
        {TYPE("gpt_neox_japanese") "}", key,
         "{\"rope_theta\":10000,\"partial_rotary_factor\":1,\"rope_type\":\"default\"}", NULL},
        {TYPE("gemma3_text") ", \"rope_theta\": 8, \"rope_local_base_freq\": 9, "
                             "\"num_hidden_layers\": 6}",
         key,
         "{\"full_attention\":{\"rope_type\":\"default\",\"rope_theta\":8},"
         "\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":9}}",
         "file: rope_theta, rope_local_base_freq"},
        {TYPE("modernbert-decoder") ", \"num_hidden_layers\": 4, \"local_rope_theta\": 9, "
                                    "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 2}}",
         key,
         "{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":2,\"rope_theta\":160000},"
         "\"sliding_attention\":{\"rope_type\":\"linear\",\"factor\":2,\"rope_theta\":9}}",
         NULL},
        {TYPE("minimax_m2") ", \"rotary_dim\": 8, \"head_dim\": 32}", key,
         "{\"rope_theta\":5000000,\"partial_rotary_factor\":0.25,\"rope_type\":\"default\"}", NULL},
        {TYPE("qwen2_vl_text") ", \"rope_scaling\": {\"type\": \"mrope\", \"mrope_section\": "
                               "[1, 1, 1]}}",
         key, "{\"mrope_section\":[1,1,1],\"rope_theta\":1000000,\"rope_type\":\"default\"}", NULL},
        {TYPE("phi3") ", \"rope_scaling\": {\"type\": \"su\", \"long_factor\": [1], "
                      "\"short_factor\": [2]}}",
         key,
         "{\"long_factor\":[1],\"short_factor\":[2],\"rope_theta\":10000,"
         "\"partial_rotary_factor\":1,\"rope_type\":\"longrope\","
         "\"original_max_position_embeddings\":4096}",
         NULL},
        {TYPE("llama") ", \"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 2, "
                       "\"rope_theta\": 3, \"original_max_position_embeddings\": 8, "
                       "\"truncate\": null}}",
         key,
         "{\"rope_type\":\"yarn\",\"factor\":2,\"rope_theta\":3,"
         "\"original_max_position_embeddings\":8,\"truncate\":false}",
         NULL},
        {TYPE("hrm_text") ", \"initializer_range\": 0.25}", "embedding_scale", "4",
         "derived: inverse of initializer_range"},
        {TYPE("glm") ", \"partial_rotary_factor\": null}", key,
         "{\"rope_theta\":10000,\"rope_type\":\"default\"}", NULL},
        {TYPE("deepseek_v4") ", \"num_hidden_layers\": 1, \"head_dim\": 64, \"rope_parameters\": "
                             "{\"main\": {\"rope_theta\": 5, \"partial_rotary_factor\": 0.25}, "
                             "\"compress\": {\"rope_theta\": 5, \"partial_rotary_factor\": 0.25}}}",
         "qk_rope_head_dim", "16", NULL},
        {TYPE("laguna") ", \"num_hidden_layers\": 1}", key,
         "{\"full_attention\":{\"rope_type\":\"default\",\"rope_theta\":500000,"
         "\"partial_rotary_factor\":0.5}}",
         NULL},
    };
    (void)state;
    check(examples, sizeof examples / sizeof *examples);
}

static void wrong_values_are_refused(void **state)
{
    static const struct {
        const char *config, *words;
    } refusals[] = {
        {TYPE("llama") ", \"rope_parameters\": 5}", "\"rope_parameters\" is 5"},
        {TYPE("llama") ", \"hidden_size\": \"big\"}", "\"hidden_size\" is \"big\""},
        {TYPE("llama") ", \"hidden_size\": null}", "\"hidden_size\" is null"},
        {TYPE("llama") ", \"hidden_size\": 2.5}", "expects int"},
        {TYPE("llama") ", \"attention_bias\": 1}", "expects bool"},
        {TYPE("llama") ", \"num_attention_heads\": 0}", "head_dim"},
        {TYPE("gemma3_text") ", \"sliding_window_pattern\": 0}", "sliding_window_pattern"},
        {TYPE("nemotron_h") ", \"hybrid_override_pattern\": \"MX\"}", "letter X"},
        {TYPE("olmo3") ", \"num_hidden_layers\": 3, \"layer_types\": [\"full_attention\"]}",
         "layer_types"},
        {TYPE("deepseek_v4") ", \"num_hidden_layers\": 1, \"head_dim\": 64, \"rope_parameters\": "
                             "{\"main\": {\"rope_theta\": 5, \"partial_rotary_factor\": 0.25}, "
                             "\"compress\": {\"rope_theta\": 5, \"partial_rotary_factor\": 0.5}}}",
         "rotates 16 elements of a head"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        zoo_error err;
        zoo_model_config *config = open_config(refusals[i].config, &err);
        if (config) {
            fail_msg("%s was taken", refusals[i].config);
        }
        if (!strstr(err.text, refusals[i].words)) {
            fail_msg("%s: %s", refusals[i].words, err.text);
        }
    }
}

static void lists_of_older_files(void **state)
{
    static const example examples[] = {
        {TYPE("olmo_hybrid") ", \"num_hidden_layers\": 2}", "layer_types",
         "[\"linear_attention\",\"full_attention\"]", "derived: periodic"},
        {TYPE("olmo_hybrid") ", \"num_hidden_layers\": 5}", "layer_types",
         "[\"linear_attention\",\"linear_attention\",\"linear_attention\",\"full_attention\","
         "\"linear_attention\"]",
         "derived: periodic"},
        {TYPE("step3p5") ", \"num_hidden_layers\": 2, \"num_nextn_predict_layers\": 1, "
                         "\"layer_types\": [\"full_attention\", \"sliding_attention\", "
                         "\"full_attention\"]}",
         "layer_types", "[\"full_attention\",\"sliding_attention\"]", NULL},
        {TYPE("step3p5") ", \"num_hidden_layers\": 3, \"moe_layers_enum\": \"0, 2\"}",
         "mlp_layer_types", "[\"sparse\",\"dense\",\"sparse\"]", "derived: enumerated"},
        {TYPE("step3p5") ", \"num_hidden_layers\": 2, \"moe_layers_enum\": [1]}", "mlp_layer_types",
         "[\"dense\",\"sparse\"]", "derived: enumerated"},
        {TYPE("step3p5") ", \"num_hidden_layers\": 2, \"num_attention_heads\": 8, "
                         "\"layer_types\": [\"full_attention\", \"sliding_attention\"], "
                         "\"attention_other_setting\": {\"num_attention_heads\": 12}}",
         "num_attention_heads_per_layer", "[8,12]", "derived: layer_heads"},
        {TYPE("step3p5") ", \"num_hidden_layers\": 2, \"num_attention_heads\": 8, "
                         "\"num_sliding_attention_heads\": 12, \"layer_types\": "
                         "[\"full_attention\", \"sliding_attention\"], "
                         "\"per_layer_config\": {\"0\": {\"num_attention_heads\": 4}}}",
         "num_attention_heads_per_layer", "[4,8]", "derived: layer_heads"},
    };
    (void)state;
    check(examples, sizeof examples / sizeof *examples);
}

static void rotary_forms_by_type(void **state)
{
    static const example examples[] = {
        {TYPE("step3p5") ", \"num_hidden_layers\": 2, \"rope_theta\": [50.0, 70.0], "
                         "\"partial_rotary_factors\": [0.5, 1.0], \"rope_scaling\": "
                         "{\"rope_type\": \"linear\", \"factor\": 2.0}, \"layer_types\": "
                         "[\"full_attention\", \"sliding_attention\"]}",
         "rope_parameters",
         "{\"full_attention\":{\"rope_theta\":50,\"partial_rotary_factor\":0.5,\"rope_type\":"
         "\"linear\",\"factor\":2},"
         "\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":70,"
         "\"partial_rotary_factor\":1}}",
         NULL},
        {TYPE("mimo_v2_flash") ", \"num_hidden_layers\": 1, \"rope_parameters\": "
                               "{\"full_attention\": {\"rope_type\": \"default\", "
                               "\"rope_theta\": 50.0}}}",
         "rope_parameters",
         "{\"full_attention\":{\"rope_type\":\"default\",\"rope_theta\":50,"
         "\"partial_rotary_factor\":0.334}}",
         NULL},
        {TYPE("cohere_compass_text") ", \"num_hidden_layers\": 1, \"rope_parameters\": "
                                     "{\"full_attention\": null, \"rope_theta\": 50.0}}",
         "rope_parameters", "{\"full_attention\":null}", NULL},
        {TYPE("hunyuan_vl_text") ", \"rope_scaling\": {\"type\": \"xdrope\", \"alpha\": "
                                 "10.0, \"xdrope_section\": [4, 4]}, \"rope_theta\": 50.0}",
         "rope_parameters", "{\"alpha\":10,\"rope_theta\":50,\"rope_type\":\"dynamic\"}", NULL},
        {TYPE("mellum") ", \"partial_rotary_factor\": 0.5, \"rope_theta\": 777.0}",
         "rope_parameters",
         "{\"full_attention\":{\"rope_type\":\"default\",\"rope_theta\":500000}}", NULL},
        {TYPE(
             "smollm3") ", \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 50.0, "
                        "\"full_attention\": {\"rope_type\": \"default\", \"rope_theta\": 7.0}}}",
         "rope_parameters", "{\"rope_type\":\"default\",\"rope_theta\":50}", NULL},
    };
    zoo_error err;
    (void)state;
    check(examples, sizeof examples / sizeof *examples);
    assert_null(open_config(TYPE("smollm3") ", \"rope_parameters\": {\"rope_type\": \"default\", "
                                            "\"full_attention\": {\"rope_theta\": 7.0}}}",
                            &err));
    assert_non_null(strstr(err.text, "which the class does not read, and \"rope_theta\""));
}

/* null where the class has true or false is false to its code, absent is the class's own. */
static void null_flags_are_false(void **state)
{
    zoo_error err;
    (void)state;
    const char *const texts[] = {TYPE("bamba") ", \"mamba_conv_bias\": null}", TYPE("bamba") "}"};
    for (size_t i = 0; i < 2; i++) {
        zoo_model_config *config = open_config(texts[i], &err);
        assert_non_null(config);
        const zoo_config *view = zoo_model_config_view(config);
        assert_int_equal(view->flag(view, "mamba_conv_bias", true), i == 1);
        zoo_model_config_close(config);
    }
}

static void wrappers_name_their_text_part(void **state)
{
    static const example examples[] = {
        {TYPE("gemma3") ", \"text_config\": {\"hidden_size\": 64}}", "hidden_size", "64", NULL},
        {TYPE("gemma3") "}", "hidden_size", "2304", "class"},
        {TYPE("qwen2_vl") ", \"hidden_size\": 64}", "hidden_size", "64", NULL},
        {TYPE("aya_vision") ", \"text_config\": {\"logit_scale\": 0.25}}", "logit_scale", "null",
         "derived: the wrapper's head"},
        {TYPE("gemma3") ", \"text_config\": {\"final_logit_softcapping\": 3.0}}",
         "final_logit_softcapping", "3", "file: final_logit_softcapping"},
        {TYPE("llama4") ", \"text_config\": {\"tie_word_embeddings\": true}}",
         "tie_word_embeddings", "false", "class"},
        {TYPE("mistral3") ", \"is_causal\": false}", "is_causal", "false", "file: is_causal"},
        {TYPE("gemma3") ", \"is_causal\": false}", "is_causal", "", ""},
        {TYPE("unlimited_ocr") ", \"language_config\": {\"hidden_size\": 64}}", "hidden_size", "64",
         NULL},
        {TYPE("unlimited_ocr") ", \"language_config\": {}, \"sliding_window\": 5}",
         "sliding_window", "5", "file: sliding_window"},
        {TYPE("unlimited_ocr") ", \"text_config\": {}, \"sliding_window\": 5}", "sliding_window",
         "128", "class"},
        {TYPE("roberta") ", \"pad_token_id\": 7}", "pad_token_id", "7", NULL},
    };
    (void)state;
    check(examples, sizeof examples / sizeof *examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_spellings),
        cmocka_unit_test(single_values),
        cmocka_unit_test(lists_of_layers),
        cmocka_unit_test(lists_of_older_files),
        cmocka_unit_test(rotary_forms),
        cmocka_unit_test(rotary_forms_by_type),
        cmocka_unit_test(null_flags_are_false),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(wrappers_name_their_text_part),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
