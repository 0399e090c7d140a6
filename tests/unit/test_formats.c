/*
 * test_formats.c: every stored form of a weight against matrices decoded by
 * tools/reference/dequantise.py.
 *
 * tests/data/dequantised.txt holds one digest per quantised parity case, over the float32 bytes of
 * all its quantised matrices in the order of their names. tests/data/formats holds small files of
 * the forms that no case has, with the expected matrices beside the packed ones. Both are compared
 * bit for bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/mem.h"
#include "checkpoint/matrix.h"
#include "reference.h"

#define NAMES_MAX 4096

static bool cut_suffix(char *name, const char *suffix, const char *instead)
{
    size_t n = strlen(name), n_suffix = strlen(suffix);
    if (n < n_suffix || strcmp(name + n - n_suffix, suffix) != 0) {
        return false;
    }
    strcpy(name + n - n_suffix, instead);
    return true;
}

/* The whole matrix read in blocks of an odd number of rows; the caller frees. */
static float *matrix_read(const zoo_matrix *m, uint64_t n_block)
{
    uint64_t n_rows = m->n_stack * m->rows;
    float *data = zoo_mem_array((size_t)(n_rows * m->cols) + 1, sizeof *data);
    assert_non_null(data);
    for (uint64_t row = 0; row < n_rows; row += n_block) {
        uint64_t n = n_rows - row < n_block ? n_rows - row : n_block;
        assert_int_equal(zoo_matrix_read_rows(m, row, n, data + row * m->cols), ZOO_OK);
    }
    assert_int_equal(zoo_matrix_read_rows(m, n_rows, 1, data), ZOO_E_USAGE);
    assert_int_equal(zoo_matrix_read_rows(m, 0, n_rows + 1, data), ZOO_E_USAGE);
    return data;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* Names of the quantised weights of a set, sorted. */
static size_t quantised_names(const zoo_tensors *set, const cJSON *config, char (*names)[256])
{
    size_t n = 0;
    for (size_t i = 0; i < zoo_tensors_count(set); i++) {
        zoo_matrix m;
        zoo_error err;
        char *name = names[n];
        strcpy(name, zoo_tensors_at(set, i)->name);
        if (!cut_suffix(name, ".qweight", ".weight") && !cut_suffix(name, "_packed", "")) {
            (void)cut_suffix(name, "_blocks", "");
        }
        if (zoo_matrix_find(set, config, name, &m, &err) != ZOO_OK) {
            fail_msg("%s", err.text);
        }
        n += m.found && m.scale;
        assert_true(n < NAMES_MAX);
    }
    qsort(names, n, sizeof *names, by_name);
    return n;
}

static bool is_part(const zoo_matrix *m, const zoo_tensor *t)
{
    for (uint32_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i] == t) {
            return true;
        }
    }
    return false;
}

/* Every tensor of the module but a bias is one of the matrix' parts, so that nothing is
 * reported as left over. */
static void parts_check(const zoo_tensors *set, const zoo_matrix *m, const char *name)
{
    char stem[256];
    strcpy(stem, name);
    size_t n = cut_suffix(stem, ".weight", ".") ? strlen(stem) : strlen(name);
    for (size_t i = 0; i < zoo_tensors_count(set); i++) {
        const zoo_tensor *t = zoo_tensors_at(set, i);
        if (strncmp(t->name, stem, n) == 0 && !strstr(t->name + n, "bias") && !is_part(m, t)) {
            fail_msg("%s does not claim %s", name, t->name);
        }
    }
}

static cJSON *case_config(const char *folder)
{
    char path[8192];
    cJSON *config;
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(zoo_json_read_python(path, 1 << 20, &config, NULL), ZOO_OK);
    return config;
}

