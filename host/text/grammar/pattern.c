/*
 * pattern.c: `pattern`: a regular expression as the inside of a JSON string.
 *
 * Known: literals, `.`, classes of ASCII characters, \d \w \s \D \W \S, escapes, groups (with or
 * without ?:), |, * + ? {m,n} (lazy marks change nothing), ^ and $ at the ends of an alternative of
 * the whole pattern. As JSON Schema has it a pattern is searched: without ^ or $ anything may stand
 * there. Look-around, back references, word borders and named groups are refused. \d, \w and \s,
 * and what they leave out, are ASCII here; a character that JSON must escape is written with its
 * short escape.
 */
#include <string.h>

#include "base/mem.h"
#include "text/grammar/grammar_private.h"

#define TREE_MAX   5000
#define DEPTH_MAX  60
#define REPEAT_MAX 1000

typedef enum re_kind { RE_EMPTY, RE_SET, RE_CHAR, RE_CAT, RE_ALT, RE_REPEAT } re_kind;

typedef struct re_node {
    re_kind kind;
    zoo_gclass set;   /* RE_SET: ASCII */
    bool beyond;      /* RE_SET: every character from 0x80 on, too */
    const char *text; /* RE_CHAR: one character of several bytes */
    size_t n;
    int low, high; /* RE_REPEAT; high -1: no bound */
    int a, b;
} re_node;

typedef struct regex {
    zoo_gbuild *b;
    const char *begin, *at;
    re_node *nodes;
    int n, depth;
    bool bare; /* matched whole, and written without quotes and escapes */
} regex;

static int parse_alternatives(regex *r, bool is_top);

static int refuse(regex *r, const char *what)
{
    zoo_gbuild_fail(r->b, ZOO_E_UNSUPPORTED, "pattern '%.60s', byte %d: %s", r->begin,
                    (int)(r->at - r->begin), what);
    return 0;
}

static int re_new(regex *r, re_kind kind, int a, int b)
{
    if (r->n == TREE_MAX) {
        return refuse(r, "it is too long");
    }
    r->nodes[r->n] = (re_node){.kind = kind, .a = a, .b = b};
    return r->n++;
}

static void add_class(zoo_gclass *set, char c)
{
    if (c == 'd') {
        zoo_gclass_add(set, '0', '9');
    } else if (c == 'w') {
        zoo_gclass_add(set, '0', '9');
        zoo_gclass_add(set, 'a', 'z');
        zoo_gclass_add(set, 'A', 'Z');
        zoo_gclass_add(set, '_', '_');
    } else {
        zoo_gclass_add(set, '\t', '\r');
        zoo_gclass_add(set, ' ', ' ');
    }
}

static void invert(zoo_gclass *set)
{
    for (int i = 0; i < 4; i++) {
        set->bits[i] = ~set->bits[i];
    }
}

static int hex_of(regex *r, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        char c = *r->at;
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : -1;
        if (d < 0) {
            return -1;
        }
        value = value * 16 + d;
        r->at++;
    }
    return value;
}

/* After a backslash: fills a class and gives -1, or gives the one ASCII character. */
static int parse_escape(regex *r, zoo_gclass *set)
{
    static const char from[] = "nrtfv", to[] = "\n\r\t\f\v";
    char c = *r->at;
    if (!c) {
        return refuse(r, "it ends in a backslash");
    }
    r->at++;
    if (strchr("dws", c)) {
        add_class(set, c);
        return -1;
    }
    if (strchr("DWS", c)) {
        add_class(set, (char)(c | 32));
        invert(set);
        return -1;
    }
    const char *found = strchr(from, c);
    if (found) {
        return to[found - from];
    }
    if (c == 'x' || c == 'u') {
        int value = hex_of(r, c == 'x' ? 2 : 4);
        return value >= 0 && value < 0x80 ? value : refuse(r, "a code that is not ASCII");
    }
    bool is_letter = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c & 0x80);
    return is_letter ? refuse(r, "an escape that is not supported") : c;
}

static int class_char(regex *r, zoo_gclass *set)
{
    char c = *r->at++;
    if (c & 0x80) {
        return refuse(r, "a character beyond ASCII in a class");
    }
    return c == '\\' ? parse_escape(r, set) : c;
}

static int parse_class(regex *r)
{
    zoo_gclass set = {{0}};
    bool negated = *r->at == '^';
    r->at += negated;
    for (bool first = true; (*r->at != ']' || first) && r->b->status == ZOO_OK; first = false) {
        if (!*r->at) {
            return refuse(r, "a class is not closed");
        }
        if (r->at[0] == '[' && r->at[1] == ':') {
            return refuse(r, "a named class is not supported");
        }
        int low = class_char(r, &set), high = low;
        if (low >= 0 && r->at[0] == '-' && r->at[1] && r->at[1] != ']') {
            r->at++;
            high = class_char(r, &set);
            if (high < low) {
                return refuse(r, "a range of a class runs backwards");
            }
        }
        if (low >= 0) {
            zoo_gclass_add(&set, low, high);
        }
    }
    r->at++;
    if (negated) {
        invert(&set);
    }
    int out = re_new(r, RE_SET, 0, 0);
    r->nodes[out].set = set;
    r->nodes[out].beyond = negated;
    return out;
}

