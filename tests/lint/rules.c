/*
 * rules.c: see rules.h and CONTRIBUTING.md, which gives the reasons.
 */
#include "rules.h"

#include "rooms.h"
#include "scan.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    FUNCTION_LINES_MAX = 70,
    PARAMETERS_MAX = 7,
    FILE_LINES_MAX = 600,
    BLOCK_LINES_MAX = 200,
    COLUMNS_MAX = 100,
    PATH_BYTES_MAX = 1024,
    FOLDERS_MAX = 32
};

static const char *const families[] = {"llama",    "gemma",   "deepseek", "mamba",  "qwen",
                                       "mistral",  "mixtral", "granite",  "bamba",  "zamba",
                                       "nemotron", "falcon",  "olmo",     "cohere", "phi3",
                                       "glm4",     "gpt_oss", "kimi",     NULL};

/* The pieces keep this file from finding itself. */
/* clang-format off */
static const char *const leftovers[] = {"TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK", "st" "ub",
                                        "not " "implemented", NULL};
/* clang-format on */

static const char *const forbidden_calls[] = {
    "malloc", "calloc",  "realloc", "free",          "aligned_alloc", "posix_memalign",
    "printf", "fprintf", "vprintf", "vfprintf",      "dprintf",       "puts",
    "fputs",  "putchar", "fwrite",  "perror",        "fopen",         "open",
    "mmap",   "exit",    "_exit",   "quick_exit",    "abort",         "getenv",
    "setenv", "system",  "time",    "clock_gettime", "rand",          NULL};

static const char *const libc_headers[] = {
    "assert.h",   "complex.h",  "ctype.h",  "errno.h",       "fenv.h",    "float.h",
    "inttypes.h", "iso646.h",   "limits.h", "locale.h",      "math.h",    "setjmp.h",
    "signal.h",   "stdalign.h", "stdarg.h", "stdatomic.h",   "stdbool.h", "stddef.h",
    "stdint.h",   "stdio.h",    "stdlib.h", "stdnoreturn.h", "string.h",  "tgmath.h",
    "threads.h",  "time.h",     "uchar.h",  "wchar.h",       "wctype.h",  NULL};

static const char *const isa_headers[] = {
    "immintrin.h", "x86intrin.h",  "cpuid.h", "arm_neon.h",  "arm_sve.h",
    "sys/auxv.h",  "sys/sysctl.h", "cblas.h", "asm/hwcap.h", NULL};

typedef struct checker {
    const lint_source *source;
    const lint_sink *sink;
} checker;

const char *lint_rule_name(lint_rule rule)
{
    static const char *const names[RULE_MAX] = {"function length", "parameters", "file length",
                                                "line length",     "includes",   "model families",
                                                "calls",           "leftovers",  "rooms"};
    return names[rule];
}

static int starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int listed(const char *const *list, const char *s)
{
    while (*list && strcmp(*list, s) != 0) {
        list++;
    }
    return *list != NULL;
}

static void say(const checker *c, lint_rule rule, const char *name, const char *fmt, ...)
{
    char what[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    c->sink->found(c->sink->user, rule, name, what);
}

static void say_at(const checker *c, lint_rule rule, int line, const char *what)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%d", line);
    say(c, rule, name, "%s", what);
}

static void measure(const checker *c, lint_rule rule, int value)
{
    c->sink->measured(c->sink->user, rule, value);
}

static void check_function(void *user, const scan_function *f)
{
    const checker *c = user;
    int in_tests = starts_with(c->source->path, "tests/");
    measure(c, RULE_FUNCTION_LENGTH, f->n_lines);
    measure(c, RULE_PARAMETERS, f->n_params);
    if (f->n_lines > FUNCTION_LINES_MAX) {
        say(c, RULE_FUNCTION_LENGTH, f->name, "line %d: function of %d lines (limit %d)", f->line,
            f->n_lines, FUNCTION_LINES_MAX);
    }
    if (f->n_params > PARAMETERS_MAX && !in_tests) {
        say(c, RULE_PARAMETERS, f->name, "line %d: %d parameters (limit %d)", f->line, f->n_params,
            PARAMETERS_MAX);
    }
}