static void case_check(const char *folder, const char *name, size_t n_wanted, uint64_t digest)
{
    static char names[NAMES_MAX][256];
    zoo_tensors *set;
    cJSON *config = case_config(folder);
    const cJSON *q = cJSON_GetObjectItemCaseSensitive(config, "quantization_config");
    XXH3_state_t *hash = XXH3_createState();
    assert_int_equal(zoo_tensors_open(folder, &set, NULL), ZOO_OK);
    size_t n = quantised_names(set, q, names);
    (void)XXH3_64bits_reset(hash);
    for (size_t i = 0; i < n; i++) {
        zoo_matrix m;
        assert_int_equal(zoo_matrix_find(set, q, names[i], &m, NULL), ZOO_OK);
        float *whole = matrix_read(&m, 1 + i % 40);
        size_t n_bytes = (size_t)(m.n_stack * m.rows * m.cols) * sizeof *whole;
        (void)XXH3_64bits_update(hash, whole, n_bytes);
        zoo_mem_free(whole);
        parts_check(set, &m, names[i]);
    }
    if (n != n_wanted || XXH3_64bits_digest(hash) != digest) {
        fail_msg("%s: %zu matrices of %zu, digest %llx", name, n, n_wanted,
                 (unsigned long long)XXH3_64bits_digest(hash));
    }
    (void)XXH3_freeState(hash);
    zoo_tensors_close(set);
    cJSON_Delete(config);
}

static void test_parity_cases(void **state)
{
    char folder[4096], name[64];
    size_t n_matrices;
    unsigned long long digest;
    int n_cases = 0;
    (void)state;
    FILE *f = fopen(LMZOO_SOURCE_DIR "/tests/data/dequantised.txt", "r");
    assert_non_null(f);
    while (fscanf(f, "%63s %zu %llx", name, &n_matrices, &digest) == 3) {
        (void)snprintf(folder, sizeof folder, "%s/parity/%s", test_reference(), name);
        if (access(folder, R_OK) != 0) {
            (void)fclose(f);
            skip();
        }
        case_check(folder, name, n_matrices, digest);
        n_cases++;
    }
    (void)fclose(f);
    assert_int_equal(n_cases, 20);
}

/* All expected/<weight> of one file of tests/data/formats. */
static size_t fixture_check(const zoo_tensors *set, const cJSON *config, uint64_t n_block)
{
    size_t n = 0;
    for (size_t i = 0; i < zoo_tensors_count(set); i++) {
        const zoo_tensor *wanted = zoo_tensors_at(set, i);
        zoo_matrix m;
        zoo_error err;
        if (strncmp(wanted->name, "expected/", 9) != 0) {
            continue;
        }
        if (zoo_matrix_find(set, config, wanted->name + 9, &m, &err) != ZOO_OK || !m.found) {
            fail_msg("%s: %s", wanted->name, m.found ? err.text : "not found");
        }
        assert_int_equal(m.n_dims, wanted->n_dims);
        assert_memory_equal(m.dims, wanted->dims, m.n_dims * sizeof *m.dims);
        float *data = matrix_read(&m, n_block);
        if (memcmp(data, wanted->data, wanted->n_bytes) != 0) {
            fail_msg("%s (%s) differs", wanted->name, m.format);
        }
        zoo_mem_free(data);
        parts_check(set, &m, wanted->name + 9);
        n++;
    }
    return n;
}

static void test_fixtures(void **state)
{
    char path[4096];
    cJSON *configs;
    size_t n = 0;
    (void)state;
    assert_int_equal(
        zoo_json_read(LMZOO_SOURCE_DIR "/tests/data/formats/configs.json", 1 << 20, &configs, NULL),
        ZOO_OK);
    for (const cJSON *config = configs->child; config; config = config->next) {
        zoo_tensors *set;
        (void)snprintf(path, sizeof path, "%s/tests/data/formats/%s.safetensors", LMZOO_SOURCE_DIR,
                       config->string);
        assert_int_equal(zoo_tensors_open_file(path, &set, NULL), ZOO_OK);
        n += fixture_check(set, config, 1);
        n += fixture_check(set, config, 19);
        n += fixture_check(set, config, 1000);
        zoo_tensors_close(set);
    }
    assert_int_equal(n, 3 * (13 + 4 + 1 + 5 + 3 + 1 + 4));
    cJSON_Delete(configs);
}

