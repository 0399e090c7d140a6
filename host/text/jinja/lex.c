/*
 * lex.c: template source to tokens.
 *
 * Text outside tags is cut as trim_blocks and lstrip_blocks say: the newline after a block or
 * comment tag goes, and so do blanks between the start of a line and such a tag; `-` inside a tag
 * strips all whitespace on its side, `+` keeps it. Line ends become \n first and one final newline
 * is dropped. A closing }} or %} inside open brackets belongs to the expression.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja/jinja_private.h"

typedef struct lexer {
    zoo_jinja *x;
    const char *s;
    size_t n, at;
    zoo_jtoken *tokens;
    size_t n_tokens, capacity;
    bool line_starting; /* the tag before ended with a newline, or there was none */
} lexer;

static zoo_jtoken *token_add(lexer *l, zoo_jtoken_kind kind, const char *s, size_t n)
{
    if (l->n_tokens == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 256;
        zoo_jtoken *grown = zoo_jinja_array(l->x, capacity, sizeof *grown);
        if (l->n_tokens) {
            memcpy(grown, l->tokens, l->n_tokens * sizeof *grown);
        }
        l->tokens = grown;
        l->capacity = capacity;
    }
    zoo_jtoken *t = &l->tokens[l->n_tokens++];
    *t = (zoo_jtoken){.kind = (uint8_t)kind, .line = l->x->line, .s = s, .n = n};
    return t;
}

static bool starts(const lexer *l, size_t at, const char *text)
{
    size_t n = strlen(text);
    return l->n - at >= n && memcmp(l->s + at, text, n) == 0;
}

static void count_lines(lexer *l, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        l->x->line += l->s[i] == '\n';
    }
}

/* Length of the whitespace character at `at`, 0 when there is none. */
static size_t space_at(const lexer *l, size_t at)
{
    size_t n = 0;
    return at < l->n && zoo_char_is_space(zoo_utf8_at(l->s + at, &n)) ? n : 0;
}

static size_t skip_spaces(const lexer *l, size_t at)
{
    size_t n = space_at(l, at);
    while (n) {
        at += n;
        n = space_at(l, at);
    }
    return at;
}

/* Where the text before a tag ends: sign is what follows the tag's opening. */
static size_t text_end(const lexer *l, size_t begin, size_t end, char sign, bool is_variable)
{
    size_t at = end;
    if (sign == '-') {
        while (at > begin) {
            size_t back = at;
            do {
                back--;
            } while (((unsigned char)l->s[back] & 0xC0) == 0x80);
            if (!space_at(l, back)) {
                break;
            }
            at = back;
        }
        return at;
    }
    if (sign == '+' || is_variable) {
        return end;
    }
    while (at > begin && l->s[at - 1] != '\n') {
        at--;
    }
    bool at_line_start = at > begin || l->line_starting;
    return at_line_start && skip_spaces(l, at) >= end ? at : end;
}

static void add_text(lexer *l, size_t begin, size_t end)
{
    if (end > begin) {
        token_add(l, JT_TEXT, l->s + begin, end - begin)->value =
            zoo_jv_view(l->x, l->s + begin, end - begin);
    }
}

/* After the closing of a block, comment or raw tag (two bytes long): trim_blocks and `-`. */
static void end_tag(lexer *l, char sign, bool trims)
{
    size_t begin = l->at;
    l->at += 2;
    if (sign == '-') {
        l->at = skip_spaces(l, l->at);
    } else if (sign != '+' && trims && l->at < l->n && l->s[l->at] == '\n') {
        l->at++;
    }
    count_lines(l, begin, l->at);
    l->line_starting = l->s[l->at - 1] == '\n';
}

static void lex_comment(lexer *l)
{
    size_t at = l->at;
    while (at < l->n && !starts(l, at, "#}")) {
        at++;
    }
    if (at >= l->n && l->at < l->n) {
        zoo_jinja_raise(l->x, ZOO_E_FORMAT, "a comment is not closed");
    }
    if (at >= l->n) { /* what opens as the last thing of all is no error */
        return;
    }
    char sign = at > l->at ? l->s[at - 1] : 0;
    count_lines(l, l->at, at);
    l->at = at;
    end_tag(l, sign, true);
}

/* `{%- raw -%}` at `at`, else 0. Gives the end of the tag, and whether it strips. */
static size_t raw_tag(const lexer *l, size_t at, const char *word, char *sign, char *end_sign)
{
    if (!starts(l, at, "{%")) {
        return 0;
    }
    at += 2;
    *sign = at < l->n && (l->s[at] == '-' || l->s[at] == '+') ? l->s[at++] : 0;
    at = skip_spaces(l, at);
    if (!starts(l, at, word)) {
        return 0;
    }
    at = skip_spaces(l, at + strlen(word));
    bool may_keep = word[0] == 'e';
    *end_sign = at < l->n && (l->s[at] == '-' || (l->s[at] == '+' && may_keep)) ? l->s[at++] : 0;
    return starts(l, at, "%}") ? at : 0;
}

