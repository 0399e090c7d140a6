/*
 * dialect.c: translates Oniguruma's Ruby syntax, which tokenizer.json patterns use, to PCRE2.
 *
 * What differs, and what is written for it:
 *   \s            25 code points; PCRE2 has one more (U+180E)        an explicit class
 *   \w \b \d      of a newer Unicode; \w has marks and connectors     an explicit class
 *   \h \H         hexadecimal digits                                 [0-9A-Fa-f]
 *   \p{Han}       a script; PCRE2 means script extensions            its ranges, or \p{sc:..}
 *   \p{L} ...     of a newer Unicode than PCRE2 may have             with the new characters
 *   [a[bc]], &&   nested classes and intersections                   alternatives and lookaheads
 *   {n,m}+        a repeated repeat, not a possessive one            (?:X{n,m})+
 *   {,m}          from zero                                          {0,m}
 *   (?m)          the dot matches newlines                           (?s)
 *   ^ $           at every line                                      the MULTILINE option
 *   \uHHHH        a code point                                       \x{HHHH}
 *
 * Source: Oniguruma doc/RE, PCRE2 pcre2pattern(3).
 */
#include "text/tokenizer/dialect.h"

#include <stdlib.h>

#define NEST_MAX 64
#define SPACES                                                                                     \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"             \
    "\\x{202f}\\x{205f}\\x{3000}"
#define WORDS                                                                                      \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}"                                         \
    "\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"
#define LATIN_NUMBERS "\\xb2\\xb3\\xb9\\xbc-\\xbe" /* words for \\w, but not in brackets */
#define HEXES         "0-9A-Fa-f"

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

/* The index of `close` after i, or n. */
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

/* The categories that a property name of one or two letters means; 0: another kind of property. */
static uint32_t category_mask(const char *name, size_t n)
{
    static const char letters[] = "LuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSo";
    uint32_t mask = 0;
    for (uint32_t i = 0; (n == 1 || n == 2) && i < (sizeof letters - 1) / 2; i++) {
        mask |= memcmp(letters + 2 * i, name, n) == 0 ? TOK_BIT(i + 1) : 0;
    }
    return mask;
}

static zoo_status put_range(job *j, uint32_t first, uint32_t last)
{
    char text[40];
    int n = snprintf(text, sizeof text, "\\x{%x}-\\x{%x}", first, last);
    return put(j, text, (size_t)n);
}

/* Members of the categories that the engine's older Unicode does not know. */
static zoo_status put_new(job *j, uint32_t mask)
{
    size_t n;
    const tok_range *rows = tok_new_chars(&n);
    for (size_t i = 0; i < n; i++) {
        if (TOK_BIT(rows[i].category) & mask) {
            ZOO_TRY(put_range(j, rows[i].first, rows[i].last));
        }
    }
    return ZOO_OK;
}

/* The items of a property, to stand in brackets. */
static zoo_status put_property(job *j, const char *name, size_t n)
{
    if (n == 3 && memcmp(name, "Han", 3) == 0) {
        size_t n_ranges;
        const uint32_t(*ranges)[2] = tok_han_ranges(&n_ranges);
        for (size_t i = 0; i < n_ranges; i++) {
            ZOO_TRY(put_range(j, ranges[i][0], ranges[i][1]));
        }
        return ZOO_OK;
    }
    if (n == 5 && (memcmp(name, "Alnum", 5) == 0 || memcmp(name, "alnum", 5) == 0)) {
        ZOO_TRY(puts_of(j, "\\p{Alpha}\\p{Nd}"));
        return put_new(j, TOK_LETTER | TOK_BIT(TOK_ND));
    }
    ZOO_TRY(puts_of(j, is_script(name, n) ? "\\p{sc:" : "\\p{"));
    ZOO_TRY(put(j, name, n));
    ZOO_TRY(puts_of(j, "}"));
    if (n == 5 && (memcmp(name, "Alpha", 5) == 0 || memcmp(name, "alpha", 5) == 0)) {
        return put_new(j, TOK_LETTER);
    }
    return put_new(j, category_mask(name, n));
}

/* The name of the property at i, \p{..}, \P{..}, \p{^..} or \pL; i moves after it. */
static zoo_status property_name(job *j, tok_str *name, bool *negative)
{
    *negative = j->p[j->i + 1] == 'P';
    if (j->i + 2 < j->n && j->p[j->i + 2] != '{') {
        *name = (tok_str){j->p + j->i + 2, 1};
        j->i += 3;
        return ZOO_OK;
    }
    size_t close = find_byte(j, j->i, '}'), begin = j->i + 3;
    if (begin < close && close < j->n && j->p[begin] == '^') {
        *negative = !*negative;
        begin++;
    }
    if (close >= j->n || close <= begin) {
        return refuse(j, "a property without a name");
    }
    *name = (tok_str){j->p + begin, close - begin};
    j->i = close + 1;
    return ZOO_OK;
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
    case 'd':
    case 'D':
        return "\\p{Nd}";
    case 'h':
    case 'H':
        return HEXES;
    default:
        return NULL;
    }
}

