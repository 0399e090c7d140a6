/* options.c: reading of command lines (options.h). */
#include "commands/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COMMON_MAX = 16 };

/* The common rows, for one zoo_common. */
static void common_rows(zoo_common *c, zoo_option rows[COMMON_MAX])
{
    zoo_engine_options *e = &c->engine;
    const zoo_option table[] = {
        {"--weights", 0, ZOO_OPTION_TEXT, &e->weights, "auto|f32|bf16|int8|int4",
         "how weights are packed"},
        {"--cache", 0, ZOO_OPTION_TEXT, &e->cache, "auto|f32|bf16|int8|int4",
         "how keys and values are stored (auto: bf16 beside bf16, int8 and int4 weights)"},
        {"--packed-cache", 0, ZOO_OPTION_TEXT, &e->packed_cache, "DIR|auto",
         "keep packed weights in a file there, for quick starts (auto: ~/.cache/lmzoo)"},
        {"--threads", 't', ZOO_OPTION_COUNT, &e->n_threads, "N", "threads (one per core)"},
        {"--isa", 0, ZOO_OPTION_TEXT, &e->isa, "NAME", "instruction set, not above this one"},
        {"--memory", 0, ZOO_OPTION_SIZE, &e->memory, "BYTES",
         "for weights and caches, as 4G (three quarters of the machine's)"},
        {"--context", 0, ZOO_OPTION_COUNT, &e->context_max, "N",
         "tokens of one row (the model's, at most 8192)"},
        {"--max-seqs", 0, ZOO_OPTION_COUNT, &e->seqs_max, "N", "sequences that run together (64)"},
        {"--max-rows", 0, ZOO_OPTION_COUNT, &e->rows_max, "N", "rows (tokens) of one step (512)"},
        {"--plugin-dir", 0, ZOO_OPTION_TEXT, &e->plugin_dir, "DIR", "where plugins lie"},
        {"--card-dir", 0, ZOO_OPTION_TEXT, &e->card_dir, "DIR", "where cards lie"},
        {"--allow-unknown", 0, ZOO_OPTION_LIST, &c->allow_unknown, "KEY",
         "a config key that may be ignored"},
        {"--pin", 0, ZOO_OPTION_FLAG, &e->pin, NULL, "each thread stays on a core of its own"},
        {"--quiet", 'q', ZOO_OPTION_FLAG, &e->quiet, NULL, "no progress line"},
        {"--help", 'h', ZOO_OPTION_FLAG, &c->help, NULL, "this text"},
        {NULL, 0, ZOO_OPTION_FLAG, NULL, NULL, NULL}};
    memcpy(rows, table, sizeof table);
}

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

static zoo_status read_size(const zoo_option *row, const char *text, zoo_error *err)
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
    *(size_t *)row->value = (size_t)x;
    return ZOO_OK;
}

static zoo_status read_whole(const zoo_option *row, const char *text, zoo_error *err)
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
        *(uint32_t *)row->value = (uint32_t)x;
    } else {
        *(uint64_t *)row->value = x;
    }
    return ZOO_OK;
}

static zoo_status add_item(const zoo_option *row, const char *text, zoo_error *err)
{
    zoo_option_list *list = row->value;
    if (list->n == ZOO_ALLOW_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "%s is given more than %d times", row->name,
                        ZOO_ALLOW_MAX);
    }
    list->items[list->n++] = text;
    list->items[list->n] = NULL;
    return ZOO_OK;
}

static zoo_status set_value(const zoo_option *row, const char *text, zoo_error *err)
{
    char *end;
    double x;
    switch (row->kind) {
    case ZOO_OPTION_TEXT:
        *(const char **)row->value = text;
        return ZOO_OK;
    case ZOO_OPTION_SIZE:
        return read_size(row, text, err);
    case ZOO_OPTION_COUNT:
    case ZOO_OPTION_SEED:
        return read_whole(row, text, err);
    case ZOO_OPTION_NUMBER:
        x = strtod(text, &end);
        if (end == text || *end || !isfinite(x)) {
            return bad_value(row, text, "a number", err);
        }
        *(double *)row->value = x;
        return ZOO_OK;
    case ZOO_OPTION_LIST:
        return add_item(row, text, err);
    case ZOO_OPTION_FLAG:
        break;
    }
    return ZOO_OK;
}