static void lex_raw(lexer *l, size_t close, char end_sign)
{
    char sign = 0, last_sign = 0;
    count_lines(l, l->at, close);
    l->at = close;
    end_tag(l, end_sign, false);
    size_t at = l->at;
    size_t end = raw_tag(l, at, "endraw", &sign, &last_sign);
    while (!end && at < l->n) {
        at++;
        end = raw_tag(l, at, "endraw", &sign, &last_sign);
    }
    if (!end && l->at < l->n) {
        zoo_jinja_raise(l->x, ZOO_E_FORMAT, "a raw block is not closed");
    }
    if (!end) {
        return;
    }
    add_text(l, l->at, text_end(l, l->at, at, sign, false));
    count_lines(l, l->at, end);
    l->at = end;
    end_tag(l, last_sign, true);
}

static uint32_t hex_value(const char *s, size_t n)
{
    uint32_t c = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t d = s[i] >= '0' && s[i] <= '9'   ? (uint32_t)(s[i] - '0')
                     : s[i] >= 'a' && s[i] <= 'f' ? (uint32_t)(s[i] - 'a' + 10)
                     : s[i] >= 'A' && s[i] <= 'F' ? (uint32_t)(s[i] - 'A' + 10)
                                                  : 16u;
        if (d > 15) {
            return UINT32_MAX;
        }
        c = c << 4 | d;
    }
    return c;
}

/* One escape of a Python string literal at s, the backslash included; gives its length. */
static size_t unescape(lexer *l, zoo_jbuf *buf, const char *s, size_t n)
{
    static const char from[] = "\\'\"abfnrtv";
    static const char to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *found = s[1] ? strchr(from, s[1]) : NULL;
    if (found) {
        zoo_jbuf_add(l->x, buf, to + (found - from), 1);
        return 2;
    }
    if (s[1] == '\n') {
        return 2;
    }
    if (s[1] >= '0' && s[1] <= '7') {
        size_t k = 1;
        uint32_t c = 0;
        while (k < n && k < 4 && s[k] >= '0' && s[k] <= '7') {
            c = c * 8 + (uint32_t)(s[k++] - '0');
        }
        zoo_jbuf_char(l->x, buf, c);
        return k;
    }
    size_t digits = s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : s[1] == 'U' ? 8 : 0;
    if (digits) {
        uint32_t c = n >= 2 + digits ? hex_value(s + 2, digits) : UINT32_MAX;
        if (c >= 0xD800 && c <= 0xDFFF) {
            zoo_jinja_raise(l->x, ZOO_E_UNSUPPORTED, "lone surrogates are not supported");
        }
        if (c > 0x10FFFF) {
            zoo_jinja_raise(l->x, ZOO_E_FORMAT, "a string has a bad \\%c escape", s[1]);
        }
        zoo_jbuf_char(l->x, buf, c);
        return 2 + digits;
    }
    if (s[1] == 'N') {
        zoo_jinja_raise(l->x, ZOO_E_UNSUPPORTED, "the escape \\N{...} is not supported");
    }
    zoo_jbuf_text(l->x, buf, "\\");
    return 1;
}

static void lex_string(lexer *l)
{
    char quote = l->s[l->at];
    size_t begin = l->at + 1, at = begin;
    bool has_escape = false;
    while (at < l->n && l->s[at] != quote) {
        has_escape |= l->s[at] == '\\';
        at += l->s[at] == '\\' ? 2 : 1;
    }
    if (at >= l->n) {
        zoo_jinja_raise(l->x, ZOO_E_FORMAT, "a string is not closed");
    }
    zoo_jtoken *t = token_add(l, JT_STRING, l->s + l->at, at + 1 - l->at);
    if (!has_escape) {
        t->value = zoo_jv_view(l->x, l->s + begin, at - begin);
    } else {
        zoo_jbuf buf = {0};
        for (size_t i = begin; i < at;) {
            if (l->s[i] == '\\') {
                i += unescape(l, &buf, l->s + i, at - i);
            } else {
                zoo_jbuf_add(l->x, &buf, l->s + i++, 1);
            }
        }
        t->value = zoo_jv_buf(l->x, &buf);
    }
    count_lines(l, l->at, at);
    l->at = at + 1;
}

static bool is_digit(const lexer *l, size_t at)
{
    return at < l->n && l->s[at] >= '0' && l->s[at] <= '9';
}

static bool is_alnum(const lexer *l, size_t at)
{
    return is_digit(l, at) || (at < l->n && ((l->s[at] | 32) >= 'a' && (l->s[at] | 32) <= 'z'));
}

