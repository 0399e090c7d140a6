/*
 * fuzz_safetensors.c: any bytes as a safetensors file, and every weight that could be in it, read
 * whole.
 *
 * After the open each tensor is widened, and for each quantisation config of a list every name that
 * a tensor suggests is looked up and read. No matrix may be larger than its bytes allow (2 bits a
 * code).
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "checkpoint/matrix.h"

#define NAME_MAX_BYTES 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const configs[] = {
    "null",
    "{\"quant_method\":\"fp8\",\"weight_block_size\":[8,16]}",
    "{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32,\"dynamic\":{}}",
    "{\"quant_method\":\"gptq\",\"checkpoint_format\":\"gptq_v2\"}",
    "{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":32}",
    "{\"quant_method\":\"bitnet\"}",
    "{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"a\":{\"weights\":{\"num_bits\":"
    "3,"
    "\"group_size\":32}},\"b\":{\"weights\":{\"num_bits\":5}},\"c\":{\"weights\":{\"block_"
    "structure\":"
    "\"8x16\"}}}}",
};

static void tensor_read(const zoo_tensor *t, float *out, size_t n_max)
{
    if (t->n_items > n_max) {
        abort();
    }
    (void)zoo_tensor_widen(t, 0, (size_t)t->n_items, out, NULL);
}

static void matrix_read(const zoo_tensors *set, const cJSON *config, const char *name, float *out,
                        size_t n_max)
{
    zoo_matrix m;
    uint64_t n_rows, n_items;
    if (zoo_matrix_find(set, config, name, &m, NULL) != ZOO_OK || !m.found) {
        return;
    }
    n_rows = m.n_stack * m.rows;
    if (__builtin_mul_overflow(n_rows, m.cols, &n_items) || n_items > n_max) {
        abort();
    }
    for (uint64_t row = 0; row < n_rows && m.cols; row += 3) {
        (void)zoo_matrix_read_rows(&m, row, n_rows - row < 3 ? n_rows - row : 3, out);
    }
}

/* The weight that a tensor may belong to: its name with one suffix exchanged. */
static void suggested_read(const zoo_tensors *set, const cJSON *config, const char *name,
                           float *out, size_t n_max)
{
    static const char *const pairs[][2] = {
        {"", ""}, {".qweight", ".weight"}, {"_packed", ""}, {"_blocks", ""}};
    char weight[NAME_MAX_BYTES];
    size_t n = strlen(name);
    for (size_t i = 0; i < ZOO_COUNT(pairs); i++) {
        size_t n_suffix = strlen(pairs[i][0]);
        if (n >= n_suffix && strcmp(name + n - n_suffix, pairs[i][0]) == 0) {
            (void)snprintf(weight, sizeof weight, "%.*s%s", (int)(n - n_suffix), name, pairs[i][1]);
            matrix_read(set, config, weight, out, n_max);
        }
    }
}

static void set_read(const zoo_tensors *set, size_t n)
{
    size_t n_max = 4 * n + 64;
    float *out = malloc(n_max * sizeof *out);
    for (size_t i = 0; out && i < zoo_tensors_count(set); i++) {
        tensor_read(zoo_tensors_at(set, i), out, n_max);
    }
    for (size_t c = 0; out && c < ZOO_COUNT(configs); c++) {
        cJSON *config;
        if (zoo_json_parse(configs[c], strlen(configs[c]), "config", &config, NULL) != ZOO_OK) {
            abort();
        }
        for (size_t i = 0; i < zoo_tensors_count(set); i++) {
            suggested_read(set, config, zoo_tensors_at(set, i)->name, out, n_max);
        }
        cJSON_Delete(config);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[64];
    zoo_tensors *set;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n) {
        abort();
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (zoo_tensors_open_file(path, &set, NULL) == ZOO_OK) {
        set_read(set, n);
        zoo_tensors_close(set);
    }
    (void)close(fd);
    return 0;
}
