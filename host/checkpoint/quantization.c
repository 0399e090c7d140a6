/*
 * quantization.c: which quantization_config is read, key by key.
 *
 * A key that is not known for the method is refused unless it is null, false, 0 or empty. Nested
 * blocks are checked in the same way. Keys about activations, calibration, training or kernels
 * change no stored weight and have no effect here: activations stay float.
 */
#include "checkpoint/matrix_private.h"

#include "base/json.h"

/* Known keys, each between blanks. */
static const char any_keys[] = " quant_method modules_to_not_convert ignored_layers producer ";

static const char fp8_keys[] =
    " activation_scheme fmt weight_block_size scale_fmt weight_per_tensor act_per_tensor "
    "is_checkpoint_fp8_serialized dequantize config_groups group_size ignore "
    "kv_cache_quant_algo kv_cache_scheme moe_quant_algo quant_algo quantized_layers "
    "exclude_modules ";

static const char fbgemm_keys[] = " activation_scale_ub ";

static const char compressed_keys[] =
    " config_groups format global_compression_ratio ignore kv_cache_scheme "
    "quantization_status sparsity_config version run_compressed packed_modules_mapping ";

static const char gptq_keys[] =
    " bits group_size desc_act sym checkpoint_format format lm_head pack_dtype "
    "true_sequential static_groups damp_percent damp_auto_increment dataset meta "
    "model_name_or_path model_file_base_name is_marlin_format tokenizer batch_size "
    "block_name_to_quantize module_name_preceding_first_block pad_token_id "
    "cache_block_outputs modules_in_block_to_quantize backend model_seqlen use_cuda_fp16 "
    "use_exl* disable_exl* exl* max_input_length mse act_group_aware "
    "quantizer offload_to_disk parallel_packing dynamic ";

static const char auto_round_keys[] =
    " bits group_size sym data_type packing_format backend autoround_version iters "
    "nsamples seqlen batch_size lr minmax_lr dataset low_gpu_mem_usage low_cpu_mem_usage "
    "gradient_accumulate_steps enable_minmax_tuning enable_norm_bias_tuning "
    "enable_quanted_input enable_alg_ext amp scale_dtype to_quant_block_names "
    "block_name_to_quantize quant_block_list quant_lm_head provider supported_types "
    "act_bits act_group_size act_sym act_dynamic act_data_type desc_act true_sequential "
    "damp_percent zero_point version checkpoint_format extra_config ";

static const char awq_keys[] =
    " bits w_bit group_size q_group_size zero_point version backend do_fuse "
    "fuse_max_seq_len modules_to_fuse exl* format desc_act sym pack_dtype meta "
    "lm_head ";

static const char bitsandbytes_keys[] =
    " load_in_4bit load_in_8bit _load_in_4bit _load_in_8bit bnb_4bit_compute_dtype "
    "bnb_4bit_quant_type bnb_4bit_quant_storage bnb_4bit_use_double_quant "
    "llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight llm_int8_skip_modules "
    "llm_int8_threshold llm_int8_target_modules ";

static const char mxfp4_keys[] = " dequantize ";
static const char ternary_keys[] = " linear_class quantization_mode use_rms_norm rms_norm_eps ";

static const char modelopt_keys[] =
    " config_groups ignore exclude_modules quant_algo quantized_layers group_size "
    "kv_cache_scheme kv_cache_quant_algo has_zero_point pre_quant_scale ";

static const char group_keys[] = " targets weights input_activations output_activations format ";
static const char weights_keys[] =
    " actorder block_structure dynamic group_size num_bits observer observer_kwargs "
    "strategy symmetric type scale_dtype zp_dtype block_sizes is_mx ";

typedef zoo_status check_fn(const cJSON *config, zoo_error *err);

