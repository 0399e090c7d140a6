/*
 * json.c: a strict validator in front of cJSON.
 *
 *   text -> copy -> validate (one pass, a stack of at most 100 brackets) -> cJSON
 *        -> numbers of Python -> tree
 *
 * The pass also rewrites, in place, what cJSON cannot read: numbers over 63 characters become 17
 * digits, bare infinities become 1e999, NaN becomes a string of one byte 0xff, which no valid text
 * can hold. Memory: one copy of the text while parsing. Sources: RFC 8259, RFC 3629; proven with
 * JSONTestSuite.
 */
#include "base/json.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define JSON_NUMBER_MAX 63 /* of cJSON's buffer */
#define JSON_NAN_MARK   "\xff"

typedef struct json_scan {
    char *text;
    size_t n;
    size_t at;
    bool python;
    uint32_t depth;
    char open[ZOO_JSON_DEPTH_MAX]; /* '{' or '[' */
    const char *what;              /* what is wrong, when a step failed */
} json_scan;

static bool scan_fail(json_scan *s, const char *what)
{
    s->what = what;
    return false;
}

/* The byte at the cursor, -1 at the end. */
static int scan_peek(const json_scan *s)
{
    return s->at < s->n ? (unsigned char)s->text[s->at] : -1;
}

static void scan_space(json_scan *s)
{
    while (s->at < s->n && memchr(" \t\r\n", s->text[s->at], 4)) {
        s->at++;
    }
}

/* Length of the well-formed UTF-8 sequence at text, 0 if there is none
 * (RFC 3629: no overlong, no surrogates). */
static size_t utf8_length(const unsigned char *text, size_t n)
{
    unsigned char c = text[0];
    size_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (length == 0 || length > n) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool narrow = (c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) ||
                  (c == 0xf0 && text[1] < 0x90) || (c == 0xf4 && text[1] > 0x8f);
    return narrow ? 0 : length;
}

/* Four hexadecimal digits at the cursor, -1 if they are not there. */
static int scan_hex4(json_scan *s)
{
    int value = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        int c = scan_peek(s);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* The cursor is after "\u". */
static bool scan_unicode(json_scan *s)
{
    int high = scan_hex4(s);
    if (high < 0) {
        return scan_fail(s, "an escape \\u without four hexadecimal digits");
    }
    if (high == 0) {
        return scan_fail(s, "the escape \\u0000, which this program does not accept");
    }
    if (high < 0xd800 || high > 0xdfff) {
        return true;
    }
    if (high < 0xdc00 && s->n - s->at >= 6 && s->text[s->at] == '\\' && s->text[s->at + 1] == 'u') {
        s->at += 2;
        int low = scan_hex4(s);
        if (low >= 0xdc00 && low <= 0xdfff) {
            return true;
        }
    }
    return scan_fail(s, "half a surrogate pair");
}

static bool scan_escape(json_scan *s)
{
    s->at++;
    int c = scan_peek(s);
    if (c == 'u') {
        s->at++;
        return scan_unicode(s);
    }
    if (c <= 0 || !strchr("\"\\/bfnrt", c)) {
        return scan_fail(s, "an unknown escape in a string");
    }
    s->at++;
    return true;
}

static bool scan_string(json_scan *s)
{
    for (s->at++; s->at < s->n;) {
        int c = scan_peek(s);
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20) {
            return scan_fail(s, "a control character in a string");
        }
        if (c == '\\') {
            if (!scan_escape(s)) {
                return false;
            }
            continue;
        }
        size_t length = utf8_length((const unsigned char *)s->text + s->at, s->n - s->at);
        if (length == 0) {
            return scan_fail(s, "bytes that are not UTF-8");
        }
        s->at += length;
    }
    return scan_fail(s, "a string without its closing quote");
}

static size_t scan_digits(json_scan *s)
{
    size_t begin = s->at;
    while (s->at < s->n && s->text[s->at] >= '0' && s->text[s->at] <= '9') {
        s->at++;
    }
    return s->at - begin;
}

/* cJSON cuts a number at 63 characters, so a longer one is written again with the 17 digits
 * that a double holds. */
static bool number_shorten(json_scan *s, size_t begin)
{
    char *text = s->text + begin;
    size_t n = s->at - begin;
    char behind = s->text[s->at]; /* the copy ends with a null, so this byte exists */
    char digits[32];
    s->text[s->at] = '\0';
    double value = strtod(text, NULL);
    s->text[s->at] = behind;
    if (isinf(value)) {
        (void)snprintf(digits, sizeof digits, "%s", value < 0 ? "-1e999" : "1e999");
    } else {
        (void)snprintf(digits, sizeof digits, "%.17g", value);
    }
    memset(text, ' ', n);
    memcpy(text, digits, strlen(digits));
    return true;
}

