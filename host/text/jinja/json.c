/*
 * json.c: JSON text into template values.
 *
 * cJSON keeps numbers as doubles and ends strings at U+0000; what a template prints must be what
 * was sent (1 is not 1.0, and 2^64 keeps its digits), so variables are read here from the text
 * itself. As Python's json.loads: NaN, Infinity and -Infinity are numbers, the last of equal keys
 * wins, no raw control characters in strings. Refused beyond that: invalid UTF-8, lone surrogates,
 * nesting over the depth limit.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja/jinja_private.h"

typedef struct reader {
    zoo_jinja *x;
    const char *at, *end, *begin;
} reader;

static zoo_jv read_value(reader *r);

_Noreturn static void bad(reader *r, const char *what)
{
    zoo_jinja_raise(r->x, ZOO_E_FORMAT, "JSON, byte %zu: %s", (size_t)(r->at - r->begin), what);
}

static void skip_space(reader *r)
{
    while (r->at < r->end &&
           (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}

static bool skip_text(reader *r, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, text, n) != 0) {
        return false;
    }
    r->at += n;
    return true;
}

static uint32_t read_hex4(reader *r)
{
    uint32_t c = 0;
    if (r->end - r->at < 4) {
        bad(r, "a \\u escape is cut short");
    }
    for (int i = 0; i < 4; i++) {
        char d = *r->at++;
        uint32_t v = d >= '0' && d <= '9'   ? (uint32_t)(d - '0')
                     : d >= 'a' && d <= 'f' ? (uint32_t)(d - 'a' + 10)
                     : d >= 'A' && d <= 'F' ? (uint32_t)(d - 'A' + 10)
                                            : 16u;
        if (v > 15) {
            bad(r, "a \\u escape has a character that is no hexadecimal digit");
        }
        c = c << 4 | v;
    }
    return c;
}

static void read_escape(reader *r, zoo_jbuf *buf)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    char c = r->at < r->end ? *r->at : 0;
    const char *found = c ? strchr(from, c) : NULL;
    if (found) {
        r->at++;
        zoo_jbuf_add(r->x, buf, to + (found - from), 1);
        return;
    }
    if (c != 'u') {
        bad(r, "an unknown escape in a string");
    }
    r->at++;
    uint32_t u = read_hex4(r);
    if (u >= 0xD800 && u < 0xDC00 && skip_text(r, "\\u")) {
        uint32_t low = read_hex4(r);
        if (low < 0xDC00 || low > 0xDFFF) {
            bad(r, "a lone surrogate in a string");
        }
        u = 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
    } else if (u >= 0xD800 && u <= 0xDFFF) {
        bad(r, "a lone surrogate in a string");
    }
    zoo_jbuf_char(r->x, buf, u);
}

/* Bytes of the well-formed UTF-8 character at s, or 0. */
static size_t utf8_valid(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t want = u[0] < 0x80                   ? 1
                  : u[0] >= 0xC2 && u[0] < 0xE0 ? 2
                  : u[0] >= 0xE0 && u[0] < 0xF0 ? 3
                  : u[0] >= 0xF0 && u[0] < 0xF5 ? 4
                                                : 0;
    if (want == 0 || want > n) {
        return 0;
    }
    for (size_t i = 1; i < want; i++) {
        if ((u[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    if ((u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F) ||
        (u[0] == 0xF0 && u[1] < 0x90) || (u[0] == 0xF4 && u[1] > 0x8F)) {
        return 0;
    }
    return want;
}

bool zoo_utf8_is_valid(const char *s, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t step = utf8_valid(s + at, n - at);
        if (!step) {
            return false;
        }
        at += step;
    }
    return true;
}

static zoo_jv read_string(reader *r)
{
    r->at++;
    const char *begin = r->at;
    zoo_jbuf buf = {0};
    bool has_escape = false;
    for (;;) {
        if (r->at >= r->end) {
            bad(r, "a string is not closed");
        }
        unsigned char c = (unsigned char)*r->at;
        if (c == '"') {
            break;
        }
        if (c < 0x20) {
            bad(r, "a control character in a string");
        }
        if (c == '\\') {
            zoo_jbuf_add(r->x, &buf, begin, (size_t)(r->at - begin));
            r->at++;
            read_escape(r, &buf);
            begin = r->at;
            has_escape = true;
            continue;
        }
        size_t n = utf8_valid(r->at, (size_t)(r->end - r->at));
        if (!n) {
            bad(r, "invalid UTF-8 in a string");
        }
        r->at += n;
    }
    size_t n = (size_t)(r->at - begin);
    r->at++;
    if (!has_escape) {
        return zoo_jv_view(r->x, begin, n);
    }
    zoo_jbuf_add(r->x, &buf, begin, n);
    return zoo_jv_buf(r->x, &buf);
}

static bool skip_digits(reader *r)
{
    const char *begin = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    return r->at > begin;
}

static zoo_jv read_number(reader *r)
{
    const char *begin = r->at;
    bool is_float = false;
    (void)skip_text(r, "-");
    if (skip_text(r, "Infinity")) {
        return zoo_jv_float(*begin == '-' ? -(double)INFINITY : (double)INFINITY);
    }
    if (!skip_text(r, "0") && !skip_digits(r)) {
        bad(r, "no JSON value");
    }
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        is_float = true;
        if (!skip_digits(r)) {
            bad(r, "a number ends after its point");
        }
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        is_float = true;
        if (!skip_text(r, "+")) {
            (void)skip_text(r, "-");
        }
        if (!skip_digits(r)) {
            bad(r, "a number has no exponent");
        }
    }
    zoo_jv out;
    size_t n = (size_t)(r->at - begin);
    if (!is_float && zoo_jv_parse_int(r->x, begin, n, 10, &out)) {
        return out;
    }
    char *copy = zoo_jinja_take(r->x, n + 1);
    memcpy(copy, begin, n);
    copy[n] = 0;
    return zoo_jv_float(strtod(copy, NULL));
}

static zoo_jv read_array(reader *r)
{
    zoo_jv list = zoo_jv_list(r->x, JV_LIST, 0);
    r->at++;
    skip_space(r);
    if (skip_text(r, "]")) {
        return list;
    }
    for (;;) {
        zoo_jlist_add(r->x, list.as.list, read_value(r));
        skip_space(r);
        if (skip_text(r, "]")) {
            return list;
        }
        if (!skip_text(r, ",")) {
            bad(r, "a comma or ] is missing in an array");
        }
    }
}

static zoo_jv read_object(reader *r)
{
    zoo_jv dict = zoo_jv_dict(r->x);
    r->at++;
    skip_space(r);
    if (skip_text(r, "}")) {
        return dict;
    }
    for (;;) {
        skip_space(r);
        if (r->at >= r->end || *r->at != '"') {
            bad(r, "a name is missing in an object");
        }
        zoo_jv key = read_string(r);
        skip_space(r);
        if (!skip_text(r, ":")) {
            bad(r, "a colon is missing in an object");
        }
        zoo_jdict_set(r->x, dict.as.dict, key, read_value(r));
        skip_space(r);
        if (skip_text(r, "}")) {
            return dict;
        }
        if (!skip_text(r, ",")) {
            bad(r, "a comma or } is missing in an object");
        }
    }
}

static zoo_jv read_value(reader *r)
{
    skip_space(r);
    if (r->at >= r->end) {
        bad(r, "a value is missing");
    }
    zoo_jv out;
    zoo_jinja_enter(r->x);
    if (*r->at == '"') {
        out = read_string(r);
    } else if (*r->at == '{') {
        out = read_object(r);
    } else if (*r->at == '[') {
        out = read_array(r);
    } else if (skip_text(r, "true")) {
        out = ZOO_JV_BOOL(true);
    } else if (skip_text(r, "false")) {
        out = ZOO_JV_BOOL(false);
    } else if (skip_text(r, "null")) {
        out = ZOO_JV_NONE;
    } else if (skip_text(r, "NaN")) {
        out = zoo_jv_nan(r->x);
    } else {
        out = read_number(r);
    }
    zoo_jinja_leave(r->x);
    return out;
}

zoo_jv zoo_jv_from_json(zoo_jinja *x, const char *text, size_t n)
{
    reader r = {.x = x, .at = text, .end = text + n, .begin = text};
    zoo_jv out = read_value(&r);
    skip_space(&r);
    if (r.at < r.end) {
        bad(&r, "text after the value");
    }
    return out;
}

static zoo_jv cjson_number(zoo_jinja *x, double f)
{
    (void)x;
    if (f == floor(f) && fabs(f) < 9007199254740992.0) {
        return ZOO_JV_INT((int64_t)f);
    }
    return zoo_jv_float(f);
}

static zoo_jv cjson_text(zoo_jinja *x, const char *s)
{
    size_t n = s ? strlen(s) : 0;
    if (!zoo_utf8_is_valid(s ? s : "", n)) {
        zoo_jinja_raise(x, ZOO_E_FORMAT, "a variable holds a string that is not UTF-8");
    }
    return zoo_jv_str(x, s, n);
}

zoo_jv zoo_jv_from_cjson(zoo_jinja *x, const cJSON *item)
{
    zoo_jv out = ZOO_JV_NONE;
    zoo_jinja_enter(x);
    if (cJSON_IsString(item)) {
        out = cjson_text(x, item->valuestring);
    } else if (cJSON_IsRaw(item)) {
        zoo_jv text = cjson_text(x, item->valuestring);
        out = zoo_jv_from_json(x, text.as.str->s, text.as.str->n);
    } else if (cJSON_IsNumber(item)) {
        out = cjson_number(x, item->valuedouble);
    } else if (cJSON_IsBool(item)) {
        out = ZOO_JV_BOOL(cJSON_IsTrue(item));
    } else if (cJSON_IsArray(item)) {
        out = zoo_jv_list(x, JV_LIST, 0);
        for (const cJSON *c = item->child; c; c = c->next) {
            zoo_jlist_add(x, out.as.list, zoo_jv_from_cjson(x, c));
        }
    } else if (cJSON_IsObject(item)) {
        out = zoo_jv_dict(x);
        for (const cJSON *c = item->child; c; c = c->next) {
            zoo_jv key = cjson_text(x, c->string);
            zoo_jdict_set(x, out.as.dict, key, zoo_jv_from_cjson(x, c));
        }
    }
    zoo_jinja_leave(x);
    return out;
}