/* Whether word stands in a list of words between blanks; one that ends in '*' is a beginning. */
static bool has_word(const char *list, const char *word)
{
    for (const char *at = list + strspn(list, " "); *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " "), n_star = n - (at[n - 1] == '*');
        if (strncmp(at, word, n_star) == 0 && (n_star < n || strlen(word) == n)) {
            return true;
        }
        at += n;
    }
    return false;
}

static bool one_of(const char *text, const char *const *list)
{
    while (*list && strcmp(text, *list) != 0) {
        list++;
    }
    return *list != NULL;
}

static const char *config_text(const cJSON *config, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* Null, false, 0 and empty values have no effect. */
static bool says_nothing(const cJSON *item)
{
    bool empty = (cJSON_IsObject(item) || cJSON_IsArray(item)) && !item->child;
    return empty || cJSON_IsNull(item) || cJSON_IsFalse(item) ||
           (cJSON_IsNumber(item) && item->valuedouble == 0) ||
           (cJSON_IsString(item) && !item->valuestring[0]);
}

/* Every key of an object is one of the words (more may be null) or says nothing. */
static zoo_status keys_check(const cJSON *object, const char *where, const char *known,
                             const char *more, zoo_error *err)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object)
    {
        if (has_word(known, item->string) || (more && has_word(more, item->string)) ||
            says_nothing(item)) {
            continue;
        }
        char *value = cJSON_PrintUnformatted(item);
        zoo_status status =
            zoo_fail(err, ZOO_E_UNSUPPORTED,
                     "quantization_config: \"%s%.100s\" is %.80s, which is not computed", where,
                     item->string, value ? value : "?");
        cJSON_free(value);
        return status;
    }
    return ZOO_OK;
}

/* A text of the config must be absent or one of a list. */
static zoo_status text_check(const cJSON *config, const char *where, const char *key,
                             const char *const *list, zoo_error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    const char *text = cJSON_IsString(item) ? item->valuestring : "(not a text)";
    if (!item || cJSON_IsNull(item) || one_of(text, list)) {
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_UNSUPPORTED, "quantization_config: %s%s \"%.100s\" is not read",
                    where, key, text);
}

static zoo_status groups_check(const cJSON *config, const char *const *formats, zoo_error *err)
{
    const cJSON *groups = cJSON_GetObjectItemCaseSensitive(config, "config_groups"), *group = NULL;
    cJSON_ArrayForEach(group, groups)
    {
        char where[160];
        (void)snprintf(where, sizeof where, "config_groups.%.100s.",
                       group->string ? group->string : "");
        const cJSON *weights = cJSON_GetObjectItemCaseSensitive(group, "weights");
        ZOO_TRY(keys_check(group, where, group_keys, NULL, err));
        ZOO_TRY(text_check(group, where, "format", formats, err));
        (void)snprintf(where, sizeof where, "config_groups.%.100s.weights.",
                       group->string ? group->string : "");
        ZOO_TRY(keys_check(weights, where, weights_keys, NULL, err));
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(weights, "dynamic"))) {
            return zoo_fail(err, ZOO_E_UNSUPPORTED,
                            "quantization_config: %sdynamic is true, which is not computed", where);
        }
    }
    return ZOO_OK;
}

static const char *const any_format[] = {NULL};

static zoo_status fp8_check(const cJSON *config, zoo_error *err)
{
    static const char *const kinds[] = {"e4m3", "float8_e4m3fn", "float8_e4m3", NULL};
    static const char *const scales[] = {"ue8m0", "float32", "float", NULL};
    static const char *const algos[] = {"FP8", "MIXED_PRECISION", "NVFP4", NULL};
    ZOO_TRY(text_check(config, "", "fmt", kinds, err));
    ZOO_TRY(text_check(config, "", "scale_fmt", scales, err));
    ZOO_TRY(text_check(config, "", "quant_algo", algos, err));
    return groups_check(config, any_format, err);
}