/* A set of these tensors, all bytes of their data 1. */
static zoo_tensors *set_of(zoo_tensor *list, size_t n)
{
    static const unsigned char ones[1 << 16] = {1};
    char path[512];
    zoo_tensors *set = NULL;
    zoo_error err;
    int fd = mkstemp(test_temp(path, sizeof path, "zoo-formats-XXXXXX"));
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < n; i++) {
        list[i].data = list[i].data ? list[i].data : ones;
    }
    if (zoo_tensors_write(path, list, n, &err) != ZOO_OK ||
        zoo_tensors_open_file(path, &set, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    unlink(path);
    return set;
}

/* What zoo_matrix_find says of weight "a.weight"; "" when it takes it, "absent" when
 * it is not there. */
static const char *verdict(const char *config_text, zoo_tensor *list, size_t n)
{
    static zoo_error err;
    zoo_matrix m;
    cJSON *config = NULL;
    zoo_tensors *set = set_of(list, n);
    if (config_text) {
        assert_int_equal(zoo_json_parse(config_text, strlen(config_text), "c", &config, NULL), 0);
    }
    zoo_status status = zoo_matrix_find(set, config, "a.weight", &m, &err);
    assert_true(status == ZOO_OK || !m.found);
    zoo_tensors_close(set);
    cJSON_Delete(config);
    return status == ZOO_OK ? m.found ? "" : "absent" : err.text;
}

#define T(tensor_name, tensor_dtype, n, ...)                                                       \
    {                                                                                              \
        .name = tensor_name, .dtype = ZOO_##tensor_dtype, .n_dims = n, .dims = { __VA_ARGS__ }     \
    }

static void test_methods(void **state)
{
    static const struct {
        const char *config, *sentence;
    } rows[] = {
        {NULL, ""},
        {"null", ""},
        {"{\"quant_method\":\"gptq\"}", ""},
        {"{\"quant_method\":\"hqq\"}", "quantization_config: quant_method \"hqq\" is not read"},
        {"{}", "quantization_config: quant_method \"(absent)\" is not read"},
        {"[]", "quantization_config: quant_method \"(absent)\" is not read"},
        {"{\"quant_method\":7}", "quantization_config: quant_method \"(absent)\" is not read"},
        {"{\"quant_method\":\"gptq\",\"checkpoint_format\":\"marlin\"}",
         "quantization_config: checkpoint_format \"marlin\" is not read"},
        {"{\"quant_method\":\"awq\",\"version\":\"gemv\"}",
         "quantization_config: version \"gemv\" is not read"},
        {"{\"quant_method\":\"modelopt\",\"quant_algo\":\"NVFP4\"}", ""},
        {"{\"quant_algo\":\"FP8\",\"producer\":{\"name\":\"modelopt\"}}", ""},
        {"{\"quant_method\":\"modelopt\",\"quant_algo\":\"W4A8_AWQ\"}",
         "quantization_config: quant_algo \"W4A8_AWQ\" is not read"},
        {"{\"quant_method\":\"modelopt\",\"quantized_layers\":{\"a\":{\"quant_algo\":"
         "\"X\"}}}",
         "quantization_config: quantized_layers.a.quant_algo \"X\" is not read"},
        {"{\"quant_method\":\"fp8\",\"fmt\":\"e5m2\"}",
         "quantization_config: fmt \"e5m2\" is not read"},
        {"{\"quant_method\":\"gptq\",\"rotation\":true}",
         "quantization_config: \"rotation\" is true, which is not computed"},
        {"{\"quant_method\":\"gptq\",\"rotation\":false,\"x\":{},\"y\":null}", ""},
        {"{\"quant_method\":\"gptq\",\"format\":\"marlin\"}",
         "quantization_config: format \"marlin\" is not read"},
        {"{\"quant_method\":\"compressed-tensors\",\"transform_config\":{\"a\":1}}",
         "quantization_config: \"transform_config\" is {\"a\":1}, which is not computed"},
        {"{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"g\":{\"weights\":"
         "{\"hadamard\":2}}}}",
         "quantization_config: \"config_groups.g.weights.hadamard\" is 2, which is not computed"},
        {"{\"quant_method\":\"auto-round\",\"packing_format\":\"auto_round:auto_awq\"}", ""},
        {"{\"quant_method\":\"auto-round\",\"packing_format\":\"auto_round:marlin\"}",
         "quantization_config: packing_format \"auto_round:marlin\" is not read"},
        {"{\"quant_method\":\"auto-round\",\"bits\":4,\"rotation_config\":{\"a\":1}}",
         "quantization_config: \"rotation_config\" is {\"a\":1}, which is not computed"},
        {"{\"quant_method\":\"auto-round\",\"bits\":4,\"extra_config\":{\"a\":{\"bits\":8}}}",
         "quantization_config: extra_config.a.bits is 8, which is not read beside others"},
        {"{\"quant_method\":\"bitnet\",\"quantization_mode\":\"online\"}",
         "quantization_config: quantization_mode \"online\" is not read"},
        {"{\"quant_method\":\"bitnet\",\"use_rms_norm\":true}",
         "quantization_config: use_rms_norm is not read"},
        {"{\"quant_method\":\"compressed-tensors\",\"format\":\"nvfp4-pack-quantized\"}", ""},
        {"{\"quant_method\":\"compressed-tensors\",\"format\":\"marlin-24\"}",
         "quantization_config: format \"marlin-24\" is not read"},
        {"{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"g\":{\"format\":\"z\"}}}",
         "quantization_config: config_groups.g.format \"z\" is not read"},
        {"{\"quant_method\":\"compressed-tensors\",\"sparsity_config\":{\"format\":\"sparse\"}}",
         "quantization_config: sparsity_config.format \"sparse\" is not read"},
    };
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        zoo_tensor list[] = {T("a.weight", BF16, 2, 4, 4)};
        assert_string_equal(verdict(rows[i].config, list, 1), rows[i].sentence);
    }
}

