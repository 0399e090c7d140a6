/*
 * tok_dialect.c: translates Oniguruma's Ruby syntax, which tokenizer.json patterns use, to PCRE2.
 *
 * What differs, and what is written for it:
 *   \s            25 code points; PCRE2 has one more (U+180E)        an explicit class
 *   \w            letters, marks, decimal digits, connectors         an explicit class
 *   \h \H         hexadecimal digits                                 [0-9A-Fa-f]
 *   \p{Han}       a script; PCRE2 means script extensions            \p{sc:Han}
 *   [a[bc]], &&   nested classes and intersections                   alternatives and lookaheads
 *   {n,m}+        a repeated repeat, not a possessive one            (?:X{n,m})+
 *   {,m}          from zero                                          {0,m}
 *   (?m)          the dot matches newlines                           (?s)
 *   ^ $           at every line                                      the MULTILINE option
 *   \uHHHH        a code point                                       \x{HHHH}
 *
 * Source: Oniguruma doc/RE, PCRE2 pcre2pattern(3).
 */
#include "tok_dialect.h"

#include <stdlib.h>

#define NEST_MAX 64
#define SPACES                                                                                     \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"             \
    "\\x{202f}\\x{205f}\\x{3000}"
#define WORDS                                                                                      \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}"                                         \
    "\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
#define HEXES "0-9A-Fa-f"

typedef struct job {
    const char *p;
    size_t n, i;
    zoo_text *out;
    size_t atom;             /* where in out the last atom begins */
    size_t groups[NEST_MAX]; /* starts of open groups */
    uint32_t n_groups;
    zoo_error *err;
} job;

static zoo_status put(job *j, const char *text, size_t n)
{
    return tok_text_push(j->out, text, n) ? ZOO_OK : tok_no_memory(j->err);
}

static zoo_status puts_of(job *j, const char *text)
{
    return put(j, text, strlen(text));
}

static zoo_status refuse(const job *j, const char *what)
{
    return zoo_fail(j->err, ZOO_E_UNSUPPORTED, "the pattern at byte %zu has %s", j->i, what);
}

/* The index of `close` behind i, or n. */
static size_t find_byte(const job *j, size_t i, char close)
{
    while (i < j->n && j->p[i] != close) {
        i++;
    }
    return i;
}

static bool is_script(const char *name, size_t n)
{
    static const char *const scripts[] = {"Han",    "Hiragana",   "Katakana", "Hangul",   "Latin",
                                          "Greek",  "Cyrillic",   "Arabic",   "Thai",     "Hebrew",
                                          "Common", "Devanagari", "Bengali",  "Inherited"};
    for (size_t i = 0; i < ZOO_COUNT(scripts); i++) {
        if (strlen(scripts[i]) == n && memcmp(scripts[i], name, n) == 0) {
            return true;
        }
    }
    return false;
}

/* \p{..}, \P{..}, \pL at i; the property alone is an item of a class too. */
static zoo_status property(job *j)
{
    if (j->i + 2 < j->n && j->p[j->i + 2] != '{') {
        zoo_status status = put(j, j->p + j->i, 3);
        j->i += 3;
        return status;
    }
    size_t close = find_byte(j, j->i, '}');
    if (close >= j->n || close < j->i + 4) {
        return refuse(j, "a property without a name");
    }
    const char *name = j->p + j->i + 3;
    size_t n = close - j->i - 3;
    ZOO_TRY(put(j, j->p + j->i, 3));
    if (is_script(name, n)) {
        ZOO_TRY(puts_of(j, "sc:"));
    }
    ZOO_TRY(put(j, name, n));
    j->i = close + 1;
    return puts_of(j, "}");
}

/* The class that a letter after a backslash names, or null. */
static const char *named_class(char c)
{
    switch (c) {
    case 's':
    case 'S':
        return SPACES;
    case 'w':
    case 'W':
        return WORDS;
    case 'h':
    case 'H':
        return HEXES;
    default:
        return NULL;
    }
}

