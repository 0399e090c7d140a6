/*
 * text.c: pieces of text, growable bytes, and the extents of JSON values inside text.
 *
 * Arguments of a call are handed on as the model wrote them, digits and spaces included; so a value
 * is cut out of the text, not parsed and printed again. The scan is a strict one of RFC 8259 with
 * nesting up to 100.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/output/output_private.h"

#define JSON_DEPTH_MAX 100

void zoo_bytes_add(zoo_bytes *b, const char *s, size_t n)
{
    if (b->failed || n > SIZE_MAX / 4 - b->n) {
        b->failed = true;
        return;
    }
    if (b->n + n > b->capacity || !b->s) {
        size_t capacity = (b->n + n) * 2 + 64;
        char *grown = zoo_mem_realloc(b->s, capacity);
        if (!grown) {
            b->failed = true;
            return;
        }
        b->s = grown;
        b->capacity = capacity;
    }
    if (n) {
        memcpy(b->s + b->n, s, n);
        b->n += n;
    }
}

void zoo_bytes_piece(zoo_bytes *b, zoo_piece p)
{
    zoo_bytes_add(b, p.s, p.n);
}

void zoo_bytes_free(zoo_bytes *b)
{
    zoo_mem_free(b->s);
    *b = (zoo_bytes){0};
}

void zoo_bytes_quote(zoo_bytes *b, zoo_piece p)
{
    char code[16];
    zoo_bytes_add(b, "\"", 1);
    for (size_t i = 0; i < p.n; i++) {
        unsigned char c = (unsigned char)p.s[i];
        if (c == '"' || c == '\\') {
            zoo_bytes_add(b, "\\", 1);
        }
        if (c == '\n') {
            zoo_bytes_add(b, "\\n", 2);
        } else if (c < 0x20) {
            (void)snprintf(code, sizeof code, "\\u%04x", c);
            zoo_bytes_add(b, code, 6);
        } else {
            zoo_bytes_add(b, p.s + i, 1);
        }
    }
    zoo_bytes_add(b, "\"", 1);
}

bool zoo_piece_starts(zoo_piece p, zoo_piece with)
{
    return p.n >= with.n && memcmp(p.s, with.s, with.n) == 0;
}

bool zoo_piece_is(zoo_piece p, const char *text)
{
    return p.n == strlen(text) && memcmp(p.s, text, p.n) == 0;
}

size_t zoo_piece_find(zoo_piece p, zoo_piece mark, size_t from)
{
    while (mark.n && from <= p.n && p.n - from >= mark.n) {
        const char *hit = memchr(p.s + from, mark.s[0], p.n - from - mark.n + 1);
        if (!hit) {
            break;
        }
        from = (size_t)(hit - p.s);
        if (memcmp(hit, mark.s, mark.n) == 0) {
            return from;
        }
        from++;
    }
    return SIZE_MAX;
}

zoo_piece zoo_piece_sub(zoo_piece p, size_t begin, size_t end)
{
    return (zoo_piece){p.s + begin, end - begin};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

zoo_piece zoo_piece_trim(zoo_piece p)
{
    while (p.n && is_space(p.s[0])) {
        p.s++;
        p.n--;
    }
    while (p.n && is_space(p.s[p.n - 1])) {
        p.n--;
    }
    return p;
}

/* The scans below take an offset and give the one after what they read, or SIZE_MAX. */

