/*
 * scan.c: the known pre-split patterns as hand-written scanners, linear in the text.
 *
 * A backtracking engine runs these patterns slowly and can overflow on hostile text; a scanner
 * reads each character at most twice. It is chosen when the pattern string is put together from
 * known alternatives, byte for byte, and gives exactly the matches that the pattern gives:
 * alternatives in order, greedy, with the lookahead stopping at the end of the piece. Three shapes
 * tile the text:
 *
 *   words   's|'t|..| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *   runs    contractions|prefix? letters|digits| ?other[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *   cases   the same with letters cut where lower case ends
 *
 * One more leaves gaps: punctuation with ASCII letters, letters with marks, punctuation,
 * whitespace.
 */
#include "text/tokenizer/scan.h"

const char tok_pattern_words[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+"
                                 "| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

typedef struct text {
    const uint8_t *kind;
    const uint8_t *p;
    size_t n;
} text;

#define CAN_UPPER (TOK_BIT(TOK_LU) | TOK_BIT(TOK_LT) | CAN_BOTH)
#define CAN_LOWER (TOK_BIT(TOK_LL) | CAN_BOTH)
#define CAN_BOTH  (TOK_BIT(TOK_LM) | TOK_BIT(TOK_LO) | TOK_MARK)

/* The class bit of the character at i, its length in *length; 0 at the end of the text. */
static inline uint32_t at(const text *t, size_t i, size_t *length)
{
    uint32_t cp;
    if (i >= t->n) {
        *length = 0;
        return 0;
    }
    *length = tok_utf8(t->p + i, &cp);
    return 1u << (t->kind[cp] & 31u);
}

/* The same; a Han character is of no class when han is set. */
static inline uint32_t at_but_han(const text *t, size_t i, size_t *length, bool han)
{
    uint32_t cp;
    if (i >= t->n) {
        *length = 0;
        return 0;
    }
    *length = tok_utf8(t->p + i, &cp);
    return han && (t->kind[cp] & TOK_HAN) ? 0 : 1u << (t->kind[cp] & 31u);
}

/* The end of the run of characters in mask (or, with `but`, outside it) that begins at i. */
static inline size_t run_of(const text *t, size_t i, uint32_t mask)
{
    size_t length;
    while (at(t, i, &length) & mask) {
        i += length;
    }
    return i;
}

static inline bool is_newline(uint8_t byte)
{
    return byte == '\r' || byte == '\n';
}

/* `\s*[\r\n]+|\s+(?!\S)|\s+`, or without the first alternative; i is at a whitespace character. */
static size_t spaces(const text *t, size_t i, bool newlines)
{
    size_t end = i, last = i, newline = 0, length;
    while (at(t, end, &length) & TOK_SPACE) {
        last = end;
        if (is_newline(t->p[end])) {
            newline = end + 1;
        }
        end += length;
    }
    if (newlines && newline) {
        return newline;
    }
    return end < t->n && last > i ? last : end;
}

/* The length of 's 't 're 've 'm 'll 'd at i, or 0; without case also U+017F for s. */
static size_t contraction(const text *t, size_t i, bool caseless)
{
    const uint8_t *p = t->p + i;
    size_t n = t->n - i;
    if (n < 2 || p[0] != '\'') {
        return 0;
    }
    uint8_t a = p[1], b = n > 2 ? p[2] : 0;
    if (caseless) {
        if (a == 0xc5 && b == 0xbf) {
            return 3;
        }
        a = a >= 'A' && a <= 'Z' ? (uint8_t)(a + 32) : a;
        b = b >= 'A' && b <= 'Z' ? (uint8_t)(b + 32) : b;
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd') {
        return 2;
    }
    return (b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l') ? 3 : 0;
}

static size_t scan_words(const tok_scan_rule *rule, const text *t, size_t i)
{
    size_t length, next, end = i;
    size_t quoted = contraction(t, i, rule->contractions == TOK_CONTRACT_CASELESS);
    if (quoted) {
        return i + quoted;
    }
    uint32_t c = at(t, i, &length);
    if (t->p[i] == ' ') {
        uint32_t after = at(t, i + 1, &next);
        if (after && !(after & TOK_SPACE)) {
            end = i + 1;
            c = after;
        }
    }
    if (c & TOK_SPACE) {
        return spaces(t, i, false);
    }
    if (c & TOK_LETTER) {
        return run_of(t, end, TOK_LETTER);
    }
    return run_of(t, end, c & TOK_NUMBER ? TOK_NUMBER : ~(TOK_LETTER | TOK_NUMBER | TOK_SPACE));
}

static size_t digits(const text *t, size_t i, uint32_t n_max)
{
    size_t length;
    for (uint32_t k = 0; k < n_max && (at(t, i, &length) & TOK_NUMBER); k++) {
        i += length;
    }
    return i;
}

/* Digits, other characters, whitespace: what follows the letters in `runs` and `cases`. */
static size_t scan_rest(const tok_scan_rule *rule, const text *t, size_t i, uint32_t c)
{
    size_t length, begin = i;
    if (c & TOK_NUMBER) {
        return digits(t, i, rule->digits_max);
    }
    if (t->p[i] == ' ') {
        begin = i + 1;
        c = at(t, begin, &length);
    }
    if (!(c & rule->others)) {
        return spaces(t, i, true);
    }
    size_t end = run_of(t, begin, rule->others);
    while (end < t->n && (is_newline(t->p[end]) || (rule->slash && t->p[end] == '/'))) {
        end++;
    }
    return end;
}

static size_t scan_runs(const tok_scan_rule *rule, const text *t, size_t i)
{
    size_t length, next;
    if (t->p[i] == '\'' && rule->contractions) {
        size_t quoted = contraction(t, i, rule->contractions == TOK_CONTRACT_CASELESS);
        if (quoted) {
            return i + quoted;
        }
    }
    uint32_t c = at(t, i, &length);
    if (c & rule->letters) {
        return run_of(t, i + length, rule->letters);
    }
    if (!(c & TOK_NUMBER) && !is_newline(t->p[i]) && (at(t, i + length, &next) & rule->letters)) {
        return run_of(t, i + length + next, rule->letters);
    }
    return scan_rest(rule, t, i, c);
}

/* `U*W+` at i, else `U+W*`: where it ends, or i. *lower: the first form matched. */
static size_t cased(const text *t, size_t i, bool han, bool *lower)
{
    size_t length, end = i, both = i;
    uint32_t c = at_but_han(t, end, &length, han);
    while (c & CAN_UPPER) {
        end += length;
        both = c & CAN_BOTH ? end : both;
        c = at_but_han(t, end, &length, han);
    }
    *lower = true;
    if (c & CAN_LOWER) {
        while (c & CAN_LOWER) {
            end += length;
            c = at_but_han(t, end, &length, han);
        }
        return end;
    }
    *lower = both > i;
    return both > i ? both : end;
}

/* The letters of `cases` with the prefix character, or i. */
static size_t cased_word(const tok_scan_rule *rule, const text *t, size_t i, uint32_t c,
                         size_t length)
{
    bool lower, lower_bare;
    bool prefix = !(c & (TOK_LETTER | TOK_NUMBER)) && !is_newline(t->p[i]);
    if (!prefix) {
        return cased(t, i, rule->han, &lower);
    }
    size_t end = cased(t, i + length, rule->han, &lower);
    if (end > i + length && lower) {
        return end;
    }
    /* A mark may be the prefix of the first form or a letter of it; the first form goes first. */
    size_t bare = cased(t, i, rule->han, &lower_bare);
    if (bare > i && lower_bare) {
        return bare;
    }
    return end > i + length ? end : bare;
}

static size_t scan_cases(const tok_scan_rule *rule, const text *t, size_t i)
{
    uint32_t cp;
    size_t length = tok_utf8(t->p + i, &cp);
    uint32_t c = 1u << (t->kind[cp] & 31u);
    if (rule->han && (t->kind[cp] & TOK_HAN)) {
        while (i < t->n) {
            length = tok_utf8(t->p + i, &cp);
            if (!(t->kind[cp] & TOK_HAN)) {
                break;
            }
            i += length;
        }
        return i;
    }
    size_t end = cased_word(rule, t, i, c, length);
    if (end > i) {
        return rule->contractions ? end + contraction(t, end, true) : end;
    }
    return scan_rest(rule, t, i, c);
}

size_t tok_scan_piece(const tok_scan_rule *rule, const tok_chars *chars, const uint8_t *p, size_t n,
                      size_t i)
{
    const text t = {chars->kind, p, n};
    switch (rule->shape) {
    case TOK_SHAPE_WORDS:
        return scan_words(rule, &t, i);
    case TOK_SHAPE_RUNS:
        return scan_runs(rule, &t, i);
    default:
        return scan_cases(rule, &t, i);
    }
}

static bool ascii_letter(uint8_t byte)
{
    return (byte | 32) >= 'a' && (byte | 32) <= 'z';
}

static bool ascii_punct(uint8_t byte)
{
    return (byte >= 33 && byte <= 47) || (byte >= 58 && byte <= 64) || (byte >= 91 && byte <= 96) ||
           (byte >= 123 && byte <= 126);
}

/* The gappy shape at i: where the match ends, or i. */
static size_t gappy(const text *t, size_t i)
{
    const uint32_t letters = TOK_LETTER | TOK_MARK, others = TOK_PUNCT | TOK_SYMBOL;
    size_t length, next, begin = i;
    if (ascii_punct(t->p[i]) && i + 1 < t->n && ascii_letter(t->p[i + 1])) {
        for (i++; i < t->n && ascii_letter(t->p[i]); i++) {
        }
        return i;
    }
    uint32_t c = at(t, i, &length);
    if (c & letters) {
        return run_of(t, i, letters);
    }
    if (!(c & others) && !is_newline(t->p[i]) && (at(t, i + length, &next) & letters)) {
        return run_of(t, i + length, letters);
    }
    if (t->p[i] == ' ') {
        begin = i + 1;
        c = at(t, begin, &length);
    }
    if (c & others) {
        size_t end = run_of(t, begin, others);
        while (end < t->n && is_newline(t->p[end])) {
            end++;
        }
        return end;
    }
    return at(t, i, &length) & TOK_SPACE ? spaces(t, i, true) : i;
}

bool tok_scan_gappy(const tok_chars *chars, const uint8_t *p, size_t n, size_t from,
                    size_t range[2])
{
    const text t = {chars->kind, p, n};
    while (from < n) {
        size_t end = gappy(&t, from);
        if (end > from) {
            range[0] = from;
            range[1] = end;
            return true;
        }
        from += tok_utf8_length(p[from]);
    }
    return false;
}

bool tok_scan_line_spaces(const tok_chars *chars, const uint8_t *p, size_t n, size_t from,
                          size_t range[2])
{
    const text t = {chars->kind, p, n};
    while (from < n) {
        size_t length, end = from, last = 0;
        while (at(&t, end, &length) & TOK_SPACE) {
            end += length;
            if (end == n || p[end] == '\n') {
                last = end;
            }
        }
        if (last) {
            range[0] = from;
            range[1] = last;
            return true;
        }
        from = end < n ? end + tok_utf8_length(p[end]) : n;
    }
    return false;
}
