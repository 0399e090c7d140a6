/*
 * test_exact.c: the codes of a quantised checkpoint are packed to the bit: every row that is read
 * back from packed weights equals the row that the checkpoint's format stands for.
 *
 * Folders: those of the reference, and ones in NVFP4 that are made here of demo-llama.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/mem.h"
#include "checkpoint/matrix.h"
#include "engine/engine_private.h"
#include "model/pack.h"
#include "model/packed_cache_private.h"
#include "reference.h"

#define DEMO LMZOO_SOURCE_DIR "/demo/models/demo-llama"

enum { LIST_MAX = 512, GROUP = 16 };

static char work[512];

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    (void)snprintf(work, sizeof work, "%s/exact.XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(work) ? 0 : -1;
}

static int tear_down(void **state)
{
    char line[600];
    (void)state;
    (void)snprintf(line, sizeof line, "rm -rf '%s'", work);
    return system(line);
}

static zoo_engine *open_engine(const char *folder)
{
    char cache[600];
    (void)snprintf(cache, sizeof cache, "%s/cache", work);
    zoo_engine_options options = {.weights = "int4",
                                  .cache = "f32",
                                  .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                  .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                  .packed_cache = cache,
                                  .rows_max = 8,
                                  .seqs_max = 1,
                                  .context_max = 16,
                                  .n_threads = 2,
                                  .quiet = true};
    zoo_engine *engine = NULL;
    zoo_error error = {0};
    if (zoo_engine_open(folder, &options, &engine, &error) != ZOO_OK) {
        fail_msg("%s", error.text);
    }
    return engine;
}

/* The packed matrix of a name. */
static zoo_weight packed_of(const zoo_engine *engine, const char *name)
{
    const zoo_packed *p = engine->model.packed;
    for (uint64_t i = 0; i < p->n_entries; i++) {
        const zoo_packed_entry *e = &p->entries[i];
        if (e->name == XXH3_64bits(name, strlen(name))) {
            zoo_weight w = {e->kind, e->rows, e->cols, e->group, p->data[i], NULL, NULL};
            w.scales = zoo_pack_scales(&w, w.data);
            return w;
        }
    }
    fail_msg("%s is not packed", name);
    return (zoo_weight){0};
}

/* Columns by ascending group. */
static uint32_t *order_of(const zoo_matrix *m)
{
    uint32_t *order = malloc(m->cols * sizeof *order), n = 0;
    for (uint32_t group = 0; group < m->grid_cols; group++) {
        for (uint32_t k = 0; k < m->cols; k++) {
            uint32_t of;
            memcpy(&of, (const unsigned char *)m->groups->data + k * sizeof of, sizeof of);
            if (of == group) {
                order[n++] = k;
            }
        }
    }
    assert_int_equal(n, m->cols);
    return order;
}

static void same_rows(const zoo_matrix *m, const zoo_weight *w, const char *name)
{
    size_t n = (size_t)(m->rows * m->cols);
    float *stored = malloc(n * sizeof *stored), *row = malloc(m->cols * sizeof *row);
    assert_non_null(stored);
    assert_non_null(row);
    assert_int_equal(w->rows, m->rows);
    assert_int_equal(w->cols, m->cols);
    assert_int_equal(zoo_matrix_read_rows(m, 0, m->rows, stored), ZOO_OK);
    for (uint32_t r = 0; r < w->rows; r++) {
        zoo_unpack_row(w, r, row);
        for (uint32_t k = 0; k < w->cols; k++) {
            if (row[k] != stored[r * m->cols + k]) {
                fail_msg("%s (%s) [%u, %u]: %a, stored %a", name, m->format, r, k, (double)row[k],
                         (double)stored[r * m->cols + k]);
            }
        }
    }
    free(stored);
    free(row);
}

