/*
 * cmd_cache.c: lmzoo cache A B ... [--context 1k,32k,128k] [--json | -o FILE.svg]
 *
 * What sequences of several models keep and what a token reads of it, side by side.
 */
#include <stddef.h>
#include <stdlib.h>

#include "commands/commands.h"
#include "commands/reading.h"
#include "gallery/draw.h"

enum { ARCHS_MAX = 8 };

typedef struct cache_args {
    reading_args reading;
    const char *contexts, *output;
    bool json, markdown, dark;
} cache_args;

static const zoo_option options[] = {
    {"--context", 0, ZOO_OPTION_TEXT, offsetof(cache_args, contexts), "N,N,...",
     "positions, with k or M for 1024 and 1048576 [1k,32k,128k]"},
    {"--json", 0, ZOO_OPTION_FLAG, offsetof(cache_args, json), NULL, "one JSON array"},
    {"--markdown", 0, ZOO_OPTION_FLAG, offsetof(cache_args, markdown), NULL, "as Markdown"},
    {"--output", 'o', ZOO_OPTION_TEXT, offsetof(cache_args, output), "FILE",
     "a chart as SVG, to this file"},
    {"--dark", 0, ZOO_OPTION_FLAG, offsetof(cache_args, dark), NULL, "dark colours of the chart"},
    READING_OPTIONS(cache_args),
    ZOO_OPTIONS_END};

/* 1024 for k, 1048576 for M, 1 for the end of a number, 0 for anything else. */
static double unit_of(char c)
{
    return c == ',' || c == '\0' ? 1 : c == 'k' || c == 'K' ? 1024 : c == 'M' ? 1048576 : 0;
}

static zoo_status read_contexts(const char *list, zoo_caches *c, zoo_error *err)
{
    for (const char *p = list; *p;) {
        char *end = NULL;
        double n = *p >= '0' && *p <= '9' ? strtod(p, &end) : 0;
        double unit = end ? unit_of(*end) : 0;
        end += end && unit > 1;
        bool ends = end && (*end == ',' || !*end);
        if (!ends || !(n * unit >= 1) || n * unit > 1e9 || c->n_contexts == ZOO_CONTEXTS_MAX) {
            return zoo_fail(err, ZOO_E_USAGE,
                            "--context: \"%.60s\" is no list of 1 to %d lengths such as "
                            "1k,32k,128k, each up to 1e9",
                            list, ZOO_CONTEXTS_MAX);
        }
        c->contexts[c->n_contexts++] = n * unit;
        p = *end == ',' ? end + 1 : end;
    }
    return c->n_contexts ? ZOO_OK
                         : zoo_fail(err, ZOO_E_USAGE, "--context needs at least one length");
}

static int print(const cache_args *a, const zoo_caches *c)
{
    zoo_doc doc = {.form = a->markdown ? ZOO_DOC_MARKDOWN : ZOO_DOC_TEXT};
    int code = 0;
    if (a->output) {
        zoo_caches_chart(c, a->dark, &doc.out);
        code = reading_save("cache", a->output, &doc.out);
    } else if (a->json) {
        doc.out.failed = !zoo_caches_json(&doc.out, c);
        code = reading_print("cache", &doc.out);
    } else {
        zoo_caches_write(&doc, c);
        code = reading_print("cache", &doc.out);
    }
    zoo_doc_free(&doc);
    return code;
}

static int run(void *args)
{
    const cache_args *a = args;
    zoo_arch *archs[ARCHS_MAX] = {NULL};
    zoo_caches c = {.n_contexts = 0};
    zoo_error err;
    zoo_status status = read_contexts(a->contexts, &c, &err);
    for (uint32_t i = 0; i < a->reading.common.n_positional && status == ZOO_OK; i++) {
        status = reading_open(&a->reading, i, &archs[i], &err);
        c.archs[c.n_archs++] = archs[i];
    }
    int code = status == ZOO_OK ? print(a, &c)
                                : zoo_command_failed("cache", &err, reading_exit_code(status));
    for (uint32_t i = 0; i < ARCHS_MAX; i++) {
        zoo_arch_close(archs[i]);
    }
    return code;
}

static const cache_args defaults = {.contexts = "1k,32k,128k"};

const zoo_command zoo_command_cache = {
    .name = "cache",
    .arguments = "A B ... [--context 1k,32k,128k] [--json | -o FILE.svg]",
    .summary = "what sequences of several models keep, side by side",
    .text =
        "Compares caches: bytes of a position, windows, states, what is kept at several lengths "
        "in each format of the cache and what one more token reads of it. As tables, as JSON or "
        "as a chart. Each model is a folder, a config.json, a name in the Hub's cache or the "
        "model type of a card.",
    .example = "lmzoo cache ./a/config.json ./b/config.json --context 32k,1M",
    .options = options,
    .n_min = 1,
    .n_max = ARCHS_MAX,
    .args_size = sizeof(cache_args),
    .defaults = &defaults,
    .run = run};
