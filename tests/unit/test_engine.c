/*
 * test_engine.c: opening under failing memory, misuse of sequences and steps, bytes of rings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/engine_private.h"

#define DEMO(name) LMZOO_SOURCE_DIR "/demo/models/demo-" name

static zoo_engine_options options_of(bool plan_only)
{
    return (zoo_engine_options){.weights = "f32",
                                .cache = "f32",
                                .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                .rows_max = 32,
                                .seqs_max = 4,
                                .context_max = 256,
                                .n_threads = 1,
                                .plan_only = plan_only,
                                .quiet = true};
}

/* Every allocation fails in turn: an error with a sentence, or a model that opens. */
static void opening_survives_failing_memory(void **state)
{
    (void)state;
    zoo_engine_options options = options_of(false);
    zoo_engine *engine = NULL;
    zoo_error error = {0};
    zoo_mem_fail_at(0);
    assert_int_equal(zoo_engine_open(DEMO("llama"), &options, &engine, &error), ZOO_OK);
    int64_t n_calls = zoo_mem_calls();
    zoo_engine_close(engine);
    assert_true(n_calls > 100);
    int64_t n_failed = 0;
    for (int64_t n = 1; n <= n_calls; n += n < 300 ? 1 : 97) {
        memset(&error, 0, sizeof error);
        zoo_mem_fail_at(n);
        zoo_status status = zoo_engine_open(DEMO("llama"), &options, &engine, &error);
        zoo_mem_fail_at(0);
        if (status == ZOO_OK) {
            zoo_engine_close(engine);
        } else {
            assert_null(engine);
            assert_true(error.text[0] != '\0');
            n_failed++;
        }
    }
    assert_true(n_failed > 200);
}

static zoo_engine *open_demo(void)
{
    zoo_engine_options options = options_of(false);
    zoo_engine *engine = NULL;
    zoo_error error = {0};
    if (zoo_engine_open(DEMO("llama"), &options, &engine, &error) != ZOO_OK) {
        fail_msg("%s", error.text);
    }
    return engine;
}

static void misuse_is_refused(void **state)
{
    (void)state;
    zoo_engine *engine = open_demo();
    zoo_error error = {0};
    int32_t tokens[40] = {0};
    uint32_t seq, more[8];
    assert_int_equal(zoo_engine_seq_open(engine, 8, 300, &seq, &error), ZOO_E_LIMIT);
    assert_int_equal(zoo_engine_seq_open(engine, 8, 20, &seq, &error), ZOO_OK);
    zoo_item items[2] = {{.seq = seq, .n = 4, .tokens = tokens, .want = ZOO_WANT_LAST},
                         {.seq = seq, .n = 1, .tokens = tokens, .want = ZOO_WANT_LAST}};
    assert_int_equal(zoo_engine_step(engine, items, 2, &error), ZOO_E_USAGE);
    assert_non_null(strstr(error.text, "twice"));
    items[0].n = 33;
    assert_int_equal(zoo_engine_step(engine, items, 1, &error), ZOO_E_LIMIT);
    items[0].n = 21;
    assert_int_equal(zoo_engine_step(engine, items, 1, &error), ZOO_E_LIMIT);
    items[0].n = 0;
    assert_int_equal(zoo_engine_step(engine, items, 1, &error), ZOO_E_LIMIT);
    items[0].n = 2;
    tokens[1] = 1024;
    assert_int_equal(zoo_engine_step(engine, items, 1, &error), ZOO_E_USAGE);
    assert_non_null(strstr(error.text, "token 1024 is outside the vocabulary of 1024"));
    tokens[1] = -1;
    assert_int_equal(zoo_engine_step(engine, items, 1, &error), ZOO_E_USAGE);
    items[0].seq = 3;
    assert_int_equal(zoo_engine_step(engine, items, 1, &error), ZOO_E_USAGE);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(zoo_engine_seq_open(engine, 8, 20, &more[i], &error), ZOO_OK);
    }
    assert_int_equal(zoo_engine_seq_open(engine, 8, 20, &more[3], &error), ZOO_E_MEMORY);
    zoo_engine_close(engine);
}

static void options_are_checked(void **state)
{
    (void)state;
    zoo_engine *engine = NULL;
    zoo_error error = {0};
    zoo_engine_options options = options_of(true);
    options.weights = "int3";
    assert_int_equal(zoo_engine_open(DEMO("llama"), &options, &engine, &error), ZOO_E_USAGE);
    assert_non_null(strstr(error.text, "int3"));
    options = options_of(true);
    options.isa = "mmx";
    assert_int_not_equal(zoo_engine_open(DEMO("llama"), &options, &engine, &error), ZOO_OK);
    assert_non_null(strstr(error.text, "mmx"));
    options = options_of(false);
    options.memory = 1000;
    assert_int_equal(zoo_engine_open(DEMO("llama"), &options, &engine, &error), ZOO_E_MEMORY);
}

/* What a plan says of the weights is what a run packs. */
static void plan_is_what_is_packed(void **state)
{
    static const char *const demos[] = {DEMO("llama"), DEMO("gemma"), DEMO("deepseek"),
                                        DEMO("hybrid")};
    static const char *const kinds[] = {"auto", "f32", "bf16", "int8", "int6", "int4"};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(demos) * ZOO_COUNT(kinds); i++) {
        uint64_t bytes[2] = {0, 0};
        for (int run = 0; run < 2; run++) {
            zoo_engine *engine = NULL;
            zoo_error error = {0};
            zoo_engine_options options = options_of(!run);
            options.weights = kinds[i / ZOO_COUNT(demos)];
            if (zoo_engine_open(demos[i % ZOO_COUNT(demos)], &options, &engine, &error) != ZOO_OK) {
                fail_msg("%s", error.text);
            }
            bytes[run] = engine->model.stats.bytes_packed;
            zoo_engine_close(engine);
        }
        assert_true(bytes[0] > 100000);
        assert_int_equal(bytes[0], bytes[1]);
    }
}

/* Windowed layers keep their rings whatever the length; only full layers grow. */
static void rings_are_flat(void **state)
{
    (void)state;
    zoo_engine *engine = NULL;
    zoo_error error = {0};
    zoo_engine_options options = options_of(true);
    if (zoo_engine_open(DEMO("gemma"), &options, &engine, &error) != ZOO_OK) {
        fail_msg("%s", error.text);
    }
    const zoo_cache_pool *pool = engine->model.cache;
    zoo_cache_cost at_1k = zoo_cache_pool_cost(pool, 1024), at_2k = zoo_cache_pool_cost(pool, 2048);
    assert_true(at_1k.ring_bytes > 0);
    assert_true(at_1k.ring_bytes == at_2k.ring_bytes);
    /* Two full layers of one key-value head of 32: keys and values of 1,024 more positions. */
    assert_int_equal(at_2k.bytes_at - at_1k.bytes_at, 2 * 2 * 32 * 4 * 1024);
    zoo_engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_survives_failing_memory),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(plan_is_what_is_packed),
        cmocka_unit_test(rings_are_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