static void ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    if (n < n_end || strcmp(text + n - n_end, end) != 0 || (n_end == 0 && n > 0)) {
        fail_msg("\"%s\" does not end with \"%s\"", text, end);
    }
}

#define REFUSED(config, end, ...)                                                                  \
    do {                                                                                           \
        zoo_tensor list[] = {__VA_ARGS__};                                                         \
        ends_with(verdict(config, list, ZOO_COUNT(list)), end);                                    \
    } while (0)

static void test_scaled_shapes(void **state)
{
    const char *fp8 = "{\"quant_method\":\"fp8\",\"weight_block_size\":[4,4]}";
    (void)state;
    REFUSED(NULL, "absent", T("b.weight", F32, 1, 1));
    REFUSED(NULL, "", T("a.weight", F8_E4M3, 2, 8, 8));
    REFUSED(fp8, "has no scale of a known name", T("a.weight", F8_E4M3, 2, 8, 8));
    REFUSED(NULL, "has no scale of a known name", T("a.weight", I8, 2, 8, 8));
    REFUSED(NULL, "has no scale of a known name", T("a.weight", I32, 2, 8, 8));
    REFUSED(NULL, "but there is a weight_scale for it", T("a.weight", BF16, 2, 8, 8),
            T("a.weight_scale", F32, 1, 1));
    REFUSED(fp8, "", T("a.weight", F8_E4M3, 2, 8, 9), T("a.weight_scale_inv", F32, 2, 2, 3));
    REFUSED(fp8, "blocks that quantization_config does not state", T("a.weight", F8_E4M3, 2, 8, 9),
            T("a.weight_scale_inv", F32, 2, 2, 2));
    REFUSED(NULL, "blocks that quantization_config does not state", T("a.weight", F8_E4M3, 2, 8, 8),
            T("a.weight_scale_inv", F32, 2, 2, 2));
    REFUSED(fp8, "does not fit it", T("a.weight", F8_E4M3, 2, 8, 8),
            T("a.weight_scale_inv", F32, 2, 9, 1));
    REFUSED(fp8, "does not fit it", T("a.weight", F8_E4M3, 2, 8, 8),
            T("a.weight_scale", F32, 1, 3));
    REFUSED(fp8, "does not fit it", T("a.weight", F8_E4M3, 2, 8, 8),
            T("a.weight_scale", F32, 2, 0, 0));
    REFUSED(fp8, "too many dimensions", T("a.weight", F8_E4M3, 2, 8, 8),
            T("a.weight_scale", F32, 3, 1, 1, 1));
    REFUSED(fp8, "not stacked as it is", T("a.weight", F8_E4M3, 3, 2, 8, 8),
            T("a.weight_scale", F32, 3, 3, 2, 2));
    REFUSED(fp8, "a dtype that scales cannot have", T("a.weight", F8_E4M3, 2, 8, 8),
            T("a.weight_scale", I32, 1, 1));
    REFUSED(fp8, "it is quantised but not a matrix", T("a.weight", F8_E4M3, 1, 8),
            T("a.weight_scale", F32, 1, 1));
    REFUSED(fp8, "zero points do not fit its scales", T("a.weight", I8, 2, 8, 8),
            T("a.weight_scale", F32, 1, 1), T("a.weight_zero_point", I8, 1, 2));
    REFUSED(fp8, "", T("a.weight", U8, 2, 8, 8), T("a.weight_scale", F8_E4M3, 2, 8, 1),
            T("a.weight_scale_2", F32, 1, 1));
    REFUSED(fp8, "not one per 16 columns", T("a.weight", U8, 2, 8, 8),
            T("a.weight_scale", F8_E4M3, 2, 8, 2), T("a.weight_scale_2", F32, 1, 1));
    REFUSED(fp8, "not one per 16 columns", T("a.weight", U8, 2, 8, 8),
            T("a.weight_scale", F8_E4M3, 2, 8, 1), T("a.weight_scale_2", F32, 1, 2));
    REFUSED(fp8, "e4m3 scales, a float32 scale", T("a.weight", U8, 2, 8, 8),
            T("a.weight_scale", U8, 2, 8, 1), T("a.weight_scale_2", F32, 1, 1));
    REFUSED(NULL, "one SCB per row", T("a.weight", I8, 2, 8, 8), T("a.SCB", F32, 1, 7));
    REFUSED(NULL, "only weight_format 0 (row-major) is read", T("a.weight", I8, 2, 8, 8),
            T("a.SCB", F32, 1, 8), T("a.weight_format", U8, 0, 0));
    REFUSED(NULL, "one per 32 columns", T("a.weight", I8, 2, 8, 16),
            T("a.scale", F8_E8M0, 2, 8, 2));
    REFUSED(NULL, "one per 32 columns", T("a.weight_packed", U8, 2, 8, 16),
            T("a.weight_scale", U8, 2, 7, 1));
    REFUSED(NULL, "without scales of 8-bit exponents", T("a.weight_packed", U8, 2, 8, 16));
    REFUSED(NULL, "e4m3 scales, a float32 scale", T("a.weight_packed", U8, 2, 8, 16),
            T("a.weight_global_scale", F32, 1, 1));
    REFUSED(NULL, "", T("a.weight_packed", U8, 2, 8, 16), T("a.weight_scale", F8_E4M3, 2, 8, 2),
            T("a.weight_global_scale", F32, 1, 1));
    REFUSED(NULL, "", T("a.weight@0", BF16, 2, 8, 16), T("a.weight@1", BF16, 2, 3, 16));
    REFUSED(NULL, "not plain tensors of one width", T("a.weight@0", BF16, 2, 8, 16),
            T("a.weight@1", BF16, 2, 8, 8));
    REFUSED("{\"quant_method\":\"bitnet\"}", "not a ternary matrix with one scale",
            T("a.weight", U8, 2, 2, 8), T("a.weight_scale", F32, 1, 2));
}