/* All projections of the layers of a llama, packed as int4 and read back. */
static void check_folder(const char *folder, uint32_t layers)
{
    static const char *const modules[] = {
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
    char path[8192], name[100];
    cJSON *config;
    zoo_tensors *set;
    zoo_engine *engine = open_engine(folder);
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(zoo_json_read_python(path, 1 << 20, &config, NULL), ZOO_OK);
    const cJSON *q = cJSON_GetObjectItemCaseSensitive(config, "quantization_config");
    assert_int_equal(zoo_tensors_open(folder, &set, NULL), ZOO_OK);
    for (uint32_t i = 0; i < layers * ZOO_COUNT(modules); i++) {
        zoo_matrix m;
        (void)snprintf(name, sizeof name, "model.layers.%u.%s.weight", i / 7, modules[i % 7]);
        assert_int_equal(zoo_matrix_find(set, q, name, &m, NULL), ZOO_OK);
        assert_true(m.found && !m.plain);
        zoo_weight w = packed_of(engine, name);
        uint32_t *order = m.groups ? order_of(&m) : NULL;
        w.order = order;
        same_rows(&m, &w, name);
        free(order);
    }
    assert_int_equal(engine->model.stats.n_kept, layers * ZOO_COUNT(modules));
    assert_int_equal(engine->model.stats.n_rounded, 0);
    zoo_engine_close(engine);
    zoo_tensors_close(set);
    cJSON_Delete(config);
}

static void test_cases(void **state)
{
    static const char *const cases[] = {"quant-awq",
                                        "quant-gptq-int4",
                                        "quant-ct-int4-group32",
                                        "quant-gptq-int4-actorder",
                                        "quant-ct-int4-group32-asym",
                                        "quant-ct-int4-group128-asym"};
    char folder[4096];
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(cases); i++) {
        (void)snprintf(folder, sizeof folder, "%s/parity/%s", test_reference(), cases[i]);
        if (access(folder, R_OK) != 0) {
            skip();
        }
        check_folder(folder, 2);
    }
}

/* ---- NVFP4 ---- */

typedef struct writing {
    zoo_tensor list[LIST_MAX];
    char names[LIST_MAX][160];
    void *taken[LIST_MAX];
    size_t n, n_taken;
} writing;

static void *take(writing *w, size_t n)
{
    void *at = calloc(n, 1);
    assert_non_null(at);
    assert_true(w->n_taken < LIST_MAX);
    return w->taken[w->n_taken++] = at;
}

static void put(writing *w, const char *module, const char *suffix, zoo_tensor t)
{
    assert_true(w->n < LIST_MAX);
    (void)snprintf(w->names[w->n], sizeof w->names[0], "%s%s", module, suffix);
    t.name = w->names[w->n];
    w->list[w->n++] = t;
}

static float e4m3(uint32_t code)
{
    int exponent = (int)(code >> 3);
    float part = (float)(code & 7) / 8;
    return exponent ? ldexpf(1 + part, exponent - 7) : ldexpf(part, -6);
}

static uint8_t nearest_e4m3(float x)
{
    uint8_t best = 1;
    for (uint32_t code = 1; code < 0x7f; code++) {
        best = fabsf(e4m3(code) - x) < fabsf(e4m3(best) - x) ? (uint8_t)code : best;
    }
    return best;
}

static uint8_t nearest_e2m1(float x)
{
    static const float values[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    uint8_t best = 0;
    for (uint8_t code = 1; code < 8; code++) {
        best = fabsf(values[code] - fabsf(x)) < fabsf(values[best] - fabsf(x)) ? code : best;
    }
    return (uint8_t)(x < 0 ? best | 8 : best);
}

static float largest(const float *x, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    }
    return most;
}

/* Adds a matrix in NVFP4: as modelopt names and scales it, or compressed-tensors. */
static void put_nvfp4(writing *w, const zoo_tensor *t, bool divides)
{
    char module[128];
    size_t rows = (size_t)t->dims[0], cols = (size_t)t->dims[1], n = rows * cols;
    float *x = take(w, n * sizeof *x), *global = take(w, sizeof *global);
    uint8_t *codes = take(w, n / 2), *scales = take(w, n / GROUP);
    assert_int_equal(zoo_tensor_widen(t, 0, n, x, NULL), ZOO_OK);
    *global = divides ? 6 * 448 / largest(x, n) : largest(x, n) / (6 * 448);
    for (size_t g = 0; g < n / GROUP; g++) {
        float size = largest(x + g * GROUP, GROUP) / 6;
        scales[g] = nearest_e4m3(divides ? size * *global : size / *global);
        float unit = divides ? e4m3(scales[g]) / *global : e4m3(scales[g]) * *global;
        for (size_t i = g * GROUP; i < (g + 1) * GROUP; i++) {
            codes[i / 2] |= (uint8_t)(nearest_e2m1(x[i] / unit) << (i % 2 * 4));
        }
    }
    (void)snprintf(module, sizeof module, "%.*s", (int)(strlen(t->name) - strlen(".weight")),
                   t->name);
    put(w, module, divides ? ".weight_packed" : ".weight",
        (zoo_tensor){.dtype = ZOO_U8, .n_dims = 2, .dims = {rows, cols / 2}, .data = codes});
    put(w, module, ".weight_scale",
        (zoo_tensor){
            .dtype = ZOO_F8_E4M3, .n_dims = 2, .dims = {rows, cols / GROUP}, .data = scales});
    put(w, module, divides ? ".weight_global_scale" : ".weight_scale_2",
        (zoo_tensor){.dtype = ZOO_F32, .n_dims = 1, .dims = {1}, .data = global});
}