/* An escape that is one character inside or outside a class, at i. */
static zoo_status character_escape(job *j)
{
    char c = j->p[j->i + 1];
    if (c == 'u') {
        if (j->n - j->i < 6) {
            return refuse(j, "a short \\u escape");
        }
        ZOO_TRY(puts_of(j, "\\x{"));
        ZOO_TRY(put(j, j->p + j->i + 2, 4));
        j->i += 6;
        return puts_of(j, "}");
    }
    size_t n = 1 + tok_utf8_length((uint8_t)c);
    if (j->i + n > j->n) {
        return refuse(j, "a lone backslash");
    }
    if ((uint8_t)c >= 0x80) {
        j->i++;
        ZOO_TRY(put(j, j->p + j->i, n - 1));
        j->i += n - 1;
        return ZOO_OK;
    }
    ZOO_TRY(put(j, j->p + j->i, n));
    j->i += n;
    return ZOO_OK;
}

static zoo_status class_at(job *j, uint32_t depth);

/* One item of a class: plain ones go to `plain`, those that need their own brackets to `nested`. */
static zoo_status class_item(job *j, zoo_text *plain, zoo_text *nested, uint32_t depth)
{
    zoo_text *keep = j->out;
    zoo_status status;
    char c = j->p[j->i], next = j->i + 1 < j->n ? j->p[j->i + 1] : 0;
    j->out = plain;
    if (c == '[' && next == ':') {
        size_t close = find_byte(j, j->i, ']');
        status = close < j->n ? put(j, j->p + j->i, close + 1 - j->i) : refuse(j, "an open class");
        j->i = close + 1;
    } else if (c == '[') {
        j->out = nested;
        status = nested->n ? puts_of(j, "|") : ZOO_OK;
        status = status == ZOO_OK ? class_at(j, depth + 1) : status;
    } else if (c == '\\' && named_class(next)) {
        bool negative = next < 'a';
        j->out = negative ? nested : plain;
        status = negative ? puts_of(j, nested->n ? "|[^" : "[^") : ZOO_OK;
        status = status == ZOO_OK ? puts_of(j, named_class(next)) : status;
        status = status == ZOO_OK && negative ? puts_of(j, "]") : status;
        j->i += 2;
    } else if (c == '\\' && (next == 'p' || next == 'P')) {
        status = property(j);
    } else if (c == '\\') {
        status = next ? character_escape(j) : refuse(j, "a lone backslash");
    } else {
        size_t n = tok_utf8_length((uint8_t)c);
        status = put(j, j->p + j->i, n);
        j->i += n;
    }
    j->out = keep;
    return status;
}

/* Writes one operand: [plain], alternatives, or its complement. */
static zoo_status put_operand(job *j, const zoo_text *plain, const zoo_text *nested)
{
    if (!nested->n) {
        ZOO_TRY(puts_of(j, plain->n ? "[" : "(?!)"));
        return plain->n ? (put(j, plain->data, plain->n) == ZOO_OK ? puts_of(j, "]") : ZOO_E_MEMORY)
                        : ZOO_OK;
    }
    ZOO_TRY(puts_of(j, "(?:"));
    if (plain->n) {
        ZOO_TRY(puts_of(j, "["));
        ZOO_TRY(put(j, plain->data, plain->n));
        ZOO_TRY(puts_of(j, "]|"));
    }
    ZOO_TRY(put(j, nested->data, nested->n));
    return puts_of(j, ")");
}

