/* options.c: reading of command lines (options.h). Values stay where argv holds them. */
#include "commands/options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "generate/schedule.h"

/* Offsets into a zoo_common, with which the arguments of every command begin. */
#define ENGINE(field) offsetof(zoo_common, engine.field)

const zoo_option zoo_options_help[] = {
    {"--help", 'h', ZOO_OPTION_FLAG, offsetof(zoo_common, help), NULL, "this text"},
    ZOO_OPTIONS_END};

const zoo_option zoo_options_model[] = {
    {"--weights", 0, ZOO_OPTION_TEXT, ENGINE(weights), "auto|f32|bf16|int8|int6|int4|int4-all",
     "how weights are packed; int4 leaves wide what a quantised checkpoint keeps wide, int4-all "
     "packs that too"},
    {"--cache", 0, ZOO_OPTION_TEXT, ENGINE(cache), "KIND|STREAM=KIND,...",
     "format of keys and values: auto (bf16 with bf16, int8 and int4 weights), f32, bf16, "
     "int8, int4 or a plugin's; also per stream, as k=int8,v=int4"},
    {"--packed-cache", 0, ZOO_OPTION_TEXT, ENGINE(packed_cache), "DIR|auto",
     "keep packed weights in a file there, for quick starts (auto: ~/.cache/lmzoo)"},
    {"--threads", 't', ZOO_OPTION_COUNT, ENGINE(n_threads), "N", "threads (one per core)"},
    {"--isa", 0, ZOO_OPTION_TEXT, ENGINE(isa), "NAME", "use no instruction set above this one"},
    {"--memory", 0, ZOO_OPTION_SIZE, ENGINE(memory), "BYTES",
     "limit for weights and caches, as 4G (three quarters of the machine's)"},
    {"--context", 0, ZOO_OPTION_COUNT, ENGINE(context_max), "N",
     "longest sequence, in tokens (the model's, at most 8192)"},
    {"--max-seqs", 0, ZOO_OPTION_COUNT, ENGINE(seqs_max), "N", "sequences that run together (64)"},
    {"--max-rows", 0, ZOO_OPTION_COUNT, ENGINE(rows_max), "N", "rows (tokens) of one step (512)"},
    {"--plugin-dir", 0, ZOO_OPTION_TEXT, ENGINE(plugin_dir), "DIR", "folder of plugins"},
    {"--card-dir", 0, ZOO_OPTION_TEXT, ENGINE(card_dir), "DIR", "folder of cards"},
    {"--allow-unknown", 0, ZOO_OPTION_LIST, offsetof(zoo_common, allow_unknown), "KEY",
     "ignore this config key, or stored tensors of that name ('*' for any part of it)"},
    {"--strict", 0, ZOO_OPTION_FLAG, ENGINE(strict), NULL,
     "refuse config keys that the reference does not read (they are only reported)"},
    {"--pin", 0, ZOO_OPTION_FLAG, ENGINE(pin), NULL, "pin each thread to a core of its own"},
    {"--quiet", 'q', ZOO_OPTION_FLAG, ENGINE(quiet), NULL, "no progress line"},
    ZOO_OPTIONS_END};

static const zoo_option *find(const zoo_option *rows, const char *name, size_t n)
{
    for (; rows && rows->name; rows++) {
        if (strlen(rows->name) == n && memcmp(rows->name, name, n) == 0) {
            return rows;
        }
        if (n == 2 && name[0] == '-' && rows->letter && name[1] == rows->letter) {
            return rows;
        }
    }
    return NULL;
}

static zoo_status bad_value(const zoo_option *row, const char *text, const char *wanted,
                            zoo_error *err)
{
    return zoo_fail(err, ZOO_E_USAGE, "%s needs %s, not \"%.60s\"", row->name, wanted, text);
}

static zoo_status read_size(const zoo_option *row, const char *text, void *value, zoo_error *err)
{
    static const char units[] = "KMGT";
    char *end;
    double x = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    bool ok = end != text && isfinite(x) && x >= 0.0;
    if (unit) {
        x *= ldexp(1.0, 10 * (int)(unit - units + 1));
        end++;
        end += strcmp(end, "iB") == 0 ? 2 : strcmp(end, "B") == 0 ? 1 : 0;
    }
    if (!ok || *end || x >= 0x1p63) {
        return bad_value(row, text, "a number of bytes, as 4G or 512M", err);
    }
    *(size_t *)value = (size_t)x;
    return ZOO_OK;
}