/* One option at argv[*at]; *at moves over its value. */
static zoo_status read_option(int argc, char **argv, int *at, const zoo_option *const tables[2],
                              zoo_error *err)
{
    const char *text = argv[*at];
    const char *equals = text[1] == '-' ? strchr(text, '=') : NULL;
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    const zoo_option *row = find(tables[0], text, n);
    row = row ? row : find(tables[1], text, n);
    if (!row) {
        return zoo_fail(err, ZOO_E_USAGE, "unknown option %.80s", text);
    }
    if (row->kind == ZOO_OPTION_FLAG) {
        if (equals) {
            return zoo_fail(err, ZOO_E_USAGE, "%s takes no value", row->name);
        }
        *(bool *)row->value = true;
        return ZOO_OK;
    }
    if (!equals && *at + 1 >= argc) {
        return zoo_fail(err, ZOO_E_USAGE, "%s needs a value: %s", row->name, row->argument);
    }
    return set_value(row, equals ? equals + 1 : argv[++*at], err);
}

bool zoo_options_kind_known(const char *kind, size_t n)
{
    static const char *const kinds[] = {"auto", "f32", "bf16", "int8", "int4"};
    for (size_t i = 0; i < ZOO_COUNT(kinds); i++) {
        if (strlen(kinds[i]) == n && memcmp(kinds[i], kind, n) == 0) {
            return true;
        }
    }
    return false;
}

static zoo_status judge_kinds(const zoo_engine_options *e, zoo_error *err)
{
    const char *const given[] = {e->weights, e->cache};
    for (size_t i = 0; i < ZOO_COUNT(given); i++) {
        if (given[i] && !zoo_options_kind_known(given[i], strlen(given[i]))) {
            return zoo_fail(err, ZOO_E_USAGE,
                            "%s must be auto, f32, bf16, int8 or int4, not \"%.40s\"",
                            i == 0 ? "--weights" : "--cache", given[i]);
        }
    }
    return ZOO_OK;
}

static zoo_status read_all(int argc, char **argv, const zoo_option *const tables[2],
                           zoo_common *out, zoo_error *err)
{
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            ZOO_TRY(read_option(argc, argv, &i, tables, err));
        } else if (out->n_positional == ZOO_POSITIONAL_MAX) {
            return zoo_fail(err, ZOO_E_USAGE, "too many arguments: \"%.60s\"", argv[i]);
        } else {
            out->positional[out->n_positional++] = argv[i];
        }
    }
    return ZOO_OK;
}

zoo_status zoo_options_read(int argc, char **argv, const zoo_option *own, zoo_common *out,
                            zoo_error *err)
{
    zoo_option common[COMMON_MAX];
    const zoo_option *const tables[2] = {own, common};
    common_rows(out, common);
    ZOO_TRY(read_all(argc, argv, tables, out, err));
    out->engine.weights = out->engine.weights ? out->engine.weights : "auto";
    out->engine.cache = out->engine.cache ? out->engine.cache : "auto";
    out->engine.allow_unknown = out->allow_unknown.n > 0 ? out->allow_unknown.items : NULL;
    return judge_kinds(&out->engine, err);
}

zoo_status zoo_options_read_own(int argc, char **argv, const zoo_option *own, zoo_common *out,
                                zoo_error *err)
{
    const zoo_option help[] = {{"--help", 'h', ZOO_OPTION_FLAG, &out->help, NULL, "this text"},
                               {NULL, 0, ZOO_OPTION_FLAG, NULL, NULL, NULL}};
    const zoo_option *const tables[2] = {own, help};
    return read_all(argc, argv, tables, out, err);
}

static void help_rows(FILE *out, const zoo_option *rows)
{
    for (; rows && rows->name; rows++) {
        char left[64], letter[8] = "";
        if (rows->letter) {
            (void)snprintf(letter, sizeof letter, "-%c, ", rows->letter);
        }
        (void)snprintf(left, sizeof left, "%s%s%s%s", letter, rows->name, rows->argument ? " " : "",
                       rows->argument ? rows->argument : "");
        (void)fprintf(out, "  %-38s %s\n", left, rows->help);
    }
}

void zoo_options_help(FILE *out, const char *usage, const char *summary, const zoo_option *own)
{
    zoo_common common = {.n_positional = 0};
    zoo_option rows[COMMON_MAX];
    common_rows(&common, rows);
    (void)fprintf(out, "usage: lmzoo %s\n\n%s\n\n", usage, summary);
    help_rows(out, own);
    (void)fputs("\nCommon options:\n", out);
    help_rows(out, rows);
}

int zoo_exit_code(zoo_status status)
{
    switch (status) {
    case ZOO_OK:
        return 0;
    case ZOO_E_USAGE:
        return 2;
    case ZOO_E_FORMAT:
    case ZOO_E_CONFIG:
    case ZOO_E_WEIGHT:
    case ZOO_E_PLUGIN:
    case ZOO_E_UNSUPPORTED:
        return 3;
    default:
        return 4;
    }
}

int zoo_exit_code_model(zoo_status status)
{
    return status == ZOO_E_IO || status == ZOO_E_LIMIT ? 3 : zoo_exit_code(status);
}