static zoo_status compressed_check(const cJSON *config, zoo_error *err)
{
    static const char *const formats[] = {
        "int-quantized",        "float-quantized",      "pack-quantized",  "naive-quantized",
        "mxfp4-pack-quantized", "nvfp4-pack-quantized", "mixed-precision", NULL};
    static const char *const dense[] = {"dense", NULL};
    const cJSON *sparsity = cJSON_GetObjectItemCaseSensitive(config, "sparsity_config");
    ZOO_TRY(text_check(config, "", "format", formats, err));
    ZOO_TRY(groups_check(config, formats, err));
    return text_check(sparsity, "sparsity_config.", "format", dense, err);
}

/* What single modules have instead; shapes show it, so the keys are all that is judged. */
static zoo_status dynamic_check(const cJSON *config, zoo_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, "dynamic"), *one = NULL;
    cJSON_ArrayForEach(one, list)
    {
        char where[200];
        (void)snprintf(where, sizeof where, "dynamic.%.160s.", one->string ? one->string : "");
        ZOO_TRY(keys_check(one, where, gptq_keys, NULL, err));
    }
    return ZOO_OK;
}

static zoo_status gptq_check(const cJSON *config, zoo_error *err)
{
    static const char *const forms[] = {"gptq", "gptq_v2", NULL};
    static const char *const words[] = {"int32", NULL};
    ZOO_TRY(text_check(config, "", "pack_dtype", words, err));
    ZOO_TRY(dynamic_check(config, err));
    ZOO_TRY(text_check(config, "", "format", forms, err));
    return text_check(config, "", "checkpoint_format", forms, err);
}

/* Settings of single layers: those that were left as they are, or that differ in nothing. */
static zoo_status extra_check(const cJSON *config, zoo_error *err)
{
    static const char known[] = " bits group_size sym data_type act_bits act_group_size act_sym "
                                "act_dynamic act_data_type scale_dtype ";
    const cJSON *extra = cJSON_GetObjectItemCaseSensitive(config, "extra_config"), *one = NULL;
    cJSON_ArrayForEach(one, extra)
    {
        char where[200];
        (void)snprintf(where, sizeof where, "extra_config.%.160s.", one->string ? one->string : "");
        uint64_t bits = zoo_config_count(one, "bits");
        ZOO_TRY(keys_check(one, where, known, NULL, err));
        if (bits && bits < 16 && bits != zoo_config_count(config, "bits")) {
            return zoo_fail(err, ZOO_E_UNSUPPORTED,
                            "quantization_config: %sbits is %u, which is not read beside others",
                            where, (unsigned)bits);
        }
    }
    return ZOO_OK;
}

static zoo_status auto_round_check(const cJSON *config, zoo_error *err)
{
    static const char *const forms[] = {"auto_round:auto_gptq", "auto_round:gptq",
                                        "auto_round:auto_awq", "auto_round:awq", NULL};
    static const char *const types[] = {"int", NULL};
    ZOO_TRY(text_check(config, "", "data_type", types, err));
    ZOO_TRY(extra_check(config, err));
    return text_check(config, "", "packing_format", forms, err);
}

static zoo_status awq_check(const cJSON *config, zoo_error *err)
{
    static const char *const forms[] = {"gemm", "GEMM", NULL};
    ZOO_TRY(text_check(config, "", "format", forms, err));
    return text_check(config, "", "version", forms, err);
}

static zoo_status ternary_check(const cJSON *config, zoo_error *err)
{
    static const char *const classes[] = {"autobitlinear", "bitlinear", NULL};
    static const char *const modes[] = {"offline", NULL};
    ZOO_TRY(text_check(config, "", "linear_class", classes, err));
    ZOO_TRY(text_check(config, "", "quantization_mode", modes, err));
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(config, "use_rms_norm"))) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED, "quantization_config: use_rms_norm is not read");
    }
    return ZOO_OK;
}