static void test_packed_shapes(void **state)
{
    static const int64_t shape[] = {8, 64}, wrong[] = {8, 60}, negative[] = {8, -1};
    static const int64_t stack[] = {3, 8, 64};
    static const int32_t far_group[64] = {[63] = 2};
    const char *asymmetric = "{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"g\":"
                             "{\"weights\":{\"num_bits\":4,\"symmetric\":false}}}}";
    (void)state;
#define SHAPE(numbers)                                                                             \
    {.name = "a.weight_shape", .dtype = ZOO_I64, .n_dims = 1, .dims = {2}, .data = numbers}
#define G_IDX(tensor_name, numbers)                                                                \
    {                                                                                              \
        .name = tensor_name, .dtype = ZOO_I32, .n_dims = 1, .dims = {64}, .data = numbers          \
    }
    REFUSED(NULL, "", T("a.weight_packed", I32, 2, 8, 8), SHAPE(shape),
            T("a.weight_scale", F32, 2, 8, 2));
    REFUSED(NULL, "it has no weight_shape of two integers", T("a.weight_packed", I32, 2, 8, 8));
    REFUSED(NULL, "not an int32 matrix", T("a.weight_packed", I32, 1, 8), SHAPE(shape));
    REFUSED(NULL, "differ in rows", T("a.weight_packed", I32, 2, 7, 8), SHAPE(shape));
    REFUSED(NULL, "is not a valid size", T("a.weight_packed", I32, 2, 8, 8), SHAPE(negative));
    REFUSED(NULL, "as many codes as its shape says", T("a.weight_packed", I32, 2, 8, 7),
            SHAPE(shape));
    REFUSED(NULL, "it has no float weight_scale", T("a.weight_packed", I32, 2, 8, 8), SHAPE(shape));
    REFUSED(NULL, "does not fit it", T("a.weight_packed", I32, 2, 8, 8), SHAPE(shape),
            T("a.weight_scale", F32, 2, 7, 2));
    REFUSED(NULL, "does not fit it", T("a.weight_packed", I32, 2, 8, 8), SHAPE(shape),
            T("a.weight_scale", F32, 2, 8, 0));
    REFUSED(NULL, "its groups are not even", T("a.weight_packed", I32, 2, 8, 8), SHAPE(wrong),
            T("a.weight_scale", F32, 2, 8, 7));
    REFUSED(NULL, "zero points do not fit its scales", T("a.weight_packed", I32, 2, 8, 8),
            SHAPE(shape), T("a.weight_scale", F32, 2, 8, 2),
            T("a.weight_zero_point", I32, 2, 2, 2));
    REFUSED(asymmetric, "is asymmetric, and has no zero points", T("a.weight_packed", I32, 2, 8, 8),
            SHAPE(shape), T("a.weight_scale", F32, 2, 8, 2));
    REFUSED(NULL, "names a group that does not exist", T("a.weight_packed", I32, 2, 8, 8),
            SHAPE(shape), T("a.weight_scale", F32, 2, 8, 2), G_IDX("a.weight_g_idx", far_group));
#define STACK                                                                                      \
    T("a.weight_packed", I32, 3, 3, 8, 8),                                                         \
        {.name = "a.weight_shape", .dtype = ZOO_I64, .n_dims = 1, .dims = {3}, .data = stack}
    REFUSED(NULL, "", STACK, T("a.weight_scale", F32, 3, 3, 8, 2));
    REFUSED(NULL, "does not fit it", STACK, T("a.weight_scale", F32, 3, 2, 8, 2));
    REFUSED(NULL, "zero points of a stack are not read", STACK,
            T("a.weight_scale", F32, 3, 3, 8, 2), T("a.weight_zero_point", I32, 3, 3, 1, 2));
    REFUSED(NULL, "of three integers", T("a.weight_packed", I32, 3, 3, 8, 8), SHAPE(shape));
    REFUSED(NULL, "not one int32 per column", T("a.weight_packed", I32, 2, 8, 8), SHAPE(shape),
            T("a.weight_scale", F32, 2, 8, 2), T("a.weight_g_idx", I32, 1, 63));
}

