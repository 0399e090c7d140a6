/*
 * test_explain.c: figures of an architecture against what the loader and the cache measure on the
 * same folder: parameters read, bytes of a position for each cache dtype as planned, and what a run
 * has left in the cache. The demo models always; the parity cases where they are; or, called with
 * `--folder FOLDER`, the models of that folder alone.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine_private.h"
#include "explain/memory.h"

static const zoo_dtype dtypes[] = {ZOO_BF16, ZOO_INT4};
static const char *const names[] = {"bf16", "int4"};

static zoo_model_options options_of(const char *cache)
{
    return (zoo_model_options){.cache = cache,
                               .plan_only = true,
                               .quiet = true,
                               .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                               .card_dir = LMZOO_SOURCE_DIR "/models.d"};
}

/* Long enough that rings are full, a multiple of every page. */
enum { FAR = 64 * 4096 };

static void compare_memory(const char *folder, const zoo_arch *arch)
{
    for (size_t d = 0; d < ZOO_COUNT(dtypes); d++) {
        zoo_model_options options = options_of(names[d]);
        zoo_engine *engine = NULL;
        zoo_error err = {0};
        if (zoo_engine_open(folder, &options, &engine, &err) != ZOO_OK) {
            fail_msg("%s: %s", folder, err.text);
        }
        const zoo_cache_pool *pool = engine->model.cache;
        zoo_cache_cost far = zoo_cache_pool_cost(pool, 2 * FAR),
                       near = zoo_cache_pool_cost(pool, FAR);
        zoo_arch_cost cost = zoo_arch_cost_at(arch, dtypes[d], FAR);
        double measured = (double)(far.bytes_at - near.bytes_at) / FAR;
        if (measured > cost.growing_later + 1e-6 || measured < cost.growing_later - 1e-6) {
            fail_msg("%s, %s: %f bytes a position, explained %f", folder, names[d], measured,
                     cost.growing_later);
        }
        if (d == 0 && (double)near.state_bytes < cost.states) {
            fail_msg("%s: states of %zu, explained %f", folder, near.state_bytes, cost.states);
        }
        zoo_engine_close(engine);
    }
}

/* Tokens of a run, twice: a multiple of every page of a stream with a row for each position. */
enum { RUN = 256 };

/* The bytes that the cache holds of a sequence after RUN and after 2 RUN tokens. */
static void run_and_count(zoo_engine *engine, uint64_t counted[2])
{
    uint32_t vocab = zoo_engine_plan(engine)->vocab_size, seq = 0;
    zoo_error err = {0};
    assert_int_equal(zoo_engine_seq_open(engine, 2 * RUN, 2 * RUN, &seq, &err), ZOO_OK);
    for (uint32_t done = 0; done < 2 * RUN; done += RUN / 4) {
        int32_t tokens[RUN / 4];
        for (uint32_t i = 0; i < RUN / 4; i++) {
            tokens[i] = (int32_t)((3 + 7 * (done + i)) % (vocab > 16 ? vocab - 8 : vocab));
        }
        zoo_item item = {.seq = seq, .n = RUN / 4, .tokens = tokens};
        assert_int_equal(zoo_engine_step(engine, &item, 1, &err), ZOO_OK);
        if ((done + RUN / 4) % RUN == 0) {
            zoo_cache_saver *saver = NULL;
            uint32_t prefix = 0;
            assert_int_equal(zoo_engine_saver(engine, &saver, &err), ZOO_OK);
            assert_int_equal(zoo_engine_prefix_keep(engine, seq, done + RUN / 4, &prefix, &err),
                             ZOO_OK);
            counted[done / RUN] = zoo_cache_saver_count(saver, prefix);
            zoo_engine_prefix_drop(engine, prefix);
            zoo_cache_saver_free(saver);
        }
    }
    zoo_engine_seq_close(engine, seq);
}

/* Bytes of pages that are begun but not full: of streams with a row for several positions. */
static double begun(const zoo_arch *arch, zoo_dtype dtype)
{
    double bytes = 0;
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        for (uint32_t k = 0; k < arch->layers[i].n_blocks; k++) {
            const zoo_arch_block *block = &arch->layers[i].blocks[k];
            for (uint32_t s = 0; s < block->n_streams && !block->borrows; s++) {
                const zoo_stream *decl = &block->streams[s].decl;
                bool wide = decl->kind == ZOO_ROWS && RUN % (ZOO_PAGE * decl->stride) != 0;
                bytes +=
                    wide ? ZOO_PAGE * zoo_cache_row_cost(decl, zoo_cache_kinds[dtype]).bytes : 0;
            }
        }
    }
    return bytes;
}