static size_t skip_spaces(zoo_piece p, size_t at)
{
    while (at < p.n && is_space(p.s[at])) {
        at++;
    }
    return at;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static size_t scan_string(zoo_piece p, size_t at)
{
    for (at++; at < p.n; at++) {
        if (p.s[at] == '"') {
            return at + 1;
        }
        if ((unsigned char)p.s[at] < 0x20) {
            return SIZE_MAX;
        }
        if (p.s[at] != '\\') {
            continue;
        }
        at++;
        if (at >= p.n || !p.s[at] || !strchr("\"\\/bfnrtu", p.s[at])) {
            return SIZE_MAX;
        }
        for (int i = 0; p.s[at] == 'u' && i < 4; i++) {
            if (at + 1 + (size_t)i >= p.n || !is_hex(p.s[at + 1 + (size_t)i])) {
                return SIZE_MAX;
            }
        }
    }
    return SIZE_MAX;
}

static size_t scan_digits(zoo_piece p, size_t at)
{
    size_t begin = at;
    while (at < p.n && p.s[at] >= '0' && p.s[at] <= '9') {
        at++;
    }
    return at > begin ? at : SIZE_MAX;
}

static size_t scan_number(zoo_piece p, size_t at)
{
    at += at < p.n && p.s[at] == '-';
    bool zero = at < p.n && p.s[at] == '0';
    at = zero ? at + 1 : scan_digits(p, at);
    if (at != SIZE_MAX && at < p.n && p.s[at] == '.') {
        at = scan_digits(p, at + 1);
    }
    if (at != SIZE_MAX && at < p.n && (p.s[at] | 32) == 'e') {
        at++;
        at += at < p.n && (p.s[at] == '+' || p.s[at] == '-');
        at = scan_digits(p, at);
    }
    return at;
}

static size_t scan_value(zoo_piece p, size_t at, int depth);

/* An array or object; key and value say what to look for on this level, or are null. */
static size_t scan_items(zoo_piece p, size_t at, int depth, const zoo_piece *key, zoo_piece *value)
{
    char close = p.s[at] == '{' ? '}' : ']';
    at = skip_spaces(p, at + 1);
    if (at < p.n && p.s[at] == close) {
        return at + 1;
    }
    for (;;) {
        bool wanted = false;
        if (close == '}') {
            size_t begin = skip_spaces(p, at);
            at = begin < p.n && p.s[begin] == '"' ? scan_string(p, begin) : SIZE_MAX;
            if (at == SIZE_MAX) {
                return SIZE_MAX;
            }
            wanted =
                key && at - begin - 2 == key->n && memcmp(p.s + begin + 1, key->s, key->n) == 0;
            at = skip_spaces(p, at);
            if (at >= p.n || p.s[at] != ':') {
                return SIZE_MAX;
            }
            at++;
        }
        size_t begin = skip_spaces(p, at);
        at = scan_value(p, begin, depth + 1);
        if (at == SIZE_MAX) {
            return SIZE_MAX;
        }
        if (wanted) {
            *value = zoo_piece_sub(p, begin, at);
        }
        at = skip_spaces(p, at);
        if (at >= p.n || (p.s[at] != ',' && p.s[at] != close)) {
            return SIZE_MAX;
        }
        if (p.s[at++] == close) {
            return at;
        }
    }
}

static size_t scan_value(zoo_piece p, size_t at, int depth)
{
    static const zoo_piece words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    if (at >= p.n || depth > JSON_DEPTH_MAX) {
        return SIZE_MAX;
    }
    if (p.s[at] == '"') {
        return scan_string(p, at);
    }
    if (p.s[at] == '{' || p.s[at] == '[') {
        return scan_items(p, at, depth, NULL, NULL);
    }
    for (size_t i = 0; i < ZOO_COUNT(words); i++) {
        if (zoo_piece_starts(zoo_piece_sub(p, at, p.n), words[i])) {
            return at + words[i].n;
        }
    }
    return scan_number(p, at);
}

size_t zoo_json_extent(zoo_piece p)
{
    size_t end = scan_value(p, skip_spaces(p, 0), 0);
    return end == SIZE_MAX ? 0 : end;
}

bool zoo_json_member(zoo_piece object, zoo_piece key, zoo_piece *value)
{
    object = zoo_piece_trim(object);
    value->s = NULL;
    if (!object.n || object.s[0] != '{') {
        return false;
    }
    return scan_items(object, 0, 0, &key, value) != SIZE_MAX && value->s;
}