static int is_block_file(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    if (!slash || !dot || strcmp(dot, ".c") != 0) {
        return 0;
    }
    return starts_with(path, "sdk/blocks/") ||
           (starts_with(path, "plugins/") && strcmp(slash, "/plugin.c") != 0);
}

static void check_file_length(const checker *c)
{
    int lines = scan_lines(c->source->text, (long)strlen(c->source->text));
    int most = is_block_file(c->source->path) ? BLOCK_LINES_MAX : FILE_LINES_MAX;
    measure(c, RULE_FILE_LENGTH, lines);
    if (lines > most) {
        say(c, RULE_FILE_LENGTH, "file", "%d lines (limit %d)", lines, most);
    }
}

static void check_line_length(const checker *c)
{
    int line = 1, columns = 0;
    for (const char *p = c->source->text; *p; p++) {
        if (*p != '\n') {
            columns += ((unsigned char)*p & 0xc0) != 0x80;
            continue;
        }
        measure(c, RULE_LINE_LENGTH, columns);
        if (columns > COLUMNS_MAX) {
            char what[48];
            (void)snprintf(what, sizeof what, "%d columns (limit %d)", columns, COLUMNS_MAX);
            say_at(c, RULE_LINE_LENGTH, line, what);
        }
        columns = 0;
        line++;
    }
}

/* Writes the path that folder/name means, without `.` and `..`; 0: it leaves the tree. */
static int normalise(const char *folder, const char *name, char *out)
{
    char joined[PATH_BYTES_MAX];
    size_t starts[FOLDERS_MAX], n = 0, depth = 0;
    if ((size_t)snprintf(joined, sizeof joined, "%s/%s", folder, name) >= sizeof joined) {
        return 0;
    }
    for (const char *p = joined; *p; p += *p == '/') {
        size_t length = strcspn(p, "/");
        if (length == 2 && memcmp(p, "..", 2) == 0) {
            if (depth == 0) {
                return 0;
            }
            n = starts[--depth];
        } else if (length > 0 && !(length == 1 && *p == '.')) {
            if (depth == FOLDERS_MAX) {
                return 0;
            }
            starts[depth++] = n;
            if (n > 0) {
                out[n++] = '/';
            }
            memcpy(out + n, p, length);
            n += length;
        }
        p += length;
    }
    out[n] = '\0';
    return 1;
}

/* Which file of the tree an include means; 0: none, as far as the tree knows. */
static int resolve(const checker *c, const char *name, char *out)
{
    char own[PATH_BYTES_MAX], full[2 * PATH_BYTES_MAX];
    const char *folders[3] = {own, "sdk", "host"};
    const char *slash = strrchr(c->source->path, '/');
    (void)snprintf(own, sizeof own, "%.*s", slash ? (int)(slash - c->source->path) : 0,
                   c->source->path);
    for (int i = 0; i < 3; i++) {
        if (normalise(folders[i], name, out)) {
            (void)snprintf(full, sizeof full, "%s/%s", c->source->root, out);
            if (access(full, R_OK) == 0) {
                return 1;
            }
        }
    }
    return normalise(own, name, out) && strstr(name, "..") != NULL;
}

/* The folder whose files, beside those of sdk/, a file may include; null: no such limit. */
static const char *home_of(const char *path, char *home)
{
    size_t n = 0;
    if (starts_with(path, "plugins/")) {
        n = strlen("plugins/");
        n += strcspn(path + n, "/") + 1;
    } else if (starts_with(path, "host/kernels/")) {
        n = strlen("host/kernels/");
    } else if (starts_with(path, "sdk/")) {
        n = strlen("sdk/");
    }
    (void)snprintf(home, PATH_BYTES_MAX, "%.*s", (int)n, path);
    return n ? home : NULL;
}

static void check_room(const checker *c, const scan_include *i, const char *target)
{
    const char *what = rooms_refuse(c->source->path, i->path, target);
    c->sink->included(c->sink->user, target);
    if (what) {
        say(c, RULE_ROOMS, "include", "line %d: %s", i->line, what);
    }
}