static void write_config(const char *folder, const char *quantization)
{
    char path[700];
    cJSON *config, *q;
    assert_int_equal(zoo_json_read_python(DEMO "/config.json", 1 << 20, &config, NULL), ZOO_OK);
    assert_int_equal(zoo_json_parse(quantization, strlen(quantization), "q", &q, NULL), ZOO_OK);
    (void)cJSON_AddItemToObject(config, "quantization_config", q);
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "w");
    char *text = cJSON_Print(config);
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    cJSON_free(text);
    cJSON_Delete(config);
}

static void make_nvfp4(const char *folder, bool divides)
{
    char line[2000];
    zoo_tensors *set;
    writing *w = calloc(1, sizeof *w);
    assert_non_null(w);
    (void)snprintf(line, sizeof line, "mkdir '%s' && cp '%s'/tokenizer* '%s'", folder, DEMO,
                   folder);
    assert_int_equal(system(line), 0);
    assert_int_equal(zoo_tensors_open(DEMO, &set, NULL), ZOO_OK);
    for (size_t i = 0; i < zoo_tensors_count(set); i++) {
        const zoo_tensor *t = zoo_tensors_at(set, i);
        if (strstr(t->name, "_proj.weight")) {
            put_nvfp4(w, t, divides);
        } else {
            put(w, t->name, "", *t);
        }
    }
    (void)snprintf(line, sizeof line, "%s/model.safetensors", folder);
    assert_int_equal(zoo_tensors_write(line, w->list, w->n, NULL), ZOO_OK);
    write_config(folder, divides ? "{\"quant_method\":\"compressed-tensors\",\"format\":"
                                   "\"nvfp4-pack-quantized\",\"ignore\":[\"lm_head\"]}"
                                 : "{\"quant_method\":\"modelopt\",\"quant_algo\":\"NVFP4\"}");
    for (size_t i = 0; i < w->n_taken; i++) {
        free(w->taken[i]);
    }
    free(w);
    zoo_tensors_close(set);
}

/* Whether what the command says has a text. */
static bool says(const char *arguments, const char *text)
{
    char line[2000];
    (void)snprintf(line, sizeof line, "%s/lmzoo %s 2>&1 | grep -q '%s'", LMZOO_BUILD_DIR, arguments,
                   text);
    return system(line) == 0;
}

static void test_nvfp4(void **state)
{
    (void)state;
    for (int divides = 0; divides < 2; divides++) {
        char folder[600], arguments[700];
        (void)snprintf(folder, sizeof folder, "%s/nvfp4-%d", work, divides);
        make_nvfp4(folder, divides);
        check_folder(folder, 5);
        (void)snprintf(arguments, sizeof arguments, "inspect '%s' --weights int4", folder);
        assert_true(says(arguments, "; 35 keep the codes that are stored"));
        (void)snprintf(arguments, sizeof arguments, "run '%s' --weights int8 -p Once -n 1", folder);
        assert_true(says(arguments, "what is stored (nvfp4) is rounded a second time in 35"));
    }
}

/* A scale that is no number: the tensor is named. */
static void test_nan(void **state)
{
    char folder[600], path[700], arguments[700];
    zoo_tensors *set;
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/nan", work);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    make_nvfp4(folder, false);
    assert_int_equal(zoo_tensors_open(folder, &set, NULL), ZOO_OK);
    const zoo_tensor *t = zoo_tensors_find(set, "model.layers.1.mlp.up_proj.weight_scale");
    long at = (long)t->at;
    zoo_tensors_close(set);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at + 7, SEEK_SET), 0);
    assert_int_equal(fputc(0x7f, file), 0x7f);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(arguments, sizeof arguments, "run '%s' --weights int4 -p Once -n 1", folder);
    assert_true(says(arguments, "tensor model.layers.1.mlp.up_proj.weight: one of its scales is "
                                "not a number"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nvfp4, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nan, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