static int parse_group(regex *r)
{
    if (r->at[0] == '?' && r->at[1] != ':') {
        return refuse(r, "this kind of group is not supported");
    }
    r->at += r->at[0] == '?' ? 2 : 0;
    if (++r->depth > DEPTH_MAX) {
        return refuse(r, "it is nested too deep");
    }
    int out = parse_alternatives(r, false);
    r->depth--;
    if (*r->at != ')') {
        return refuse(r, "a group is not closed");
    }
    r->at++;
    return out;
}

static int parse_literal(regex *r)
{
    size_t n = 1;
    while ((r->at[n] & 0xC0) == 0x80) {
        n++;
    }
    int out = re_new(r, RE_CHAR, 0, 0);
    r->nodes[out].text = r->at;
    r->nodes[out].n = n;
    r->at += n;
    return out;
}

static int parse_atom(regex *r)
{
    char c = *r->at;
    if (c & 0x80) {
        return parse_literal(r);
    }
    if (strchr("*+?{}^$)", c)) {
        return refuse(r, "a mark that may not stand there");
    }
    r->at++;
    if (c == '(') {
        return parse_group(r);
    }
    if (c == '[') {
        return parse_class(r);
    }
    int out = re_new(r, RE_SET, 0, 0);
    zoo_gclass set = {{0}};
    if (c == '.') {
        zoo_gclass_add(&set, '\n', '\n');
        invert(&set);
        r->nodes[out].beyond = true;
    } else {
        int one = c == '\\' ? parse_escape(r, &set) : c;
        if (one >= 0) {
            zoo_gclass_add(&set, one, one);
        }
    }
    r->nodes[out].set = set;
    return out;
}

static int parse_count(regex *r)
{
    int value = 0;
    const char *begin = r->at;
    while (*r->at >= '0' && *r->at <= '9' && value <= REPEAT_MAX) {
        value = value * 10 + (*r->at++ - '0');
    }
    return r->at == begin ? -1 : value;
}

/* * + ? {m} {m,} {m,n} after an atom; false when there is none. */
static bool parse_quantifier(regex *r, int *low, int *high)
{
    char c = *r->at;
    if (!c || !strchr("*+?{", c)) {
        return false;
    }
    r->at++;
    *low = c == '+';
    *high = c == '?' ? 1 : -1;
    if (c == '{') {
        *low = parse_count(r);
        *high = *low;
        if (*r->at == ',') {
            r->at++;
            *high = *r->at == '}' ? -1 : parse_count(r);
        }
        bool bad = *low < 0 || *r->at != '}' || *low > REPEAT_MAX || *high > REPEAT_MAX ||
                   (*high >= 0 && *high < *low);
        if (bad) {
            (void)refuse(r, "a count that is not supported");
            return false;
        }
        r->at++;
    }
    if (*r->at == '+') {
        (void)refuse(r, "possessive repetition is not supported");
    }
    r->at += *r->at == '?';
    return true;
}

static bool sequence_ends(const regex *r, bool is_top)
{
    char c = *r->at;
    return !c || c == '|' || (c == ')' && !is_top) ||
           (is_top && c == '$' && (!r->at[1] || r->at[1] == '|'));
}

static int any_text(regex *r)
{
    zoo_gclass all = {{0}};
    zoo_gclass_add(&all, 0, 0x7F);
    int set = re_new(r, RE_SET, 0, 0);
    r->nodes[set].set = all;
    r->nodes[set].beyond = true;
    int out = re_new(r, RE_REPEAT, set, 0);
    r->nodes[out].high = -1;
    return out;
}

static int parse_sequence(regex *r, bool is_top)
{
    bool anchored = is_top && *r->at == '^';
    r->at += anchored;
    int out = is_top && !anchored && !r->bare ? any_text(r) : re_new(r, RE_EMPTY, 0, 0);
    while (!sequence_ends(r, is_top) && r->b->status == ZOO_OK) {
        int low = 1, high = 1, atom = parse_atom(r);
        if (parse_quantifier(r, &low, &high)) {
            int repeat = re_new(r, RE_REPEAT, atom, 0);
            r->nodes[repeat].low = low;
            r->nodes[repeat].high = high;
            atom = repeat;
        }
        out = re_new(r, RE_CAT, out, atom);
    }
    if (is_top && *r->at == '$') {
        r->at++;
    } else if (is_top && !r->bare) {
        out = re_new(r, RE_CAT, out, any_text(r));
    }
    return out;
}

static int parse_alternatives(regex *r, bool is_top)
{
    int out = parse_sequence(r, is_top);
    while (*r->at == '|' && r->b->status == ZOO_OK) {
        r->at++;
        int other = parse_sequence(r, is_top);
        out = re_new(r, RE_ALT, out, other);
    }
    return out;
}

