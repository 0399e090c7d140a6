/*
 * conformance.c: a property of every plugin, tested on model folders: the same bits however a
 * sequence is run.
 *
 *   test_conformance [--part I/N] [PLUGIN-DIR CARD-DIR MODEL...]
 *
 * Without arguments: the demo models whose plugins are built. For each model and each pair of
 * weight and cache dtypes the whole prompt at once is the measure; then steps of one, chunks of
 * seven, a batch of ragged neighbours, restart and replay, save and load in the middle, steps whose
 * last tokens are wrong and taken back, two threads. Each model runs in a process of its own.
 * A part is of each model's pairs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../part.h"
#include "adding/conformance.h"

static const char *plugin_dir = LMZOO_BUILD_DIR "/plugins",
                  *card_dir = LMZOO_SOURCE_DIR "/models.d";
static uint32_t n_results, n_failed;
static test_part part;

typedef struct pair {
    const char *model, *weights, *cache;
} pair;

static void result(void *arg, bool ok, const char *what, const char *why)
{
    const pair *p = arg;
    const char *name = strrchr(p->model, '/');
    if (*why) {
        (void)printf("# %s\n", why);
    }
    (void)printf("%sok - %s %s weights, %s cache: %s\n", ok ? "" : "not ",
                 name ? name + 1 : p->model, p->weights, p->cache, what);
    n_results++;
    n_failed += !ok;
}

static void run_pair(const char *model, const char *weights, const char *cache)
{
    pair p = {model, weights, cache};
    const zoo_conformance c = {.folder = model,
                               .plugin_dir = plugin_dir,
                               .card_dir = card_dir,
                               .isa = getenv("LMZOO_ISA"),
                               .weights = p.weights,
                               .cache = p.cache,
                               .result = result,
                               .arg = &p};
    zoo_error error;
    if (!test_part_takes(&part)) {
        return;
    }
    if (zoo_conformance_run(&c, &error) != ZOO_OK) {
        result(&p, false, "the folder is loaded", error.text);
    }
}

static int run_model(const char *model)
{
    static const char *const kinds[] = {"f32", "bf16", "int8", "int4"};
    for (size_t i = 0; i < ZOO_COUNT(kinds) * ZOO_COUNT(kinds); i++) {
        run_pair(model, kinds[i / ZOO_COUNT(kinds)], kinds[i % ZOO_COUNT(kinds)]);
    }
    run_pair(model, "int6", "f32");
    run_pair(model, "f32", "uneven4");
    if (strstr(model, "deepseek")) {
        run_pair(model, "f32", "fp8_ds_mla");
    }
    (void)printf("# %u results\n", n_results);
    return n_failed ? 1 : 0;
}

/* Results come through a pipe, so that the parent can number the plan after a crash as well. */
static uint32_t in_child(const char *model, bool *failed)
{
    int ends[2];
    uint32_t n = 0;
    if (pipe(ends) != 0) {
        return 0;
    }
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        int code = run_model(model);
        (void)fflush(stdout);
        _exit(code);
    }
    (void)close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    char line[512];
    while (lines && fgets(line, sizeof line, lines)) {
        n += strncmp(line, "ok", 2) == 0 || strncmp(line, "not ok", 6) == 0;
        (void)fputs(line, stdout);
    }
    if (lines) {
        (void)fclose(lines);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    if (!WIFEXITED(status)) {
        (void)printf("not ok - %s: stopped by signal %d\n", model, WTERMSIG(status));
        n++;
    }
    *failed = *failed || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    return n;
}

int main(int argc, char **argv)
{
    static const char *const demos[] = {"llama", "gemma", "hybrid", "deepseek"};
    uint32_t n = 0;
    bool failed = false, parted = test_part_read(&part, argc, argv, 1);
    argv += parted ? 2 : 0;
    argc -= parted ? 2 : 0;
    if (argc > 1 && argc < 4) {
        (void)printf("Bail out! arguments: [--part I/N] [PLUGIN-DIR CARD-DIR MODEL...]\n");
        return 2;
    }
    if (argc > 3) {
        plugin_dir = argv[1];
        card_dir = argv[2];
        for (int i = 3; i < argc; i++) {
            n += in_child(argv[i], &failed);
        }
    }
    for (size_t i = 0; argc <= 3 && i < ZOO_COUNT(demos); i++) {
        char plugin[1024], model[1024];
        (void)snprintf(plugin, sizeof plugin, "%s/%s.so", plugin_dir, demos[i]);
        (void)snprintf(model, sizeof model, "%s/demo/models/demo-%s", LMZOO_SOURCE_DIR, demos[i]);
        if (access(plugin, R_OK) == 0) {
            n += in_child(model, &failed);
        } else {
            (void)printf("ok - demo-%s # SKIP its plugin is not built\n", demos[i]);
            n++;
        }
    }
    (void)printf("1..%u\n", n);
    return failed ? 1 : 0;
}