static void check_include(void *user, const scan_include *i)
{
    const checker *c = user;
    char home_text[PATH_BYTES_MAX], target[PATH_BYTES_MAX];
    const char *home = home_of(c->source->path, home_text);
    int in_kernels = home && starts_with(home, "host/");
    int is_isa = listed(isa_headers, i->path);
    measure(c, RULE_INCLUDES, 1);
    if (starts_with(c->source->path, "tests/")) {
        return;
    }
    if (i->angled) {
        if (is_isa ? !in_kernels && !starts_with(c->source->path, "bench/")
                   : home && !listed(libc_headers, i->path)) {
            say(c, RULE_INCLUDES, "include", "line %d: <%s>: %s", i->line, i->path,
                is_isa ? "only kernels may" : "only libc here");
        }
        return;
    }
    if (!resolve(c, i->path, target)) {
        if (home) {
            say(c, RULE_INCLUDES, "include", "line %d: \"%s\": neither here nor in sdk/", i->line,
                i->path);
        }
    } else if (home ? !starts_with(target, home) && !starts_with(target, "sdk/")
                    : starts_with(target, "plugins/") || starts_with(target, "tests/")) {
        say(c, RULE_INCLUDES, "include", "line %d: %s is out of bounds here", i->line, target);
    } else {
        check_room(c, i, target);
    }
}

/* The family whose name stands at p; null: none. */
static const char *family_at(const char *p)
{
    for (const char *const *f = families; *f; f++) {
        size_t n = 0;
        while ((*f)[n] && tolower((unsigned char)p[n]) == (*f)[n]) {
            n++;
        }
        if (!(*f)[n]) {
            return *f;
        }
    }
    return NULL;
}

static void check_families(const checker *c)
{
    const char *text = c->source->text, *family;
    if (!starts_with(c->source->path, "host/")) {
        return;
    }
    measure(c, RULE_FAMILIES, 1);
    for (const char *p = c->source->path; *p; p++) {
        if ((family = family_at(p)) != NULL) {
            say(c, RULE_FAMILIES, "file", "is named after %s", family);
        }
    }
    for (const char *p = text; *p; p++) {
        if ((family = family_at(p)) != NULL) {
            say_at(c, RULE_FAMILIES, scan_lines(text, p - text) + 1, family);
        }
    }
}

static int is_word(char ch)
{
    return isalnum((unsigned char)ch) || ch == '_';
}

static int is_member(const char *text, const char *p)
{
    return p > text && (p[-1] == '.' || (p[-1] == '>' && p - text > 1 && p[-2] == '-'));
}

/* Reports each whole-word occurrence of the listed words; called: only as the name of a call that
 * is no member's. */
static void check_words(const checker *c, lint_rule rule, const char *text,
                        const char *const *words, int called)
{
    measure(c, rule, 1);
    for (; *words; words++) {
        size_t n = strlen(*words);
        for (const char *p = text; (p = strstr(p, *words)) != NULL; p += n) {
            const char *after = p + n + strspn(p + n, " \t\n");
            if ((p > text && is_word(p[-1])) || is_word(p[n]) ||
                (called && (*after != '(' || is_member(text, p)))) {
                continue;
            }
            say_at(c, rule, scan_lines(text, p - text) + 1, *words);
        }
    }
}

void lint_check(const lint_source *source, const lint_sink *sink)
{
    checker c = {source, sink};
    scan_functions(source->code, check_function, &c);
    check_file_length(&c);
    check_line_length(&c);
    scan_includes(source->text, source->code, check_include, &c);
    check_families(&c);
    if (starts_with(source->path, "plugins/") || starts_with(source->path, "sdk/blocks/") ||
        starts_with(source->path, "host/kernels/")) {
        check_words(&c, RULE_CALLS, source->code, forbidden_calls, 1);
    }
    check_words(&c, RULE_LEFTOVERS, source->text, leftovers, 0);
}
