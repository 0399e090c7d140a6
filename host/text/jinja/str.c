/*
 * str.c: pieces of Python's str that filters and methods share: find, replace, split, lines,
 * join, int().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja/jinja_private.h"

int64_t zoo_jarg_int(zoo_jinja *x, zoo_jv v, int64_t fallback, const char *what)
{
    if (v.kind == JV_INT) {
        return v.as.i;
    }
    if (v.kind == JV_BOOL) {
        return v.as.b;
    }
    if (zoo_jv_absent(v)) {
        return fallback;
    }
    zoo_jv_need(x, v);
    zoo_jinja_raise(x, ZOO_E_CONFIG, "%s must be an integer, not '%s'", what, zoo_jv_type(v));
}

bool zoo_jarg_bool(zoo_jv v, bool fallback)
{
    return v.kind == JV_UNDEFINED && !v.as.undefined ? fallback : zoo_jv_truth(v);
}

const zoo_jstr *zoo_jarg_str(zoo_jinja *x, zoo_jv v, const char *what)
{
    zoo_jv_need(x, v);
    if (v.kind != JV_STR) {
        zoo_jinja_raise(x, ZOO_E_CONFIG, "%s must be a string, not '%s'", what, zoo_jv_type(v));
    }
    return v.as.str;
}

size_t zoo_jstr_find(zoo_jinja *x, const zoo_jstr *s, const zoo_jstr *needle, size_t from,
                     bool last)
{
    size_t found = SIZE_MAX;
    if (needle->n > s->n || from > s->n - needle->n) {
        return SIZE_MAX;
    }
    if (needle->n == 0) {
        return last ? s->n : from;
    }
    for (size_t at = from; at <= s->n - needle->n; at++) {
        const char *hit = memchr(s->s + at, needle->s[0], s->n - needle->n - at + 1);
        if (!hit) {
            break;
        }
        zoo_jinja_step(x, 1 + ((size_t)(hit - s->s) - at) / 64 + needle->n / 64);
        at = (size_t)(hit - s->s);
        if (memcmp(hit, needle->s, needle->n) == 0) {
            found = at;
            if (!last) {
                break;
            }
        }
    }
    return found;
}

/* An empty needle stands before every character and at the end. */
static zoo_jv replace_empty(zoo_jinja *x, const zoo_jstr *s, const zoo_jstr *to, int64_t count)
{
    zoo_jbuf buf = {0};
    size_t n = 0;
    for (size_t at = 0; at <= s->n; at += n) {
        if (count != 0) {
            zoo_jbuf_add(x, &buf, to->s, to->n);
            count--;
        }
        if (at == s->n) {
            break;
        }
        (void)zoo_utf8_at(s->s + at, &n);
        zoo_jbuf_add(x, &buf, s->s + at, n);
    }
    return zoo_jv_buf(x, &buf);
}

zoo_jv zoo_jstr_replace(zoo_jinja *x, zoo_jv v, zoo_jv from_v, zoo_jv to_v, int64_t count)
{
    const zoo_jstr *s = v.as.str, *from = zoo_jarg_str(x, from_v, "what to replace");
    const zoo_jstr *to = zoo_jarg_str(x, to_v, "the replacement");
    zoo_jv out;
    if (from->n == 0) {
        out = replace_empty(x, s, to, count);
    } else {
        zoo_jbuf buf = {0};
        size_t at = 0, hit = 0;
        while (count != 0 && (hit = zoo_jstr_find(x, s, from, at, false)) != SIZE_MAX) {
            zoo_jbuf_add(x, &buf, s->s + at, hit - at);
            zoo_jbuf_add(x, &buf, to->s, to->n);
            at = hit + from->n;
            count--;
            zoo_jinja_step(x, 1);
        }
        zoo_jbuf_add(x, &buf, s->s + at, s->n - at);
        out = zoo_jv_buf(x, &buf);
    }
    out.safe = v.safe;
    return out;
}

static void add_part(zoo_jinja *x, zoo_jlist *list, zoo_jv v, size_t begin, size_t end)
{
    zoo_jv part = zoo_jv_view(x, v.as.str->s + begin, end - begin);
    part.safe = v.safe;
    zoo_jinja_step(x, 1);
    zoo_jlist_add(x, list, part);
}

