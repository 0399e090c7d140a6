/*
 * test_compare.c: a checkpoint with one deliberate mistake: compare names the first wrong tensor
 * and the kind of mistake. The small model of the tree is used; its own trace is the reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/safetensors.h"
#include "engine/engine.h"
#include "evaluate/compare.h"

#define MODEL LMZOO_SOURCE_DIR "/demo/models/demo-llama"

enum { N = 24, HEAD = 16, HIDDEN = 96, Q_ROWS = 128, TRACES_MAX = 256 };

typedef struct trace {
    zoo_tensor list[TRACES_MAX];
    char names[TRACES_MAX][128];
    uint32_t n;
} trace;

static trace right, wrong;

static void keep(void *arg, const char *name, const float *x, uint32_t n_rows, uint32_t width)
{
    trace *t = arg;
    assert_true(t->n < TRACES_MAX);
    float *copy = malloc((size_t)n_rows * width * sizeof(float));
    assert_non_null(copy);
    memcpy(copy, x, (size_t)n_rows * width * sizeof(float));
    (void)snprintf(t->names[t->n], sizeof t->names[t->n], "%s", name);
    t->list[t->n] = (zoo_tensor){.name = t->names[t->n],
                                 .data = copy,
                                 .n_items = (uint64_t)n_rows * width,
                                 .n_bytes = (uint64_t)n_rows * width * sizeof(float),
                                 .dims = {n_rows, width},
                                 .n_dims = 2,
                                 .dtype = ZOO_F32};
    t->n++;
}

static void run_trace(const char *folder, trace *t)
{
    zoo_engine_options options = {.weights = "f32",
                                  .cache = "f32",
                                  .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                  .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                  .rows_max = 32,
                                  .seqs_max = 1,
                                  .context_max = 64,
                                  .n_threads = 1,
                                  .quiet = true};
    zoo_engine *engine = NULL;
    zoo_error error;
    uint32_t seq;
    int32_t tokens[N];
    for (int32_t i = 0; i < N; i++) {
        tokens[i] = 300 + 17 * i;
    }
    if (zoo_engine_open(folder, &options, &engine, &error) != ZOO_OK) {
        fail_msg("%s", error.text);
    }
    zoo_item item = {.n = N, .tokens = tokens, .want = ZOO_WANT_ALL};
    assert_int_equal(zoo_engine_seq_open(engine, N, N, &seq, &error), ZOO_OK);
    item.seq = seq;
    zoo_engine_trace(engine, keep, t);
    assert_int_equal(zoo_engine_step(engine, &item, 1, &error), ZOO_OK);
    zoo_engine_close(engine);
}

static void drop(trace *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        free((void *)(uintptr_t)t->list[i].data);
    }
    t->n = 0;
}

typedef void breaker(uint16_t *bf16);

/* Writes a copy of the model into folder in which `name` went through fn. */
static void break_copy(const char *folder, const char *name, breaker *fn)
{
    static const char *const files[] = {"config.json", "generation_config.json"};
    char path[600], command[1300];
    zoo_tensors *set = NULL;
    zoo_error error;
    for (size_t i = 0; i < ZOO_COUNT(files); i++) {
        (void)snprintf(command, sizeof command, "cp '%s/%s' '%s/'", MODEL, files[i], folder);
        assert_int_equal(system(command), 0);
    }
    assert_int_equal(zoo_tensors_open(MODEL, &set, &error), ZOO_OK);
    size_t n = zoo_tensors_count(set);
    zoo_tensor *list = calloc(n, sizeof *list);
    assert_non_null(list);
    void *changed = NULL;
    for (size_t i = 0; i < n; i++) {
        list[i] = *zoo_tensors_at(set, i);
        if (strcmp(list[i].name, name) == 0) {
            changed = malloc(list[i].n_bytes);
            assert_non_null(changed);
            memcpy(changed, list[i].data, list[i].n_bytes);
            fn(changed);
            list[i].data = changed;
        }
    }
    assert_non_null(changed);
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (zoo_tensors_write(path, list, n, &error) != ZOO_OK) {
        fail_msg("%s", error.text);
    }
    free(changed);
    free(list);
    zoo_tensors_close(set);
}