/* One operand of an intersection up to && or the closing bracket. *first: nothing was read yet. */
static zoo_status operand(job *j, zoo_text *out, bool first, uint32_t depth)
{
    zoo_text plain = {0}, nested = {0}, *keep = j->out;
    zoo_status status = ZOO_OK;
    size_t begin = j->i;
    while (status == ZOO_OK && j->i < j->n) {
        char c = j->p[j->i];
        if (c == ']' && (!first || j->i > begin)) {
            break;
        }
        if (c == '&' && j->i + 1 < j->n && j->p[j->i + 1] == '&') {
            break;
        }
        if (c == ']') { /* a bracket in first place stands for itself */
            status = tok_text_push(&plain, "\\]", 2) ? ZOO_OK : tok_no_memory(j->err);
            j->i++;
            continue;
        }
        status = class_item(j, &plain, &nested, depth);
    }
    j->out = out;
    status = status == ZOO_OK ? put_operand(j, &plain, &nested) : status;
    j->out = keep;
    zoo_text_free(&plain);
    zoo_text_free(&nested);
    return status;
}

/* All operands from behind the bracket; leaves i behind the closing one. */
static zoo_status operands(job *j, zoo_text *set, uint32_t depth, bool *single)
{
    zoo_text one = {0};
    zoo_status status = operand(j, set, true, depth);
    *single = true;
    while (status == ZOO_OK && j->n - j->i >= 2 && j->p[j->i] == '&') {
        j->i += 2;
        one.n = 0;
        *single = false;
        status = operand(j, &one, false, depth);
        if (status == ZOO_OK &&
            !(tok_text_push(&one, "(?<=", 4) && /* the same character, again */
              tok_text_push(&one, set->data, set->n) && tok_text_push(&one, ")", 1))) {
            status = tok_no_memory(j->err);
        }
        zoo_text swap = *set;
        *set = one;
        one = swap;
    }
    zoo_text_free(&one);
    if (status == ZOO_OK && j->i >= j->n) {
        status = refuse(j, "a class that is not closed");
    }
    j->i++;
    return status;
}

/* [..] at i: appends an expression that matches one character. */
static zoo_status class_at(job *j, uint32_t depth)
{
    zoo_text set = {0};
    bool single;
    if (depth > 8) {
        return zoo_fail(j->err, ZOO_E_LIMIT, "the pattern nests classes more than 8 deep");
    }
    j->i++;
    bool negative = j->i < j->n && j->p[j->i] == '^';
    j->i += negative;
    zoo_status status = operands(j, &set, depth, &single);
    if (status == ZOO_OK && negative && single && set.data[0] == '[') {
        status = puts_of(j, "[^");
        status = status == ZOO_OK ? put(j, set.data + 1, set.n - 1) : status;
    } else if (status == ZOO_OK && negative) {
        status = puts_of(j, "(?:(?!");
        status = status == ZOO_OK ? put(j, set.data, set.n) : status;
        status = status == ZOO_OK ? puts_of(j, ")(?s:.))") : status;
    } else if (status == ZOO_OK) {
        status = puts_of(j, single ? "" : "(?:");
        status = status == ZOO_OK ? put(j, set.data, set.n) : status;
        status = status == ZOO_OK ? puts_of(j, single ? "" : ")") : status;
    }
    zoo_text_free(&set);
    return status;
}

static zoo_status escape(job *j)
{
    char c = j->i + 1 < j->n ? j->p[j->i + 1] : 0;
    j->atom = j->out->n;
    if (named_class(c)) {
        ZOO_TRY(puts_of(j, c < 'a' ? "[^" : "["));
        ZOO_TRY(puts_of(j, named_class(c)));
        j->i += 2;
        return puts_of(j, "]");
    }
    if (c == 'p' || c == 'P') {
        return property(j);
    }
    return c ? character_escape(j) : refuse(j, "a lone backslash");
}

