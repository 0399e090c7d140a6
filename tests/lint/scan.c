/*
 * scan.c: see scan.h.
 *
 * Functions: a brace at depth 0 opens one when the text since the last `;` or `}` of depth 0 ends
 * in a parameter list and holds no `=`. The branches of an #if each start at the depth of the #if,
 * so unbalanced alternatives do not derail the count; what only C++ sees is skipped, which makes
 * `extern "C"` invisible.
 */
#include "scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NESTED_MAX = 64 };

int scan_lines(const char *text, long n)
{
    int lines = 0;
    for (long i = 0; i < n && text[i]; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

/* Length of the comment, string or character constant at p; 0: code. */
static size_t span_of_blank(const char *p)
{
    size_t n = 1;
    if (p[0] == '/' && p[1] == '*') {
        const char *end = strstr(p + 2, "*/");
        return end ? (size_t)(end - p) + 2 : strlen(p);
    }
    if (p[0] == '/' && p[1] == '/') {
        return strcspn(p, "\n");
    }
    if (p[0] != '"' && p[0] != '\'') {
        return 0;
    }
    while (p[n] && p[n] != p[0] && p[n] != '\n') {
        n += p[n] == '\\' && p[n + 1] ? 2 : 1;
    }
    return p[n] == p[0] ? n + 1 : n;
}

char *scan_strip(const char *text)
{
    size_t n = strlen(text);
    char *code = malloc(n + 1);
    if (!code) {
        return NULL;
    }
    memcpy(code, text, n + 1);
    for (size_t i = 0; i < n;) {
        size_t blank = span_of_blank(text + i);
        for (size_t j = i; j < i + blank; j++) {
            code[j] = text[j] == '\n' ? '\n' : ' ';
        }
        i += blank ? blank : 1;
    }
    return code;
}

/* Where the directive at p ends: its newline or the end, past continued lines. */
static const char *directive_end(const char *p)
{
    while (*p && *p != '\n') {
        p += p[0] == '\\' && p[1] ? 2 : 1;
    }
    return p;
}

static int directive_is(const char *p, const char *name)
{
    size_t n = strlen(name);
    p += 1 + strspn(p + 1, " \t");
    return strncmp(p, name, n) == 0 && !isalnum((unsigned char)p[n]) && p[n] != '_';
}

static int opens_condition(const char *p)
{
    return directive_is(p, "if") || directive_is(p, "ifdef") || directive_is(p, "ifndef");
}

/* At an #ifdef __cplusplus: the end of its #else or #endif line;
 * elsewhere the end of the directive. */
static const char *skip_cplusplus(const char *p)
{
    const char *end = directive_end(p);
    const char *name = strstr(p, "__cplusplus");
    int depth = 0;
    if (!directive_is(p, "ifdef") || !name || name > end) {
        return end;
    }
    for (p = end; *p; p = end) {
        p += strspn(p, " \t\n");
        end = directive_end(p);
        if (*p == '#' && opens_condition(p)) {
            depth++;
        } else if (*p == '#' && (directive_is(p, "endif") || directive_is(p, "else"))) {
            if (depth == 0) {
                return end;
            }
            depth -= directive_is(p, "endif");
        }
    }
    return p;
}

typedef struct reader {
    const char *code;
    const char *head; /* start of what may become a function's head */
    const char *open; /* its brace */
    scan_function f;
    int is_function;
    int depth;
    int n_nested;
    int nested[NESTED_MAX]; /* depth at each open #if */
} reader;

/* The opening parenthesis that end - 1 closes; null: none. */
static const char *matching_open(const char *begin, const char *end)
{
    int depth = 0;
    for (const char *p = end - 1; p >= begin; p--) {
        depth += (*p == ')') - (*p == '(');
        if (depth == 0) {
            return p;
        }
    }
    return NULL;
}

static const char *trim_end(const char *begin, const char *end)
{
    while (end > begin && isspace((unsigned char)end[-1])) {
        end--;
    }
    return end;
}

static int count_params(const char *open, const char *close)
{
    int depth = 0, n = 1, words = 0, is_void;
    const char *p = open + 1 + strspn(open + 1, " \t\n");
    is_void = strncmp(p, "void", 4) == 0 && p + 4 + strspn(p + 4, " \t\n") == close;
    for (p = open + 1; p < close; p++) {
        depth += (*p == '(') - (*p == ')');
        n += *p == ',' && depth == 0;
        words += !isspace((unsigned char)*p);
    }
    return words == 0 || is_void ? 0 : n;
}

static int is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Reads `name (params)` before the brace at end; trailing attributes are passed over. */
static int read_head(reader *r, const char *end)
{
    const char *begin = r->head, *close, *open, *name_end, *name;
    size_t n;
    do {
        close = trim_end(begin, end);
        if (close == begin || close[-1] != ')') {
            return 0;
        }
        open = matching_open(begin, close);
        if (!open) {
            return 0;
        }
        name_end = trim_end(begin, open);
        for (name = name_end; name > begin && is_word(name[-1]); name--) {
        }
        n = (size_t)(name_end - name);
        end = name;
    } while (n == 13 && memcmp(name, "__attribute__", n) == 0);
    if (n == 0 || n >= sizeof r->f.name || memchr(begin, '=', (size_t)(name - begin))) {
        return 0;
    }
    memcpy(r->f.name, name, n);
    r->f.name[n] = '\0';
    r->f.line = scan_lines(r->code, name - r->code) + 1;
    r->f.n_params = count_params(open, close - 1);
    return 1;
}

static void at_directive(reader *r, const char *p)
{
    if (opens_condition(p)) {
        if (r->n_nested < NESTED_MAX) {
            r->nested[r->n_nested] = r->depth;
        }
        r->n_nested++;
    } else if (r->n_nested > 0 && r->n_nested <= NESTED_MAX &&
               (directive_is(p, "else") || directive_is(p, "elif"))) {
        r->depth = r->nested[r->n_nested - 1];
    } else if (directive_is(p, "endif") && r->n_nested > 0) {
        r->n_nested--;
    }
}

static int at_close(reader *r, const char *p)
{
    int ended;
    r->depth -= r->depth > 0;
    ended = r->depth == 0 && r->is_function;
    if (ended) {
        r->f.n_lines = scan_lines(r->open, p - r->open) + 1;
        r->is_function = 0;
    }
    if (r->depth == 0) {
        r->head = p + 1;
    }
    return ended;
}

void scan_functions(const char *code, void (*visit)(void *user, const scan_function *f), void *user)
{
    reader r = {.code = code, .head = code};
    int line_start = 1;
    for (const char *p = code; *p; p++) {
        if (*p == '#' && line_start) {
            const char *end = skip_cplusplus(p);
            if (end == directive_end(p)) {
                at_directive(&r, p);
            }
            p = end;
            r.head = r.depth == 0 ? p : r.head;
            if (!*p) {
                break;
            }
        } else if (*p == '{' && r.depth++ == 0) {
            r.open = p;
            r.is_function = read_head(&r, p);
        } else if (*p == '}' && at_close(&r, p)) {
            visit(user, &r.f);
        } else if (*p == ';' && r.depth == 0) {
            r.head = p + 1;
        }
        line_start = *p == '\n' || (line_start && isspace((unsigned char)*p));
    }
}

void scan_includes(const char *text, const char *code,
                   void (*visit)(void *user, const scan_include *i), void *user)
{
    for (const char *line = code; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        scan_include i = {0};
        const char *p = line + strspn(line, " \t"), *from;
        size_t n;
        if (*p != '#' || !directive_is(p, "include")) {
            continue;
        }
        from = text + (strstr(p, "include") - code) + strlen("include");
        from += strspn(from, " \t");
        n = *from == '<' || *from == '"' ? strcspn(from + 1, ">\"\n") : 0;
        i.angled = *from == '<';
        i.line = scan_lines(code, p - code) + 1;
        if (n > 0 && n < sizeof i.path) {
            memcpy(i.path, from + 1, n);
            visit(user, &i);
        }
    }
}