static size_t skip_spaces(const zoo_jstr *s, size_t at, bool spaces)
{
    size_t n = 0;
    while (at < s->n && zoo_char_is_space(zoo_utf8_at(s->s + at, &n)) == spaces) {
        at += n;
    }
    return at;
}

static size_t skip_spaces_back(const zoo_jstr *s, size_t end, bool spaces)
{
    while (end > 0) {
        size_t at = end, n = 0;
        do {
            at--;
        } while (((unsigned char)s->s[at] & 0xC0) == 0x80);
        if (zoo_char_is_space(zoo_utf8_at(s->s + at, &n)) != spaces) {
            break;
        }
        end = at;
    }
    return end;
}

static void split_spaces(zoo_jinja *x, zoo_jv v, zoo_jlist *list, int64_t count)
{
    const zoo_jstr *s = v.as.str;
    size_t at = skip_spaces(s, 0, true);
    while (at < s->n) {
        size_t end = skip_spaces(s, at, false);
        if (count-- == 0) {
            end = skip_spaces_back(s, s->n, true);
            add_part(x, list, v, at, end);
            return;
        }
        add_part(x, list, v, at, end);
        at = skip_spaces(s, end, true);
    }
}

static void split_spaces_right(zoo_jinja *x, zoo_jv v, zoo_jlist *list, int64_t count)
{
    const zoo_jstr *s = v.as.str;
    size_t end = skip_spaces_back(s, s->n, true);
    while (end > 0) {
        size_t at = count-- == 0 ? skip_spaces(s, 0, true) : skip_spaces_back(s, end, false);
        add_part(x, list, v, at, end);
        if (count == -1) {
            return;
        }
        end = skip_spaces_back(s, at, true);
    }
}

static void split_on(zoo_jinja *x, zoo_jv v, const zoo_jstr *by, zoo_jlist *list, int64_t count)
{
    const zoo_jstr *s = v.as.str;
    size_t at = 0, hit = 0;
    while (count-- != 0 && (hit = zoo_jstr_find(x, s, by, at, false)) != SIZE_MAX) {
        add_part(x, list, v, at, hit);
        at = hit + by->n;
    }
    add_part(x, list, v, at, s->n);
}

static void split_on_right(zoo_jinja *x, zoo_jv v, const zoo_jstr *by, zoo_jlist *list,
                           int64_t count)
{
    size_t end = v.as.str->n;
    while (count-- != 0 && end >= by->n) {
        size_t at = end - by->n;
        while (at > 0 && memcmp(v.as.str->s + at, by->s, by->n) != 0) {
            at--;
        }
        if (memcmp(v.as.str->s + at, by->s, by->n) != 0) {
            break;
        }
        add_part(x, list, v, at + by->n, end);
        end = at;
    }
    add_part(x, list, v, 0, end);
}

static void reverse(zoo_jlist *list)
{
    for (size_t i = 0; i < list->n / 2; i++) {
        zoo_jv swap = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = swap;
    }
}

zoo_jv zoo_jstr_split(zoo_jinja *x, zoo_jv s, zoo_jv separator, int64_t count, bool from_right)
{
    zoo_jv out = zoo_jv_list(x, JV_LIST, 0);
    bool by_spaces =
        separator.kind == JV_NONE || (separator.kind == JV_UNDEFINED && !separator.as.undefined);
    zoo_jinja_step(x, s.as.str->n / 16);
    if (by_spaces && from_right) {
        split_spaces_right(x, s, out.as.list, count);
    } else if (by_spaces) {
        split_spaces(x, s, out.as.list, count);
    } else {
        const zoo_jstr *by = zoo_jarg_str(x, separator, "the separator");
        if (by->n == 0) {
            zoo_jinja_raise(x, ZOO_E_CONFIG, "empty separator");
        }
        if (from_right) {
            split_on_right(x, s, by, out.as.list, count);
        } else {
            split_on(x, s, by, out.as.list, count);
        }
    }
    if (from_right) {
        reverse(out.as.list);
    }
    return out;
}