static zoo_tensors *as_file(const char *folder, const char *name, const trace *t)
{
    char path[600];
    zoo_tensors *set = NULL;
    zoo_error error;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(zoo_tensors_write(path, t->list, t->n, &error), ZOO_OK);
    assert_int_equal(zoo_tensors_open_file(path, &set, &error), ZOO_OK);
    return set;
}

static void expect(const char *name, breaker *fn, const char *first, const char *words)
{
    char folder[400], command[500];
    const char *tmp = getenv("TMPDIR");
    zoo_compare_options options = {.prefix_a = "", .prefix_b = "", .limit = 1e-9};
    zoo_compare_result result;
    zoo_error error;
    (void)snprintf(folder, sizeof folder, "%s/zoo_broken_XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    break_copy(folder, name, fn);
    run_trace(MODEL, &right);
    run_trace(folder, &wrong);
    zoo_tensors *a = as_file(folder, "a.safetensors", &wrong),
                *b = as_file(folder, "b.safetensors", &right);
    FILE *out = fopen("/dev/null", "w");
    assert_non_null(out);
    assert_int_equal(zoo_compare(a, b, &options, out, &result, &error), ZOO_OK);
    (void)fclose(out);
    zoo_tensors_close(a);
    zoo_tensors_close(b);
    drop(&right);
    drop(&wrong);
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    assert_string_equal(result.first, first);
    if (!strstr(result.guess, words)) {
        fail_msg("the guess is \"%s\", not \"%s\"", result.guess, words);
    }
}

/* Rows of each head: the first half of the rotary dims changes places with the second. */
static void swap_halves(uint16_t *w)
{
    for (int row = 0; row < Q_ROWS; row++) {
        if (row % HEAD < HEAD / 2) {
            for (int k = 0; k < HIDDEN; k++) {
                uint16_t *p = &w[row * HIDDEN + k], *q = &w[(row + HEAD / 2) * HIDDEN + k],
                         keep_value = *p;
                *p = *q;
                *q = keep_value;
            }
        }
    }
}

static void rotary_halves(void **state)
{
    (void)state;
    expect("model.layers.2.self_attn.q_proj.weight", swap_halves, "model.layers.2.self_attn",
           "rotary (halves swapped");
}

static float widen(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void raise_one(uint16_t *w)
{
    float value = widen(w[17]) + 1.0f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    w[17] = (uint16_t)(bits >> 16);
}

static void one_norm_weight(void **state)
{
    (void)state;
    expect("model.layers.3.post_attention_layernorm.weight", raise_one,
           "model.layers.3.post_attention_layernorm", "one factor in column 17 alone");
}

static void transpose(uint16_t *w)
{
    static uint16_t copy[HIDDEN * Q_ROWS];
    memcpy(copy, w, sizeof copy);
    for (int r = 0; r < HIDDEN; r++) {
        for (int c = 0; c < Q_ROWS; c++) {
            w[c * HIDDEN + r] = copy[r * Q_ROWS + c];
        }
    }
}

static void transposed_projection(void **state)
{
    (void)state;
    expect("model.layers.1.self_attn.o_proj.weight", transpose, "model.layers.1.self_attn",
           "projection");
}

static void negate_all(uint16_t *w)
{
    for (int i = 0; i < HIDDEN * 256; i++) {
        w[i] ^= 0x8000;
    }
}

static void a_factor(void **state)
{
    (void)state;
    expect("model.layers.0.mlp.down_proj.weight", negate_all, "model.layers.0.mlp",
           "one factor of -1 makes it right");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotary_halves),
        cmocka_unit_test(one_norm_weight),
        cmocka_unit_test(transposed_projection),
        cmocka_unit_test(a_factor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