/* The items of \s, \w, \d or \h, to stand in brackets. */
static zoo_status put_named(job *j, char c)
{
    ZOO_TRY(puts_of(j, named_class(c)));
    if (c == 'w' || c == 'W') {
        return put_new(j,
                       TOK_LETTER | TOK_MARK | TOK_BIT(TOK_ND) | TOK_BIT(TOK_NL) | TOK_BIT(TOK_PC));
    }
    return c == 'd' || c == 'D' ? put_new(j, TOK_BIT(TOK_ND)) : ZOO_OK;
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

/* A class by name (\s, \p{..}): its items, or what is not in them as brackets of their own. */
static zoo_status class_by_name(job *j, zoo_text *plain, zoo_text *nested, bool inside)
{
    char c = j->p[j->i + 1];
    bool negative = c < 'a';
    tok_str name = {NULL, 0};
    if (c == 'p' || c == 'P') {
        ZOO_TRY(property_name(j, &name, &negative));
    } else {
        j->i += 2;
    }
    j->out = negative ? nested : plain;
    if (negative) {
        ZOO_TRY(puts_of(j, nested->n ? "|[^" : "[^"));
    }
    ZOO_TRY(name.p ? put_property(j, name.p, name.n) : put_named(j, c));
    if (!inside && (c == 'w' || c == 'W')) { /* outside brackets only, as the reference's engine */
        ZOO_TRY(puts_of(j, LATIN_NUMBERS));
    }
    return negative ? puts_of(j, "]") : ZOO_OK;
}

/* [:name:] or [:^name:] at i, inside a class. */
static zoo_status posix_class(job *j, zoo_text *plain, zoo_text *nested)
{
    static const struct {
        const char *name, *items;
        uint32_t newer;
    } rows[] = {{"punct", "\\p{P}\\p{S}", TOK_PUNCT | TOK_SYMBOL},
                {"space", SPACES, 0},
                {"word", WORDS, TOK_LETTER | TOK_MARK},
                {"digit", "\\p{Nd}", TOK_BIT(TOK_ND)},
                {"alpha", "\\p{Alpha}", TOK_LETTER},
                {"alnum", "\\p{Alpha}\\p{Nd}", TOK_LETTER | TOK_BIT(TOK_ND)},
                {"upper", "\\p{Upper}", TOK_BIT(TOK_LU)},
                {"lower", "\\p{Lower}", TOK_BIT(TOK_LL)},
                {"xdigit", HEXES, 0}};
    size_t begin = j->i + 2, end = find_byte(j, begin, ':');
    bool negative = begin < j->n && j->p[begin] == '^';
    begin += negative;
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        size_t n = strlen(rows[i].name);
        if (end > begin && end - begin == n && end + 1 < j->n && j->p[end + 1] == ']' &&
            memcmp(j->p + begin, rows[i].name, n) == 0) {
            j->i = end + 2;
            j->out = negative ? nested : plain;
            ZOO_TRY(puts_of(j, !negative ? "" : nested->n ? "|[^" : "[^"));
            ZOO_TRY(puts_of(j, rows[i].items));
            ZOO_TRY(put_new(j, rows[i].newer));
            return puts_of(j, negative ? "]" : "");
        }
    }
    return refuse(j, "a named class that is not known");
}

/* One item of a class: plain ones go to `plain`, those that need their own brackets to `nested`. */
static zoo_status class_item(job *j, zoo_text *plain, zoo_text *nested, uint32_t depth)
{
    zoo_text *keep = j->out;
    zoo_status status;
    char c = j->p[j->i], next = j->i + 1 < j->n ? j->p[j->i + 1] : 0;
    j->out = plain;
    if (c == '[' && next == ':') {
        status = posix_class(j, plain, nested);
    } else if (c == '[') {
        j->out = nested;
        status = nested->n ? puts_of(j, "|") : ZOO_OK;
        status = status == ZOO_OK ? class_at(j, depth + 1) : status;
    } else if (c == '\\' && (named_class(next) || next == 'p' || next == 'P')) {
        status = class_by_name(j, plain, nested, true);
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

/* All operands from after the bracket; leaves i after the closing one. */
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

/* \b or \B by the word characters above. */
static zoo_status word_border(job *j, bool negative)
{
    static const char *const parts[] = {"(?:(?<=[", "])(?![", "])|(?<![", "])(?=[", "]))"};
    static const char *const inside[] = {"(?:(?<=[", "])(?=[", "])|(?<![", "])(?![", "]))"};
    for (size_t i = 0; i < ZOO_COUNT(parts); i++) {
        ZOO_TRY(puts_of(j, negative ? inside[i] : parts[i]));
        if (i + 1 < ZOO_COUNT(parts)) {
            ZOO_TRY(put_named(j, 'w'));
            ZOO_TRY(puts_of(j, LATIN_NUMBERS));
        }
    }
    j->i += 2;
    return ZOO_OK;
}

static zoo_status escape(job *j)
{
    char c = j->i + 1 < j->n ? j->p[j->i + 1] : 0;
    j->atom = j->out->n;
    if (c == 'b' || c == 'B') {
        return word_border(j, c == 'B');
    }
    if (named_class(c) || c == 'p' || c == 'P') {
        zoo_text plain = {0}, nested = {0}, *keep = j->out;
        zoo_status status = class_by_name(j, &plain, &nested, false);
        j->out = keep;
        status = status == ZOO_OK ? put_operand(j, &plain, &nested) : status;
        zoo_text_free(&plain);
        zoo_text_free(&nested);
        return status;
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
    if (!options && j->i < j->n) { /* the mark after ? belongs to it: = ! < > : # */
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
    } else if (i + 1 < pattern.n && pattern.p[i] == '\\' &&
               strchr("pPdwWsSdDhH", pattern.p[i + 1])) {
        status = escape(&j);
    }
    zoo_text_free(&out);
    return status == ZOO_OK ? j.i : 0;
}