static size_t digits_end(const lexer *l, size_t at)
{
    while (is_digit(l, at) || (at < l->n && l->s[at] == '_' && is_digit(l, at + 1))) {
        at++;
    }
    return at;
}

/* Past the fraction and exponent of the number at..end, or end itself when it is an integer. */
static size_t float_end(const lexer *l, size_t end)
{
    size_t at = end;
    if (at < l->n && l->s[at] == '.' && is_digit(l, at + 1)) {
        at = digits_end(l, at + 1);
    }
    if (at < l->n && (l->s[at] | 32) == 'e') {
        size_t e = at + 1;
        e += e < l->n && (l->s[e] == '+' || l->s[e] == '-');
        if (is_digit(l, e)) {
            at = digits_end(l, e);
        }
    }
    return at;
}

/* The end of the integer at begin: a leading zero is followed by zeros only. */
static size_t integer_end(const lexer *l, size_t begin)
{
    size_t at = begin;
    if (l->s[begin] != '0') {
        return digits_end(l, begin);
    }
    while (at < l->n &&
           (l->s[at] == '0' || (l->s[at] == '_' && at + 1 < l->n && l->s[at + 1] == '0'))) {
        at++;
    }
    return at;
}

/* s..s + n without _ */
static zoo_jv without_bars(lexer *l, const char *s, size_t n)
{
    zoo_jbuf buf = {0};
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '_') {
            zoo_jbuf_add(l->x, &buf, s + i, 1);
        }
    }
    return zoo_jv_buf(l->x, &buf);
}

static void lex_number(lexer *l)
{
    size_t begin = l->at, end = 0;
    bool after_dot = begin > 0 && l->s[begin - 1] == '.';
    bool has_base = l->s[begin] == '0' && begin + 1 < l->n && strchr("xXoObB", l->s[begin + 1]);
    if (has_base) {
        end = begin + 2;
        while (is_alnum(l, end) || (end < l->n && l->s[end] == '_')) {
            end++;
        }
    } else {
        end = digits_end(l, begin);
    }
    size_t whole = after_dot || has_base ? end : float_end(l, end);
    bool is_float = whole > end;
    whole = is_float || has_base ? whole : integer_end(l, begin);
    zoo_jtoken *t = token_add(l, JT_NUMBER, l->s + begin, whole - begin);
    zoo_jv text = without_bars(l, l->s + begin, whole - begin);
    if (is_float) {
        zoo_jbuf buf = {0};
        zoo_jbuf_add(l->x, &buf, text.as.str->s, text.as.str->n);
        zoo_jbuf_add(l->x, &buf, "", 1);
        t->value = zoo_jv_float(strtod(buf.s, NULL));
        if (isinf(t->value.as.f)) {
            zoo_jinja_raise(l->x, ZOO_E_UNSUPPORTED, "the number %.40s is too large", buf.s);
        }
    } else if (!zoo_jv_parse_int(l->x, text.as.str->s, text.as.str->n, 0, &t->value)) {
        zoo_jinja_raise(l->x, ZOO_E_FORMAT, "'%.*s' is not a number", (int)(whole - begin),
                        l->s + begin);
    }
    l->at = whole;
}

static bool is_word(const lexer *l, size_t at, size_t *n)
{
    return at < l->n && zoo_char_is_word(zoo_utf8_at(l->s + at, n));
}

/* Letters, digits and _; a digit that is no decimal one, or a leading one, ends no name well. */
static void lex_name(lexer *l)
{
    size_t at = l->at, n = 0;
    while (is_word(l, at, &n)) {
        uint32_t c = zoo_utf8_at(l->s + at, &n);
        if (zoo_char_is_odd_digit(c) || (at == l->at && zoo_char_digit(c) >= 0)) {
            zoo_jinja_raise(l->x, ZOO_E_FORMAT, "a name holds a character that no name may hold");
        }
        at += n;
    }
    token_add(l, JT_NAME, l->s + l->at, at - l->at);
    l->at = at;
}

static void lex_op(lexer *l, char *brackets, size_t *n_brackets)
{
    static const char two[][3] = {"//", "**", "==", "!=", ">=", "<="};
    char c = l->s[l->at];
    size_t n = 1;
    for (size_t i = 0; i < ZOO_COUNT(two); i++) {
        if (starts(l, l->at, two[i])) {
            n = 2;
        }
    }
    if (n == 1 && (!c || !strchr("+-/*%~[](){}><=.:|,;", c))) {
        zoo_jinja_raise(l->x, ZOO_E_FORMAT, "unexpected character '%.*s'", (c & 0x80) ? 0 : 1,
                        l->s + l->at);
    }
    if (c == '(' || c == '[' || c == '{') {
        if (*n_brackets >= l->x->limits.depth_max) {
            zoo_jinja_raise(l->x, ZOO_E_LIMIT, "brackets are nested deeper than %u",
                            l->x->limits.depth_max);
        }
        brackets[(*n_brackets)++] = c == '(' ? ')' : (char)(c + 2);
    } else if (c == ')' || c == ']' || c == '}') {
        if (*n_brackets == 0 || brackets[--*n_brackets] != c) {
            zoo_jinja_raise(l->x, ZOO_E_FORMAT, "unexpected '%c'", c);
        }
    }
    token_add(l, JT_OP, l->s + l->at, n);
    l->at += n;
}