/* The bytes of a set as they are, where no string is around them. */
static zoo_gnode emit_bare(zoo_gbuild *b, const re_node *e, zoo_gnode next)
{
    zoo_gclass plain = e->set;
    plain.bits[0] &= ~1u;
    bool any = plain.bits[0] || plain.bits[1] || plain.bits[2] || plain.bits[3];
    zoo_gnode out = any ? zoo_g_class(b, &plain, next) : ZOO_GNODE_RETURN;
    if (e->beyond) {
        zoo_gnode one = zoo_g_beyond_ascii(b, next);
        out = any ? zoo_g_either(b, out, one) : one;
    } else if (!any) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "a class of a pattern has no character to write");
    }
    return out;
}

static zoo_gnode emit_set(zoo_gbuild *b, const re_node *e, zoo_gnode next)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    zoo_gclass plain = {{0}}, escaped = {{0}};
    bool any_plain = false, any_escaped = false;
    for (int c = 0; c < 0x80; c++) {
        const char *found = c ? strchr(from, c) : NULL;
        if (!zoo_gclass_has(&e->set, (uint8_t)c)) {
            continue;
        }
        if (found) {
            int code = to[found - from];
            zoo_gclass_add(&escaped, code, code);
            any_escaped = true;
        } else if (c >= 0x20 && c != 0x7F) {
            zoo_gclass_add(&plain, c, c);
            any_plain = true;
        }
    }
    zoo_gnode out = ZOO_GNODE_RETURN;
    bool any = any_plain;
    if (any_plain) {
        out = zoo_g_class(b, &plain, next);
    }
    if (any_escaped) {
        zoo_gnode one = zoo_g_text(b, "\\", 1, zoo_g_class(b, &escaped, next));
        out = any ? zoo_g_either(b, out, one) : one;
        any = true;
    }
    if (e->beyond) {
        zoo_gnode one = zoo_g_beyond_ascii(b, next);
        out = any ? zoo_g_either(b, out, one) : one;
        any = true;
    }
    if (!any) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "a class of a pattern has no character to write");
    }
    return out;
}

static zoo_gnode emit(regex *r, int at, zoo_gnode next);

static zoo_gnode emit_repeat(regex *r, const re_node *e, zoo_gnode next)
{
    zoo_gnode at = next;
    if (e->high < 0) {
        at = zoo_g_loop(r->b);
        zoo_g_loop_set(r->b, at, emit(r, e->a, at), next);
    }
    for (int i = e->low; i < e->high && r->b->status == ZOO_OK; i++) {
        at = zoo_g_either(r->b, emit(r, e->a, at), next);
    }
    for (int i = 0; i < e->low && r->b->status == ZOO_OK; i++) {
        at = emit(r, e->a, at);
    }
    return at;
}

static zoo_gnode emit(regex *r, int at, zoo_gnode next)
{
    const re_node *e = &r->nodes[at];
    if (r->b->status != ZOO_OK) {
        return ZOO_GNODE_RETURN;
    }
    switch (e->kind) {
    case RE_EMPTY:
        return next;
    case RE_SET:
        return r->bare ? emit_bare(r->b, e, next) : emit_set(r->b, e, next);
    case RE_CHAR:
        return zoo_g_text(r->b, e->text, e->n, next);
    case RE_CAT:
        /* Sequences lean left: the tail first, then down without recursion of its length. */
        while (e->kind == RE_CAT) {
            next = emit(r, e->b, next);
            at = e->a;
            e = &r->nodes[at];
        }
        return emit(r, at, next);
    case RE_ALT: {
        zoo_gnode other = emit(r, e->b, next);
        return zoo_g_either(r->b, emit(r, e->a, next), other);
    }
    default:
        return emit_repeat(r, e, next);
    }
}

static zoo_gnode build(zoo_gbuild *b, const char *pattern, bool bare, zoo_gnode end)
{
    regex r = {.b = b, .begin = pattern, .at = pattern, .bare = bare};
    zoo_gnode out = ZOO_GNODE_RETURN;
    r.nodes = zoo_mem_array(TREE_MAX, sizeof *r.nodes);
    if (!r.nodes) {
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
        return out;
    }
    int top = parse_alternatives(&r, true);
    if (b->status == ZOO_OK && *r.at) {
        (void)refuse(&r, "a mark that may not stand there");
    }
    out = b->status == ZOO_OK ? emit(&r, top, end) : out;
    zoo_mem_free(r.nodes);
    return out;
}

zoo_gnode zoo_g_pattern_text(zoo_gbuild *b, const char *pattern, zoo_gnode next)
{
    return build(b, pattern, true, next);
}

zoo_gnode zoo_g_pattern(zoo_gbuild *b, const char *pattern, uint32_t min, uint32_t max,
                        zoo_gnode next)
{
    zoo_gnode quote = zoo_g_text(b, "\"", 1, next);
    uint32_t first = b->code->n_nodes;
    zoo_gnode inside = build(b, pattern, false, quote);
    if (min > 0 || max != UINT32_MAX) {
        inside = zoo_g_counted(b, &(zoo_gspan){inside, quote, first}, min, max);
    }
    return zoo_g_text(b, "\"", 1, inside);
}
