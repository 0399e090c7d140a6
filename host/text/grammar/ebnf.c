/*
 * ebnf.c: a grammar in EBNF (GBNF): rules `name ::= what it stands for`.
 *
 *   text -> tree of each rule (one pass, rules may be used before they are written)
 *        -> nodes, a rule for each, so that recursion stays recursion
 *
 * Known: "text" and 'text', [a-z] and [^a-z] over all of Unicode, `.` (any character), names,
 * groups, |, * + ? {m} {m,} {m,n}, escapes \n \r \t \\ \" \' \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH,
 * comments from # on. A text begins with the rule `root`. A rule may not come back to itself before
 * a character is written (left recursion). Refused by name: Lark's form (`name: ...`), look-ahead.
 *
 * Memory: a tree of TREE_MAX nodes while it is read.
 * Source: the published descriptions of GBNF and of XGrammar's EBNF.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/grammar/grammar_private.h"

enum { TREE_MAX = 20000, SPANS_MAX = 20000, RULES_MAX = 2000, DEPTH_MAX = 60, REPEAT_MAX = 1000 };

#define LAST_CODE_POINT 0x10FFFFu

typedef enum eb_kind { EB_EMPTY, EB_SPANS, EB_RULE, EB_CAT, EB_ALT, EB_REPEAT } eb_kind;

typedef struct eb_node {
    eb_kind kind;
    int a, b;      /* EB_SPANS: first span, number of them; EB_RULE: index */
    int low, high; /* EB_REPEAT; high -1: no bound */
} eb_node;

typedef struct eb_span {
    uint32_t low, high; /* code points */
} eb_span;

typedef struct eb_rule {
    const char *name;
    size_t n;
    int body; /* -1: used and not written so far */
    uint32_t rule;
} eb_rule;

typedef struct ebnf {
    zoo_gbuild *b;
    const char *begin, *at;
    eb_node *nodes;
    eb_span *spans;
    eb_rule *rules;
    int n_nodes, n_spans, n_rules, depth;
} ebnf;

static int parse_alternatives(ebnf *e);

static int refuse(ebnf *e, zoo_status status, const char *what)
{
    unsigned line = 1;
    for (const char *p = e->begin; p < e->at; p++) {
        line += *p == '\n';
    }
    zoo_gbuild_fail(e->b, status, "line %u: %s", line, what);
    return 0;
}

static int wrong(ebnf *e, const char *what)
{
    return refuse(e, ZOO_E_FORMAT, what);
}

static int new_node(ebnf *e, eb_kind kind, int a, int b)
{
    if (e->n_nodes == TREE_MAX) {
        return refuse(e, ZOO_E_LIMIT, "the grammar is too long");
    }
    e->nodes[e->n_nodes] = (eb_node){.kind = kind, .a = a, .b = b};
    return e->n_nodes++;
}

static void add_span(ebnf *e, uint32_t low, uint32_t high)
{
    if (e->n_spans == SPANS_MAX) {
        (void)refuse(e, ZOO_E_LIMIT, "the grammar is too long");
        return;
    }
    e->spans[e->n_spans++] = (eb_span){low, high};
}

static bool is_name(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '-' ||
           c == '.';
}

static void skip_space(ebnf *e)
{
    for (;; e->at++) {
        if (*e->at == '#') {
            e->at += strcspn(e->at, "\n");
        }
        if (!*e->at || !strchr(" \t\r\n", *e->at)) {
            return;
        }
    }
}

/* ---- characters ---- */

static uint32_t parse_hex(ebnf *e, int digits)
{
    uint32_t value = 0;
    for (int i = 0; i < digits; i++, e->at++) {
        char c = *e->at;
        bool is_letter = (c | 32) >= 'a' && (c | 32) <= 'f';
        if (!is_letter && (c < '0' || c > '9')) {
            return (uint32_t)wrong(e, "an escape has too few hexadecimal digits");
        }
        value = value * 16 + (uint32_t)(is_letter ? (c | 32) - 'a' + 10 : c - '0');
    }
    bool is_bad = value == 0 || value > LAST_CODE_POINT || (value >= 0xD800 && value <= 0xDFFF);
    return is_bad ? (uint32_t)wrong(e, "an escape is no character of Unicode") : value;
}