static bool is_line_end(uint32_t c)
{
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

zoo_jv zoo_jstr_lines(zoo_jinja *x, zoo_jv v, bool keep_ends)
{
    const zoo_jstr *s = v.as.str;
    zoo_jv out = zoo_jv_list(x, JV_LIST, 0);
    size_t begin = 0, n = 0;
    for (size_t at = 0; at < s->n;) {
        uint32_t c = zoo_utf8_at(s->s + at, &n);
        if (!is_line_end(c)) {
            at += n;
            continue;
        }
        size_t end = at + n;
        end += c == '\r' && end < s->n && s->s[end] == '\n';
        add_part(x, out.as.list, v, begin, keep_ends ? end : at);
        begin = at = end;
    }
    if (begin < s->n) {
        add_part(x, out.as.list, v, begin, s->n);
    }
    return out;
}

zoo_jv zoo_jstr_join(zoo_jinja *x, zoo_jv separator, zoo_jv items)
{
    zoo_jbuf buf = {0};
    zoo_jiter it = zoo_jiter_begin(x, items);
    zoo_jv item;
    for (size_t i = 0; zoo_jiter_next(x, &it, &item); i++) {
        if (i) {
            zoo_jbuf_str(x, &buf, separator);
        }
        if (separator.safe) {
            item = zoo_jv_escape(x, item);
        }
        zoo_jbuf_str(x, &buf, item);
    }
    zoo_jv out = zoo_jv_buf(x, &buf);
    out.safe = separator.safe;
    return out;
}

/* The digits of s without sign, prefix, _ and leading zeros into out; false when it is no integer.
 * base 0: as the prefix says. */
static bool clean_digits(const char *s, size_t n, int *base, char *out)
{
    size_t m = 0;
    if (n > 2 && s[0] == '0' && strchr("xXoObB", s[1])) {
        int prefix = (s[1] | 32) == 'x' ? 16 : (s[1] | 32) == 'o' ? 8 : 2;
        if (*base == 0 || *base == prefix) {
            *base = prefix;
            s += 2;
            n -= 2;
        }
    }
    *base = *base ? *base : 10;
    for (size_t i = 0; i < n; i++) {
        int d = s[i] >= '0' && s[i] <= '9'                 ? s[i] - '0'
                : (s[i] | 32) >= 'a' && (s[i] | 32) <= 'z' ? (s[i] | 32) - 'a' + 10
                                                           : 99;
        if (s[i] == '_' && i > 0 && i + 1 < n && s[i - 1] != '_') {
            continue;
        }
        if (d >= *base) {
            return false;
        }
        if (m || d) {
            out[m++] = s[i];
        }
    }
    out[m] = 0;
    return n > 0;
}

zoo_jv zoo_jstr_digits(zoo_jinja *x, const char *s, size_t n)
{
    zoo_jbuf buf = {0};
    size_t step = 0;
    if (zoo_utf8_count(s, n) == n) {
        return zoo_jv_view(x, s, n);
    }
    for (size_t at = 0; at < n; at += step) {
        int digit = zoo_char_digit(zoo_utf8_at(s + at, &step));
        char c = (char)('0' + digit);
        zoo_jbuf_add(x, &buf, digit < 0 ? s + at : &c, digit < 0 ? step : 1);
    }
    return zoo_jv_buf(x, &buf);
}

bool zoo_jv_parse_int(zoo_jinja *x, const char *s, size_t n, int base, zoo_jv *out)
{
    zoo_jv ascii = zoo_jstr_digits(x, s, n);
    s = ascii.as.str->s;
    n = ascii.as.str->n;
    zoo_jstr str = {.n = n, .n_chars = n, .s = s};
    size_t at = skip_spaces(&str, 0, true), end = skip_spaces_back(&str, n, true);
    if (at >= end) {
        return false;
    }
    char sign = s[at] == '-' || s[at] == '+' ? s[at++] : 0;
    char *text = zoo_jinja_take(x, end - at + 2);
    text[0] = sign == '-' ? '-' : '+';
    if (!clean_digits(s + at, end - at, &base, text + 1)) {
        return false;
    }
    errno = 0;
    int64_t i = strtoll(text[1] ? text : "0", NULL, base);
    if (errno != ERANGE) {
        *out = ZOO_JV_INT(i);
        return true;
    }
    if (base != 10) {
        zoo_jinja_raise(x, ZOO_E_UNSUPPORTED, "an integer beyond 64 bits in base %d", base);
    }
    *out = zoo_jv_text(x, sign == '-' ? text : text + 1);
    out->kind = JV_BIG;
    return true;
}
