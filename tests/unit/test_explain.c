/*
 * test_explain.c: figures of an architecture against what the loader and the cache measure on the
 * same folder: parameters read, bytes of a position, for each cache dtype. The demo models always;
 * the parity cases where they are.
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(demo_models),
                                       cmocka_unit_test(parity_cases),
                                       cmocka_unit_test(wrong_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