static uint32_t parse_escape(ebnf *e)
{
    static const char from[] = "nrt\\\"'[]-^/", to[] = "\n\r\t\\\"'[]-^/";
    char c = *e->at;
    const char *found = c ? strchr(from, c) : NULL;
    if (found || c == 'x' || c == 'u' || c == 'U') {
        e->at++;
    }
    return found      ? (uint32_t)to[found - from]
           : c == 'x' ? parse_hex(e, 2)
           : c == 'u' ? parse_hex(e, 4)
           : c == 'U' ? parse_hex(e, 8)
                      : (uint32_t)wrong(e, "an escape that is not known");
}

/* One character as it stands or by an escape. The text is valid UTF-8, as all JSON is. */
static uint32_t parse_char(ebnf *e)
{
    uint8_t c = (uint8_t)*e->at++;
    if (c == '\\') {
        return parse_escape(e);
    }
    uint32_t value = c < 0x80 ? c : c < 0xE0 ? c & 0x1Fu : c < 0xF0 ? c & 0x0Fu : c & 0x07u;
    while (((uint8_t)*e->at & 0xC0) == 0x80) {
        value = value << 6 | ((uint8_t)*e->at++ & 0x3Fu);
    }
    return value;
}

static int parse_text(ebnf *e)
{
    char quote = *e->at++;
    int out = new_node(e, EB_EMPTY, 0, 0);
    while (*e->at != quote && e->b->status == ZOO_OK) {
        if (!*e->at || *e->at == '\n') {
            return wrong(e, "a text is not closed");
        }
        uint32_t c = parse_char(e);
        int one = new_node(e, EB_SPANS, e->n_spans, 1);
        add_span(e, c, c);
        out = new_node(e, EB_CAT, out, one);
    }
    e->at++;
    return out;
}

static int by_low(const void *x, const void *y)
{
    const eb_span *a = x, *b = y;
    return a->low < b->low ? -1 : a->low > b->low;
}

/* Makes the spans from first on what they leave out. */
static void negate(ebnf *e, int first)
{
    int n = e->n_spans - first;
    uint32_t from = 1;
    qsort(&e->spans[first], (size_t)n, sizeof *e->spans, by_low);
    for (int i = 0; i < n; i++) {
        eb_span span = e->spans[first + i];
        if (span.low > from) {
            add_span(e, from, span.low - 1);
        }
        from = span.high >= from ? span.high + 1 : from;
    }
    if (from <= LAST_CODE_POINT) {
        add_span(e, from, LAST_CODE_POINT);
    }
    memmove(&e->spans[first], &e->spans[first + n],
            (size_t)(e->n_spans - first - n) * sizeof *e->spans);
    e->n_spans -= n;
}

static int parse_class(ebnf *e)
{
    int first = e->n_spans;
    bool negated = *++e->at == '^';
    e->at += negated;
    while (*e->at != ']' && e->b->status == ZOO_OK) {
        if (!*e->at || *e->at == '\n') {
            return wrong(e, "a class is not closed");
        }
        uint32_t low = parse_char(e), high = low;
        if (e->at[0] == '-' && e->at[1] && e->at[1] != ']') {
            e->at++;
            high = parse_char(e);
        }
        if (high < low) {
            return wrong(e, "a range of a class runs backwards");
        }
        add_span(e, low, high);
    }
    e->at++;
    if (negated) {
        negate(e, first);
    }
    return e->n_spans > first ? new_node(e, EB_SPANS, first, e->n_spans - first)
                              : wrong(e, "a class holds no character");
}

/* ---- rules ---- */

static size_t name_bytes(const char *at)
{
    size_t n = 0;
    while (is_name(at[n])) {
        n++;
    }
    return n;
}

/* Whether `name ::=` stands here. */
static bool begins_rule(const ebnf *e)
{
    size_t n = name_bytes(e->at);
    const char *behind = e->at + n;
    behind += strspn(behind, " \t");
    return n > 0 && strncmp(behind, "::=", 3) == 0;
}

static int rule_of(ebnf *e, const char *name, size_t n)
{
    for (int i = 0; i < e->n_rules; i++) {
        if (e->rules[i].n == n && memcmp(e->rules[i].name, name, n) == 0) {
            return i;
        }
    }
    if (e->n_rules == RULES_MAX) {
        return refuse(e, ZOO_E_LIMIT, "the grammar has too many rules");
    }
    e->rules[e->n_rules] = (eb_rule){name, n, -1, zoo_g_rule(e->b, NULL)};
    return e->n_rules++;
}