static bool scan_number(json_scan *s)
{
    size_t begin = s->at;
    s->at += scan_peek(s) == '-';
    if (scan_peek(s) == '0') {
        s->at++;
    } else if (scan_digits(s) == 0) {
        return scan_fail(s, "a number without digits");
    }
    if (scan_peek(s) == '.') {
        s->at++;
        if (scan_digits(s) == 0) {
            return scan_fail(s, "a decimal point without digits after it");
        }
    }
    if (scan_peek(s) == 'e' || scan_peek(s) == 'E') {
        s->at++;
        s->at += scan_peek(s) == '+' || scan_peek(s) == '-';
        if (scan_digits(s) == 0) {
            return scan_fail(s, "an exponent without digits");
        }
    }
    return s->at - begin > JSON_NUMBER_MAX ? number_shorten(s, begin) : true;
}

/* True and past it when word stands at the cursor. */
static bool scan_word(json_scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->n - s->at < n || memcmp(s->text + s->at, word, n) != 0) {
        return false;
    }
    s->at += n;
    return true;
}

/* A bare number of Python's json module, rewritten into what cJSON reads, in as many bytes. */
static bool scan_python(json_scan *s)
{
    char *begin = s->text + s->at;
    if (scan_word(s, "Infinity")) {
        memcpy(begin, "1e999   ", 8);
    } else if (scan_word(s, "-Infinity")) {
        memcpy(begin, "-1e999   ", 9);
    } else if (scan_word(s, "NaN")) {
        memcpy(begin, "\"" JSON_NAN_MARK "\"", 3);
    } else {
        return false;
    }
    return true;
}

/* One value that is no array and no object. */
static bool scan_scalar(json_scan *s)
{
    int c = scan_peek(s);
    if (c == '"') {
        return scan_string(s);
    }
    if (s->python && scan_python(s)) {
        return true;
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return scan_number(s);
    }
    if (scan_word(s, "true") || scan_word(s, "false") || scan_word(s, "null")) {
        return true;
    }
    return scan_fail(s, c < 0 ? "the end of the text where a value should be" : "no JSON value");
}

/* A key and its colon. */
static bool scan_key(json_scan *s)
{
    scan_space(s);
    if (scan_peek(s) != '"') {
        return scan_fail(s, "no quoted key where one should be");
    }
    if (!scan_string(s)) {
        return false;
    }
    scan_space(s);
    if (scan_peek(s) != ':') {
        return scan_fail(s, "no colon after a key");
    }
    s->at++;
    return true;
}

/* Opens a bracket; *done: it was empty and is closed already. */
static bool scan_open(json_scan *s, bool *done)
{
    char bracket = s->text[s->at];
    if (s->depth == ZOO_JSON_DEPTH_MAX) {
        return scan_fail(s, "nesting deeper than 100");
    }
    s->at++;
    scan_space(s);
    *done = scan_peek(s) == (bracket == '{' ? '}' : ']');
    if (*done) {
        s->at++;
        return true;
    }
    s->open[s->depth++] = bracket;
    return bracket == '{' ? scan_key(s) : true;
}

/* After a value: closes brackets until a comma announces another value or the whole text's value is
 * complete. */
static bool scan_behind(json_scan *s)
{
    while (s->depth > 0) {
        char bracket = s->open[s->depth - 1];
        scan_space(s);
        int c = scan_peek(s);
        if (c == ',') {
            s->at++;
            return bracket == '{' ? scan_key(s) : true;
        }
        if (c != (bracket == '{' ? '}' : ']')) {
            return scan_fail(s, bracket == '{' ? "neither comma nor } after a member"
                                               : "neither comma nor ] after an element");
        }
        s->at++;
        s->depth--;
    }
    return true;
}

static bool scan_text(json_scan *s)
{
    if (s->n >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0) {
        return scan_fail(s, "a byte order mark");
    }
    do {
        bool done = true;
        scan_space(s);
        int c = scan_peek(s);
        if (c == '{' || c == '[') {
            if (!scan_open(s, &done)) {
                return false;
            }
        } else if (!scan_scalar(s)) {
            return false;
        }
        if (done && !scan_behind(s)) {
            return false;
        }
    } while (s->depth > 0);
    scan_space(s);
    return s->at == s->n ? true : scan_fail(s, "more text after the value");
}

static zoo_status scan_error(const json_scan *s, const char *name, zoo_error *err)
{
    size_t line = 1, begin = 0, end = s->at < s->n ? s->at : s->n;
    for (size_t i = 0; i < end; i++) {
        if (s->text[i] == '\n') {
            line++;
            begin = i + 1;
        }
    }
    return zoo_fail(err, ZOO_E_FORMAT, "%s, line %zu, column %zu: %s", name, line, end - begin + 1,
                    s->what);
}

/* The number that a string names, as Python spells it. */
static bool python_number(const char *text, double *value)
{
    bool minus = text[0] == '-';
    if (strcmp(text + minus, "Infinity") == 0) {
        *value = minus ? -(double)INFINITY : (double)INFINITY;
    } else if (strcmp(text, "NaN") == 0) {
        *value = (double)NAN;
    } else {
        return false;
    }
    return true;
}