/* Whether the tag ends here; then *sign is its `-`, `+` or 0 and l->at stands at the
 * two closing bytes. */
static bool tag_ends(lexer *l, const char *close, bool is_variable, char *sign)
{
    char c = l->s[l->at];
    bool has_sign = (c == '-' || (c == '+' && !is_variable)) && starts(l, l->at + 1, close);
    *sign = has_sign ? c : 0;
    l->at += has_sign;
    return has_sign || starts(l, l->at, close);
}

static void lex_tag(lexer *l, bool is_variable)
{
    const char *close = is_variable ? "}}" : "%}";
    char *brackets = zoo_jinja_take(l->x, l->x->limits.depth_max);
    size_t n_brackets = 0;
    int line = l->x->line;
    token_add(l, is_variable ? JT_VAR_BEGIN : JT_BLOCK_BEGIN, close, 0);
    for (;;) {
        size_t next = skip_spaces(l, l->at);
        count_lines(l, l->at, next);
        l->at = next;
        char sign = 0;
        if (l->at >= l->n) {
            l->x->line = line;
            zoo_jinja_raise(l->x, ZOO_E_FORMAT, "a tag is not closed by %s", close);
        }
        if (!n_brackets && tag_ends(l, close, is_variable, &sign)) {
            token_add(l, is_variable ? JT_VAR_END : JT_BLOCK_END, close, 2);
            end_tag(l, sign, !is_variable);
            return;
        }
        char c = l->s[l->at];
        size_t n = 0;
        if (c == '"' || c == '\'') {
            lex_string(l);
        } else if (is_digit(l, l->at)) {
            lex_number(l);
        } else if (is_word(l, l->at, &n)) {
            lex_name(l);
        } else {
            lex_op(l, brackets, &n_brackets);
        }
    }
}

static void lex_from_text(lexer *l)
{
    size_t at = l->at;
    while (at < l->n && !starts(l, at, "{%") && !starts(l, at, "{{") && !starts(l, at, "{#")) {
        at++;
    }
    if (at >= l->n) {
        add_text(l, l->at, l->n);
        l->at = l->n;
        return;
    }
    bool is_variable = l->s[at + 1] == '{', is_comment = l->s[at + 1] == '#';
    char raw_sign = 0, raw_end_sign = 0;
    char sign = at + 2 < l->n && (l->s[at + 2] == '-' || l->s[at + 2] == '+') ? l->s[at + 2] : 0;
    add_text(l, l->at, text_end(l, l->at, at, sign, is_variable));
    count_lines(l, l->at, at);
    l->at = at;
    size_t raw = raw_tag(l, at, "raw", &raw_sign, &raw_end_sign);
    if (raw) {
        lex_raw(l, raw, raw_end_sign);
        return;
    }
    l->at += sign ? 3 : 2;
    if (is_comment) {
        lex_comment(l);
    } else {
        lex_tag(l, is_variable);
    }
}

/* The source with \n line ends and without one final newline, in the pool. */
static void normalise(lexer *l, const char *source, size_t n)
{
    char *out = zoo_jinja_take(l->x, n);
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (source[i] == '\r') {
            out[m++] = '\n';
            i += i + 1 < n && source[i + 1] == '\n';
        } else {
            out[m++] = source[i];
        }
    }
    l->s = out;
    l->n = m && out[m - 1] == '\n' ? m - 1 : m;
}

const zoo_jtoken *zoo_jinja_lex(zoo_jinja *x, const char *source, size_t n)
{
    lexer l = {.x = x, .line_starting = true};
    x->line = 1;
    if (n > x->limits.source_bytes_max) {
        zoo_jinja_raise(x, ZOO_E_LIMIT, "the template has %zu bytes, the limit is %zu", n,
                        x->limits.source_bytes_max);
    }
    if (!zoo_utf8_is_valid(source, n)) {
        zoo_jinja_raise(x, ZOO_E_FORMAT, "the template is not UTF-8");
    }
    normalise(&l, source, n);
    while (l.at < l.n) {
        lex_from_text(&l);
    }
    token_add(&l, JT_END, "", 0);
    return l.tokens;
}