static int parse_group(ebnf *e)
{
    e->at++;
    if (*e->at == '=' || *e->at == '!') {
        return refuse(e, ZOO_E_UNSUPPORTED, "look-ahead is not supported");
    }
    if (++e->depth > DEPTH_MAX) {
        return refuse(e, ZOO_E_LIMIT, "groups are nested too deep");
    }
    int out = parse_alternatives(e);
    e->depth--;
    if (*e->at != ')') {
        return wrong(e, "a group is not closed");
    }
    e->at++;
    return out;
}

static int parse_atom(ebnf *e)
{
    char c = *e->at;
    size_t n = name_bytes(e->at);
    if (c == '"' || c == '\'') {
        return parse_text(e);
    }
    if (c == '[') {
        return parse_class(e);
    }
    if (c == '(') {
        return parse_group(e);
    }
    if (c == '.' && n == 1) {
        e->at++;
        int out = new_node(e, EB_SPANS, e->n_spans, 1);
        add_span(e, 1, LAST_CODE_POINT);
        return out;
    }
    if (n == 0) {
        return wrong(e, "a character that may not stand there");
    }
    const char *name = e->at;
    e->at += n;
    return new_node(e, EB_RULE, rule_of(e, name, n), 0);
}

static int parse_number(ebnf *e)
{
    int value = 0;
    const char *begin = e->at;
    while (*e->at >= '0' && *e->at <= '9' && value <= REPEAT_MAX) {
        value = value * 10 + (*e->at++ - '0');
    }
    return e->at == begin ? -1 : value;
}

/* {m} {m,} {m,n}, after its brace. */
static void parse_count(ebnf *e, int *low, int *high)
{
    skip_space(e);
    *low = *high = parse_number(e);
    skip_space(e);
    if (*e->at == ',') {
        e->at++;
        skip_space(e);
        *high = parse_number(e);
        skip_space(e);
    }
    if (*low < 0 || *e->at != '}' || (*high >= 0 && *high < *low)) {
        (void)wrong(e, "a count must be {m}, {m,} or {m,n}");
    } else if (*low > REPEAT_MAX || *high > REPEAT_MAX) {
        (void)refuse(e, ZOO_E_LIMIT, "a count above 1000");
    }
    e->at++;
}

/* As many * + ? {m,n} as stand after an atom. */
static int parse_repeats(ebnf *e, int atom)
{
    while (*e->at && strchr("*+?{", *e->at) && e->b->status == ZOO_OK) {
        char c = *e->at++;
        int low = c == '+', high = c == '?' ? 1 : -1;
        if (c == '{') {
            parse_count(e, &low, &high);
        }
        atom = new_node(e, EB_REPEAT, atom, 0);
        e->nodes[atom].low = low;
        e->nodes[atom].high = high;
        skip_space(e);
    }
    return atom;
}

static int parse_sequence(ebnf *e)
{
    int out = new_node(e, EB_EMPTY, 0, 0);
    skip_space(e);
    while (*e->at && *e->at != '|' && *e->at != ')' && !begins_rule(e) && e->b->status == ZOO_OK) {
        int atom = parse_atom(e);
        skip_space(e);
        out = new_node(e, EB_CAT, out, parse_repeats(e, atom));
    }
    return out;
}

static int parse_alternatives(ebnf *e)
{
    int out = parse_sequence(e);
    while (*e->at == '|' && e->b->status == ZOO_OK) {
        e->at++;
        out = new_node(e, EB_ALT, out, parse_sequence(e));
    }
    return out;
}

static void parse_rules(ebnf *e)
{
    for (skip_space(e); *e->at && e->b->status == ZOO_OK; skip_space(e)) {
        if (!begins_rule(e)) {
            size_t n = name_bytes(e->at);
            bool is_lark = n > 0 && e->at[n] == ':';
            (void)refuse(e, is_lark ? ZOO_E_UNSUPPORTED : ZOO_E_FORMAT,
                         is_lark ? "rules are written name ::= ..., Lark's form is not read"
                                 : "a rule must begin with name ::=");
            return;
        }
        size_t n = name_bytes(e->at);
        int rule = rule_of(e, e->at, n);
        if (e->b->status == ZOO_OK && e->rules[rule].body >= 0) {
            (void)wrong(e, "a rule of this name is there already");
            return;
        }
        e->at = strstr(e->at + n, "::=") + 3;
        int body = parse_alternatives(e);
        if (*e->at == ')') {
            (void)wrong(e, "a ) without its (");
        }
        e->rules[rule].body = body;
    }
}