static zoo_status read_whole(const zoo_option *row, const char *text, void *value, zoo_error *err)
{
    char *end;
    unsigned long long x;
    errno = 0;
    x = strtoull(text, &end, 10);
    if (end == text || *end || errno || text[0] == '-' ||
        (row->kind == ZOO_OPTION_COUNT && x > UINT32_MAX / 2)) {
        return bad_value(row, text, "a whole number", err);
    }
    if (row->kind == ZOO_OPTION_COUNT) {
        *(uint32_t *)value = (uint32_t)x;
    } else {
        *(uint64_t *)value = x;
    }
    return ZOO_OK;
}

static zoo_status add_item(const zoo_option *row, const char *text, zoo_option_list *list,
                           zoo_error *err)
{
    if (list->n == ZOO_ALLOW_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "%s is given more than %d times", row->name,
                        ZOO_ALLOW_MAX);
    }
    list->items[list->n++] = text;
    list->items[list->n] = NULL;
    return ZOO_OK;
}

static zoo_status set_value(const zoo_option *row, const char *text, void *args, zoo_error *err)
{
    void *value = (char *)args + row->offset;
    char *end;
    double x;
    switch (row->kind) {
    case ZOO_OPTION_TEXT:
        *(const char **)value = text;
        return ZOO_OK;
    case ZOO_OPTION_SIZE:
        return read_size(row, text, value, err);
    case ZOO_OPTION_COUNT:
    case ZOO_OPTION_SEED:
        return read_whole(row, text, value, err);
    case ZOO_OPTION_NUMBER:
        x = strtod(text, &end);
        if (end == text || *end || !isfinite(x)) {
            return bad_value(row, text, "a number", err);
        }
        *(double *)value = x;
        return ZOO_OK;
    case ZOO_OPTION_LIST:
        return add_item(row, text, value, err);
    case ZOO_OPTION_FLAG:
        break;
    }
    return ZOO_OK;
}

size_t zoo_word_distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n + 1 > ZOO_COUNT(row)) {
        return SIZE_MAX;
    }
    for (size_t k = 0; k <= n; k++) {
        row[k] = k;
    }
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < n; k++) {
            size_t best = corner + (a[i] != b[k]);
            best = row[k] + 1 < best ? row[k] + 1 : best;
            best = row[k + 1] + 1 < best ? row[k + 1] + 1 : best;
            corner = row[k + 1];
            row[k + 1] = best;
        }
    }
    return row[n];
}