/* An opening parenthesis; option letters of Ruby become those of PCRE2. */
static zoo_status open_group(job *j)
{
    if (j->n_groups == NEST_MAX) {
        return zoo_fail(j->err, ZOO_E_LIMIT, "the pattern nests groups more than %d deep",
                        NEST_MAX);
    }
    j->groups[j->n_groups++] = j->out->n;
    ZOO_TRY(puts_of(j, "("));
    j->i++;
    if (j->i >= j->n || j->p[j->i] != '?') {
        return ZOO_OK;
    }
    if (j->i + 1 < j->n && j->p[j->i + 1] == '~') {
        return refuse(j, "an absence operator");
    }
    size_t i = j->i + 1;
    while (i < j->n && ((j->p[i] >= 'a' && j->p[i] <= 'z') || j->p[i] == '-')) {
        i++;
    }
    bool options = i < j->n && (j->p[i] == ':' || j->p[i] == ')');
    ZOO_TRY(puts_of(j, "?"));
    j->i++;
    while (options && j->i < i) {
        char c = j->p[j->i++];
        ZOO_TRY(put(j, c == 'm' ? "s" : &c, 1));
    }
    if (!options && j->i < j->n) { /* the mark behind ? belongs to it: = ! < > : # */
        ZOO_TRY(put(j, j->p + j->i, 1));
        j->i++;
    }
    return ZOO_OK;
}

static zoo_status close_group(job *j)
{
    if (!j->n_groups) {
        return refuse(j, "a closing parenthesis too many");
    }
    j->atom = j->groups[--j->n_groups];
    j->i++;
    return puts_of(j, ")");
}

/* The length of {n}, {n,}, {n,m} or {,m} at i, or 0. */
static size_t braces(const job *j)
{
    size_t i = j->i + 1, n_digits = 0, n_commas = 0;
    for (; i < j->n && j->p[i] != '}'; i++) {
        if (j->p[i] >= '0' && j->p[i] <= '9') {
            n_digits++;
        } else if (j->p[i] != ',' || n_commas++) {
            return 0;
        }
    }
    return i < j->n && n_digits ? i + 1 - j->i : 0;
}

static zoo_status repeat(job *j, size_t n)
{
    if (j->p[j->i + 1] == ',') {
        ZOO_TRY(puts_of(j, "{0"));
        ZOO_TRY(put(j, j->p + j->i + 1, n - 1));
    } else {
        ZOO_TRY(put(j, j->p + j->i, n));
    }
    j->i += n;
    if (j->i < j->n && j->p[j->i] == '+') {
        ZOO_TRY(puts_of(j, "   )"));
        memmove(j->out->data + j->atom + 3, j->out->data + j->atom, j->out->n - j->atom - 4);
        memcpy(j->out->data + j->atom, "(?:", 3);
    }
    return ZOO_OK;
}

static zoo_status step(job *j)
{
    char c = j->p[j->i];
    size_t n = c == '{' ? braces(j) : 0;
    if (n) {
        return repeat(j, n);
    }
    if (c == '\\') {
        return escape(j);
    }
    if (c == '(') {
        return open_group(j);
    }
    if (c == ')') {
        return close_group(j);
    }
    if (c == '[') {
        j->atom = j->out->n;
        return class_at(j, 0);
    }
    if (!strchr("*+?|", c) || !c) {
        j->atom = j->out->n;
    }
    n = tok_utf8_length((uint8_t)c);
    ZOO_TRY(put(j, j->p + j->i, n));
    j->i += n;
    return ZOO_OK;
}

zoo_status tok_dialect(tok_str pattern, zoo_text *out, zoo_error *err)
{
    job j = {.p = pattern.p, .n = pattern.n, .out = out, .atom = out->n, .err = err};
    while (j.i < j.n) {
        ZOO_TRY(step(&j));
    }
    return ZOO_OK;
}

size_t tok_dialect_class_end(tok_str pattern, size_t i)
{
    zoo_text out = {0};
    zoo_error err;
    job j = {.p = pattern.p, .n = pattern.n, .i = i, .out = &out, .err = &err};
    zoo_status status = ZOO_E_FORMAT;
    if (i < pattern.n && pattern.p[i] == '[') {
        status = class_at(&j, 0);
    } else if (i + 1 < pattern.n && pattern.p[i] == '\\' && strchr("pPdw", pattern.p[i + 1])) {
        status = escape(&j);
    }
    zoo_text_free(&out);
    return status == ZOO_OK ? j.i : 0;
}