static void test_column_shapes(void **state)
{
    static const int32_t far_group[64] = {[5] = -1};
    const char *gptq = "{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32}";
    const char *awq = "{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":32}";
    (void)state;
    REFUSED(gptq, "", T("a.qweight", I32, 2, 8, 16), T("a.qzeros", I32, 2, 2, 2),
            T("a.scales", F16, 2, 2, 16));
    REFUSED(awq, "", T("a.qweight", I32, 2, 64, 2), T("a.qzeros", I32, 2, 2, 2),
            T("a.scales", F16, 2, 2, 16));
    REFUSED(NULL, "quant_method is \"(absent)\" and not gptq or awq",
            T("a.qweight", I32, 2, 8, 16));
    REFUSED(gptq, "no qzeros or no scales beside it", T("a.qweight", I32, 2, 8, 16));
    REFUSED(gptq, "do not fit together", T("a.qweight", I32, 2, 8, 16), T("a.qzeros", I32, 2, 3, 2),
            T("a.scales", F16, 2, 2, 16));
    REFUSED(gptq, "no width of 2, 3, 4 or 8 bits", T("a.qweight", I32, 2, 8, 16),
            T("a.qzeros", I32, 2, 2, 3), T("a.scales", F16, 2, 2, 16));
    REFUSED(gptq, "no width of 2, 3, 4 or 8 bits", T("a.qweight", I32, 2, 8, 16),
            T("a.qzeros", I32, 2, 2, 2), T("a.scales", F16, 2, 2, 8));
    REFUSED(gptq, "another width than quantization_config states", T("a.qweight", I32, 2, 8, 16),
            T("a.qzeros", I32, 2, 2, 4), T("a.scales", F16, 2, 2, 16));
    REFUSED(gptq, "its groups are not even", T("a.qweight", I32, 2, 8, 16),
            T("a.qzeros", I32, 2, 3, 2), T("a.scales", F16, 2, 3, 16));
    REFUSED(gptq, "is empty", T("a.qweight", I32, 2, 0, 16), T("a.qzeros", I32, 2, 2, 2),
            T("a.scales", F16, 2, 2, 16));
    REFUSED(gptq, "names a group that does not exist", T("a.qweight", I32, 2, 8, 16),
            T("a.qzeros", I32, 2, 2, 2), T("a.scales", F16, 2, 2, 16), G_IDX("a.g_idx", far_group));
    REFUSED(awq, "do not fit together", T("a.qweight", I32, 2, 64, 3), T("a.qzeros", I32, 2, 2, 2),
            T("a.scales", F16, 2, 2, 16));
    REFUSED("{\"quant_method\":\"awq\",\"bits\":8}", "awq of 8 bits is not read",
            T("a.qweight", I32, 2, 64, 2), T("a.qzeros", I32, 2, 2, 2),
            T("a.scales", F16, 2, 2, 16));
}