/* ---- nodes ---- */

static zoo_gnode emit(ebnf *e, int at, zoo_gnode next);

static zoo_gnode emit_spans(ebnf *e, const eb_node *node, zoo_gnode next)
{
    zoo_gnode out = ZOO_GNODE_RETURN;
    for (int i = 0; i < node->b; i++) {
        const eb_span *span = &e->spans[node->a + i];
        zoo_gnode one = zoo_g_code_points(e->b, span->low, span->high, next);
        out = i ? zoo_g_either(e->b, out, one) : one;
    }
    return out;
}

static zoo_gnode emit_repeat(ebnf *e, const eb_node *node, zoo_gnode next)
{
    zoo_gnode at = next;
    if (node->high < 0) {
        at = zoo_g_loop(e->b);
        zoo_g_loop_set(e->b, at, emit(e, node->a, at), next);
    }
    for (int i = node->low; i < node->high && e->b->status == ZOO_OK; i++) {
        at = zoo_g_either(e->b, emit(e, node->a, at), next);
    }
    for (int i = 0; i < node->low && e->b->status == ZOO_OK; i++) {
        at = emit(e, node->a, at);
    }
    return at;
}

static zoo_gnode emit(ebnf *e, int at, zoo_gnode next)
{
    const eb_node *node = &e->nodes[at];
    /* Sequences and alternatives lean left: no recursion of their length. */
    while (node->kind == EB_CAT && e->b->status == ZOO_OK) {
        next = emit(e, node->b, next);
        node = &e->nodes[node->a];
    }
    if (e->b->status != ZOO_OK) {
        return ZOO_GNODE_RETURN;
    }
    switch (node->kind) {
    case EB_SPANS:
        return emit_spans(e, node, next);
    case EB_RULE:
        return zoo_g_call(e->b, e->rules[node->a].rule, next);
    case EB_REPEAT:
        return emit_repeat(e, node, next);
    case EB_ALT: {
        zoo_gnode out = emit(e, node->b, next);
        for (node = &e->nodes[node->a]; node->kind == EB_ALT; node = &e->nodes[node->a]) {
            out = zoo_g_either(e->b, emit(e, node->b, next), out);
        }
        return zoo_g_either(e->b, emit(e, (int)(node - e->nodes), next), out);
    }
    default:
        return next;
    }
}

static zoo_gnode emit_rules(ebnf *e, zoo_gnode next)
{
    const eb_rule *root = NULL;
    for (int i = 0; i < e->n_rules && e->b->status == ZOO_OK; i++) {
        const eb_rule *r = &e->rules[i];
        if (r->body < 0) {
            zoo_gbuild_fail(e->b, ZOO_E_FORMAT, "there is no rule %.*s",
                            (int)(r->n < 60 ? r->n : 60), r->name);
            break;
        }
        zoo_g_rule_set(e->b, r->rule, emit(e, r->body, ZOO_GNODE_RETURN));
        root = r->n == 4 && memcmp(r->name, "root", 4) == 0 ? r : root;
    }
    if (!root) {
        zoo_gbuild_fail(e->b, ZOO_E_FORMAT, "there is no rule root, with which a text begins");
        return ZOO_GNODE_RETURN;
    }
    return zoo_g_call(e->b, root->rule, next);
}

zoo_gnode zoo_g_ebnf(zoo_gbuild *b, const char *grammar, zoo_gnode next)
{
    ebnf e = {.b = b, .begin = grammar, .at = grammar};
    zoo_gnode out = ZOO_GNODE_RETURN;
    e.nodes = zoo_mem_array(TREE_MAX, sizeof *e.nodes);
    e.spans = zoo_mem_array(SPANS_MAX, sizeof *e.spans);
    e.rules = zoo_mem_array(RULES_MAX, sizeof *e.rules);
    if (e.nodes && e.spans && e.rules) {
        parse_rules(&e);
        out = b->status == ZOO_OK ? emit_rules(&e, next) : out;
    } else {
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
    }
    zoo_mem_free(e.nodes);
    zoo_mem_free(e.spans);
    zoo_mem_free(e.rules);
    return out;
}