/* What a run leaves in the cache, against what explain says; RUN tokens and as many more. */
static void compare_run(const char *folder, const zoo_arch *arch, zoo_dtype dtype, const char *name)
{
    zoo_model_options options = options_of(name);
    zoo_engine *engine = NULL;
    zoo_error err = {0};
    uint64_t counted[2] = {0, 0};
    options.plan_only = false;
    options.weights = "f32";
    options.context_max = 2 * RUN;
    options.seqs_max = 2;
    options.rows_max = RUN;
    options.n_threads = 1;
    if (zoo_engine_open(folder, &options, &engine, &err) != ZOO_OK) {
        fail_msg("%s: %s", folder, err.text);
    }
    run_and_count(engine, counted);
    double more =
        zoo_arch_cost_at(arch, dtype, 2 * RUN).kept - zoo_arch_cost_at(arch, dtype, RUN).kept;
    double found = (double)(counted[1] - counted[0]),
           numbers = 4.0 * (RUN / ZOO_PAGE) * ZOO_STREAMS_MAX;
    double slack = begun(arch, dtype);
    if (found < more - slack - 0.5 || found > more + slack + numbers) {
        fail_msg("%s, %s: %u tokens leave %.0f bytes, explained %.0f", folder, name, RUN, found,
                 more);
    }
    print_message("%s, %s: %.1f bytes a token explained, %.1f left by a run\n", folder, name,
                  more / RUN, found / RUN);
    zoo_engine_close(engine);
}

/* False: the folder is one that is refused. */
static bool compare(const char *folder)
{
    zoo_model_options options = options_of("f32");
    zoo_engine *engine = NULL;
    zoo_arch *arch = NULL;
    zoo_error err = {0};
    if (zoo_engine_open(folder, &options, &engine, &err) != ZOO_OK) {
        return false;
    }
    if (zoo_arch_open(folder, &options, &arch, &err) != ZOO_OK) {
        fail_msg("%s: %s", folder, err.text);
    }
    if (arch->params.total != engine->model.stats.n_parameters) {
        fail_msg("%s: %llu parameters are read, %llu explained", folder,
                 (unsigned long long)engine->model.stats.n_parameters,
                 (unsigned long long)arch->params.total);
    }
    assert_true(arch->params.active <= arch->params.total);
    zoo_engine_close(engine);
    compare_memory(folder, arch);
    if (arch->model.plan.context_max >= 2 * RUN) {
        for (size_t d = 0; d < ZOO_COUNT(dtypes); d++) {
            compare_run(folder, arch, dtypes[d], names[d]);
        }
    }
    zoo_arch_close(arch);
    return true;
}

static void compare_all(const char *parent, uint32_t wanted)
{
    uint32_t n = 0;
    DIR *folder = opendir(parent);
    if (!folder) {
        print_message("%s is absent\n", parent);
        skip();
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s/config.json", parent, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (file) {
            (void)fclose(file);
            path[strlen(path) - strlen("/config.json")] = '\0';
            n += compare(path);
        }
    }
    (void)closedir(folder);
    assert_true(n >= wanted);
}

static void demo_models(void **state)
{
    (void)state;
    compare_all(LMZOO_SOURCE_DIR "/demo/models", 4);
}

static void parity_cases(void **state)
{
    (void)state;
    const char *reference = getenv("LMZOO_REFERENCE");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/parity", reference ? reference : "/nowhere");
    compare_all(path, 200);
}

static void wrong_names(void **state)
{
    (void)state;
    zoo_model_options options = options_of("f32");
    zoo_arch *arch = NULL;
    zoo_error err = {0};
    assert_int_equal(zoo_arch_open("no_such_type", &options, &arch, &err), ZOO_E_USAGE);
    assert_non_null(strstr(err.text, "no_such_type"));
    assert_int_equal(zoo_arch_open("quo\"te", &options, &arch, &err), ZOO_E_USAGE);
    assert_null(arch);
}

static const char *own_folder;

static void folder_of_the_caller(void **state)
{
    (void)state;
    compare_all(own_folder, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest own[] = {cmocka_unit_test(folder_of_the_caller)};
    if (argc == 3 && strcmp(argv[1], "--folder") == 0) {
        own_folder = argv[2];
        return cmocka_run_group_tests(own, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(demo_models),
                                       cmocka_unit_test(parity_cases),
                                       cmocka_unit_test(wrong_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