static const char *state_verdict(const char *state_json, size_t n_blocks)
{
    zoo_tensor list[] = {
        T("a.weight", U8, 2, 32, 1),
        T("a.weight.absmax", F32, 1, n_blocks),
        T("a.weight.quant_map", F32, 1, 16),
        {.name = "a.weight.quant_state.bitsandbytes__nf4",
         .dtype = ZOO_U8,
         .n_dims = 1,
         .dims = {strlen(state_json)},
         .data = state_json},
    };
    return verdict(NULL, list, ZOO_COUNT(list));
}

static void test_state_json(void **state)
{
    (void)state;
    assert_string_equal(state_verdict("{\"shape\":[8,8],\"blocksize\":16}", 4), "");
    ends_with(state_verdict("{\"shape\":[8,8],\"blocksize\":16", 4), "after a member");
    ends_with(state_verdict("{\"shape\":[8,9],\"blocksize\":16}", 4), "shape in its quant_state");
    ends_with(state_verdict("{\"shape\":[1e300,8],\"blocksize\":16}", 4),
              "shape in its quant_state");
    ends_with(state_verdict("{\"shape\":[],\"blocksize\":16}", 4), "shape in its quant_state");
    ends_with(state_verdict("{\"shape\":[8,8]}", 4), "no blocksize, or no 16 values");
    ends_with(state_verdict("{\"shape\":[8,8],\"blocksize\":16}", 3),
              "does not fit its quant_state");
    ends_with(state_verdict("7", 4), "shape in its quant_state");
}