static void item_to_number(cJSON *item, double value)
{
    cJSON_Delete(item->child);
    cJSON_free(item->valuestring);
    item->child = NULL;
    item->valuestring = NULL;
    item->type = (item->type & ~0xff) | cJSON_Number;
    item->valuedouble = value;
    item->valueint = isnan(value) ? 0 : value < 0 ? INT32_MIN : INT32_MAX;
}

/* Depth is bounded by the validator. */
static void tree_to_numbers(cJSON *item)
{
    double value;
    cJSON *child = item->child;
    if (cJSON_IsString(item) && strcmp(item->valuestring, JSON_NAN_MARK) == 0) {
        item_to_number(item, (double)NAN);
    } else if (cJSON_IsObject(item) && child && !child->next && cJSON_IsString(child) &&
               strcmp(child->string, "__float__") == 0 &&
               python_number(child->valuestring, &value)) {
        item_to_number(item, value);
    } else {
        for (; child; child = child->next) {
            tree_to_numbers(child);
        }
    }
}

typedef struct json_member {
    cJSON *item;
    size_t at;
} json_member;

static int by_key_and_place(const void *a, const void *b)
{
    const json_member *x = a, *y = b;
    int order = strcmp(x->item->string, y->item->string);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* Of members with one key the last stays, as in Python. False: no memory. */
static bool members_keep_last(cJSON *object)
{
    size_t n = (size_t)cJSON_GetArraySize(object), i = 0;
    json_member *members = zoo_mem_array(n + 1, sizeof *members);
    if (!members) {
        return false;
    }
    for (cJSON *child = object->child; child; child = child->next, i++) {
        members[i] = (json_member){child, i};
    }
    qsort(members, n, sizeof *members, by_key_and_place);
    for (i = 0; i + 1 < n; i++) {
        if (strcmp(members[i].item->string, members[i + 1].item->string) == 0) {
            cJSON_Delete(cJSON_DetachItemViaPointer(object, members[i].item));
        }
    }
    zoo_mem_free(members);
    return true;
}

/* Depth is bounded by the validator. */
static bool tree_keep_last(cJSON *item)
{
    bool good = !cJSON_IsObject(item) || !item->child || members_keep_last(item);
    for (cJSON *child = item->child; good && child; child = child->next) {
        good = tree_keep_last(child);
    }
    return good;
}

static void json_hooks_set(void)
{
    cJSON_Hooks hooks = {zoo_mem_alloc, zoo_mem_free};
    cJSON_InitHooks(&hooks);
}

/* text: n bytes and a null, the caller's own; changed. */
static zoo_status parse_in_place(char *text, size_t n, const char *name, bool python, cJSON **out,
                                 zoo_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    json_scan s = {.text = text, .n = n, .python = python};
    *out = NULL;
    if (!scan_text(&s)) {
        return scan_error(&s, name, err);
    }
    (void)pthread_once(&once, json_hooks_set);
    *out = cJSON_ParseWithLength(text, n);
    if (!*out) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for the JSON tree of %zu bytes", name, n);
    }
    if (python && !tree_keep_last(*out)) {
        cJSON_Delete(*out);
        *out = NULL;
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for the keys of an object", name);
    }
    if (python) {
        tree_to_numbers(*out);
    }
    return ZOO_OK;
}

static zoo_status parse_copy(const char *text, size_t n, const char *name, bool python, cJSON **out,
                             zoo_error *err)
{
    *out = NULL;
    char *copy = zoo_mem_text(text, n);
    if (!copy) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: no memory for %zu bytes of JSON", name, n);
    }
    zoo_status status = parse_in_place(copy, n, name, python, out, err);
    zoo_mem_free(copy);
    return status;
}

zoo_status zoo_json_parse(const char *text, size_t n, const char *name, cJSON **out, zoo_error *err)
{
    return parse_copy(text, n, name, false, out, err);
}

zoo_status zoo_json_parse_python(const char *text, size_t n, const char *name, cJSON **out,
                                 zoo_error *err)
{
    return parse_copy(text, n, name, true, out, err);
}

static zoo_status read_and_parse(const char *path, size_t bytes_max, bool python, cJSON **out,
                                 zoo_error *err)
{
    char *data;
    size_t n;
    *out = NULL;
    ZOO_TRY(zoo_file_read(path, bytes_max, &data, &n, err));
    zoo_status status = parse_in_place(data, n, path, python, out, err);
    zoo_mem_free(data);
    return status;
}

zoo_status zoo_json_read(const char *path, size_t bytes_max, cJSON **out, zoo_error *err)
{
    return read_and_parse(path, bytes_max, false, out, err);
}

zoo_status zoo_json_read_python(const char *path, size_t bytes_max, cJSON **out, zoo_error *err)
{
    return read_and_parse(path, bytes_max, true, out, err);
}