static zoo_status unknown(const char *text, size_t n, const zoo_option_tables *tables,
                          zoo_error *err)
{
    char name[64];
    const char *nearest = NULL;
    size_t least = 4; /* at most this many edits: a farther name is not a misspelling */
    (void)snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), text);
    for (size_t t = 0; t < ZOO_COUNT(tables->tables); t++) {
        for (const zoo_option *row = tables->tables[t]; row && row->name; row++) {
            size_t d = zoo_word_distance(name, row->name);
            nearest = d < least ? row->name : nearest;
            least = d < least ? d : least;
        }
    }
    return zoo_fail(err, ZOO_E_USAGE, "unknown option %.80s%s%s%s", text,
                    nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* One option at argv[*at]; *at moves over its value. */
static zoo_status read_option(int argc, char **argv, int *at, const zoo_option_tables *tables,
                              void *args, zoo_error *err)
{
    const char *text = argv[*at];
    const char *equals = text[1] == '-' ? strchr(text, '=') : NULL;
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    const zoo_option *row = NULL;
    for (size_t t = 0; !row && t < ZOO_COUNT(tables->tables); t++) {
        row = find(tables->tables[t], text, n);
    }
    if (!row) {
        return unknown(text, n, tables, err);
    }
    if (row->kind == ZOO_OPTION_FLAG) {
        if (equals) {
            return zoo_fail(err, ZOO_E_USAGE, "%s takes no value", row->name);
        }
        *(bool *)((char *)args + row->offset) = true;
        return ZOO_OK;
    }
    if (!equals && *at + 1 >= argc) {
        return zoo_fail(err, ZOO_E_USAGE, "%s needs a value: %s", row->name, row->argument);
    }
    return set_value(row, equals ? equals + 1 : argv[++*at], args, err);
}

bool zoo_options_weights_known(const char *kind, size_t n)
{
    static const char *const kinds[] = {"auto", "f32", "bf16", "int8", "int6", "int4", "int4-all"};
    for (size_t i = 0; i < ZOO_COUNT(kinds); i++) {
        if (strlen(kinds[i]) == n && memcmp(kinds[i], kind, n) == 0) {
            return true;
        }
    }
    return false;
}

zoo_status zoo_options_judge_model(zoo_common *common, zoo_error *err)
{
    zoo_engine_options *e = &common->engine;
    if (e->weights && !zoo_options_weights_known(e->weights, strlen(e->weights))) {
        return zoo_fail(
            err, ZOO_E_USAGE,
            "--weights must be auto, f32, bf16, int8, int6, int4 or int4-all, not \"%.40s\"",
            e->weights);
    }
    zoo_speculate kind = ZOO_SPECULATE_OFF;
    if (common->speculate && !zoo_speculate_read(common->speculate, &kind)) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "--speculate must be off, text, file or mtp, not \"%.40s\"",
                        common->speculate);
    }
    const char *kept = common->draft_weights;
    if (kept && !common->draft) {
        return zoo_fail(err, ZOO_E_USAGE, "--draft-weights needs --draft MODEL");
    }
    if (kept && !zoo_options_weights_known(kept, strlen(kept))) {
        return zoo_fail(
            err, ZOO_E_USAGE,
            "--draft-weights must be auto, f32, bf16, int8, int6, int4 or int4-all, not \"%.40s\"",
            kept);
    }
    if (common->draft && kind == ZOO_SPECULATE_OFF) {
        return zoo_fail(err, ZOO_E_USAGE, "--draft drafts nothing with --speculate off");
    }
    e->predicts = kind == ZOO_SPECULATE_MTP;
    if (e->predicts && (common->draft || common->pipeline)) {
        return zoo_fail(err, ZOO_E_USAGE, "--speculate mtp does not go with %s",
                        common->draft ? "--draft, which drafts in its place"
                                      : "--pipeline, which keeps the layers' rows elsewhere");
    }
    if (common->draft && common->pipeline) {
        return zoo_fail(err, ZOO_E_USAGE, "--draft is for a model on one machine, not --pipeline");
    }
    if (common->n_drafts > ZOO_DRAFTS_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "--draft-tokens goes up to %d", ZOO_DRAFTS_MAX);
    }
    e->n_marks = kind != ZOO_SPECULATE_OFF ? ZOO_SPECULATE_MARKS : 0;
    e->tells_kinds = e->weights && strcmp(e->weights, "auto") == 0;
    e->weights = e->weights ? e->weights : "auto";
    e->cache = e->cache ? e->cache : "auto";
    e->allow_unknown = common->allow_unknown.n > 0 ? common->allow_unknown.items : NULL;
    return ZOO_OK;
}

zoo_status zoo_options_read(int argc, char **argv, const zoo_option_tables *tables, void *args,
                            zoo_error *err)
{
    zoo_common *common = args;
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            ZOO_TRY(read_option(argc, argv, &i, tables, args, err));
        } else if (common->n_positional == ZOO_POSITIONAL_MAX) {
            return zoo_fail(err, ZOO_E_USAGE, "too many arguments: \"%.60s\"", argv[i]);
        } else {
            common->positional[common->n_positional++] = argv[i];
        }
    }
    return ZOO_OK;
}

zoo_status zoo_tokens_read(const char *list, int32_t **tokens, uint32_t *n, zoo_error *err)
{
    int32_t *ids = zoo_mem_array(strlen(list) / 2 + 2, sizeof *ids);
    *tokens = ids;
    *n = 0;
    if (!ids) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the tokens");
    }
    for (const char *p = list; *p;) {
        char *end = NULL;
        errno = 0;
        long id = strtol(p, &end, 10);
        if (errno || end == p || id < 0 || id > INT32_MAX || (*end && *end != ',')) {
            return zoo_fail(err, ZOO_E_USAGE,
                            "token ids are whole numbers with commas between, not \"%.40s\"", p);
        }
        ids[(*n)++] = (int32_t)id;
        p = *end ? end + 1 : end;
    }
    return *n ? ZOO_OK : zoo_fail(err, ZOO_E_USAGE, "the list of token ids is empty");
}