/* The JSON state of bitsandbytes is the one thing that takes memory. */
static void test_no_memory(void **state)
{
    char path[1024];
    zoo_matrix m;
    zoo_tensors *set;
    zoo_status status;
    int n_failed = 0;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/tests/data/formats/bitsandbytes.safetensors",
                   LMZOO_SOURCE_DIR);
    assert_int_equal(zoo_tensors_open_file(path, &set, NULL), ZOO_OK);
    do {
        zoo_mem_fail_at(n_failed + 1);
        status = zoo_matrix_find(set, NULL, "nested.weight", &m, NULL);
        n_failed += status == ZOO_E_MEMORY;
        assert_int_equal(status == ZOO_OK, m.found);
    } while (status == ZOO_E_MEMORY);
    zoo_mem_fail_at(0);
    assert_int_equal(status, ZOO_OK);
    assert_true(n_failed > 10);
    zoo_tensors_close(set);
}

/* Stacked experts come with outputs as rows, and say so; a vector is one row. */
static void test_views(void **state)
{
    zoo_tensor list[] = {T("e.gate_up_blocks", U8, 4, 3, 6, 2, 16),
                         T("e.gate_up_scales", U8, 3, 3, 6, 2), T("norm.weight", F32, 1, 7),
                         T("conv.weight", BF16, 3, 5, 1, 4)};
    zoo_matrix m;
    (void)state;
    zoo_tensors *set = set_of(list, ZOO_COUNT(list));
    assert_int_equal(zoo_matrix_find(set, NULL, "e.gate_up", &m, NULL), ZOO_OK);
    assert_true(m.found && m.flipped && m.n_stack == 3 && m.rows == 6 && m.cols == 64);
    assert_string_equal(m.format, "mxfp4");
    assert_int_equal(m.n_parts, 2);
    assert_int_equal(zoo_matrix_find(set, NULL, "norm.weight", &m, NULL), ZOO_OK);
    assert_true(m.found && !m.flipped && m.n_stack == 1 && m.rows == 1 && m.cols == 7);
    assert_string_equal(m.format, "F32");
    assert_int_equal(zoo_matrix_find(set, NULL, "conv.weight", &m, NULL), ZOO_OK);
    assert_true(m.found && m.n_stack == 5 && m.rows == 1 && m.cols == 4 && m.n_dims == 3);
    zoo_tensors_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parity_cases),  cmocka_unit_test(test_fixtures),
        cmocka_unit_test(test_methods),       cmocka_unit_test(test_scaled_shapes),
        cmocka_unit_test(test_packed_shapes), cmocka_unit_test(test_column_shapes),
        cmocka_unit_test(test_state_json),    cmocka_unit_test(test_views),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