/* FP8 and NVFP4 are what the stored tensors show; a list may mix them. */
static zoo_status modelopt_check(const cJSON *config, zoo_error *err)
{
    static const char *const algos[] = {"FP8", "NVFP4", "MIXED_PRECISION", NULL};
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(config, "quantized_layers"), *one = NULL;
    static const char known[] = " quant_algo group_size ";
    ZOO_TRY(text_check(config, "", "quant_algo", algos, err));
    cJSON_ArrayForEach(one, layers)
    {
        char where[200];
        (void)snprintf(where, sizeof where, "quantized_layers.%.160s.",
                       one->string ? one->string : "");
        ZOO_TRY(text_check(one, where, "quant_algo", algos, err));
        ZOO_TRY(keys_check(one, where, known, NULL, err));
    }
    return groups_check(config, any_format, err);
}

static const struct {
    const char *name;
    const char *keys;
    check_fn *check; /* null: the keys are all */
} methods[] = {
    {"fp8", fp8_keys, fp8_check},
    {"fbgemm_fp8", fbgemm_keys, NULL},
    {"compressed-tensors", compressed_keys, compressed_check},
    {"gptq", gptq_keys, gptq_check},
    {"auto-round", auto_round_keys, auto_round_check},
    {"awq", awq_keys, awq_check},
    {"bitsandbytes", bitsandbytes_keys, NULL},
    {"mxfp4", mxfp4_keys, NULL},
    {"bitnet", ternary_keys, ternary_check},
    {"modelopt", modelopt_keys, modelopt_check},
};

/* The method; files of one producer name only that. */
static const char *method_of(const cJSON *config)
{
    const char *method = config_text(config, "quant_method");
    const char *producer =
        config_text(cJSON_GetObjectItemCaseSensitive(config, "producer"), "name");
    return method || !producer ? method : producer;
}

const char *zoo_quantization_layout(const cJSON *config)
{
    const char *method = method_of(config);
    if (method && strcmp(method, "auto-round") == 0) {
        const char *packing = config_text(config, "packing_format");
        return packing && strstr(packing, "awq") ? "awq" : "gptq";
    }
    return method ? method : "(absent)";
}

bool zoo_quantization_v2(const cJSON *config)
{
    const char *form = config_text(config, "checkpoint_format");
    form = form ? form : config_text(config, "format");
    return form && strcmp(form, "gptq_v2") == 0;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    return n > n_end && strcmp(text + n - n_end, end) == 0;
}

static bool is_zero(const zoo_tensor *t)
{
    bool zero = t->n_items <= 1u << 24;
    for (uint64_t i = 0; i < t->n_items && zero; i++) {
        zero = zoo_tensor_item(t, i) == 0;
    }
    return zero;
}

bool zoo_quantization_sets_aside(const cJSON *config, const zoo_tensor *t)
{
    static const char *const of_cache[] = {".k_scale",
                                           ".v_scale",
                                           ".q_scale",
                                           ".prob_scale",
                                           ".k_proj.output_scale",
                                           ".v_proj.output_scale"};
    if (!config || cJSON_IsNull(config)) {
        return false;
    }
    for (size_t i = 0; i < ZOO_COUNT(of_cache); i++) {
        if (ends_in(t->name, of_cache[i])) {
            return true;
        }
    }
    return strcmp(zoo_quantization_layout(config), "gptq") == 0 && ends_in(t->name, ".bias") &&
           is_zero(t);
}

zoo_status zoo_formats_check(const cJSON *config, zoo_error *err)
{
    if (!config || cJSON_IsNull(config)) {
        return ZOO_OK;
    }
    const char *method = method_of(config);
    for (size_t i = 0; method && i < ZOO_COUNT(methods); i++) {
        if (strcmp(methods[i].name, method) == 0) {
            ZOO_TRY(keys_check(config, "", methods[i].keys, any_keys, err));
            return methods[i].check ? methods[i].check(config, err) : ZOO_OK;
        }
    }
    return zoo_fail(err, ZOO_E_UNSUPPORTED,
                    "quantization_config: quant_method \"%.100s\" is not read",
                    method ? method : "(absent)");
}
