/*
 * json_fields.c: see json_fields.h.
 */
#include "text/tokenizer/json_fields.h"

#include <stdlib.h>

zoo_status tok_json_fail(const tok_json *j, const char *fmt, ...)
{
    char why[300];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return zoo_fail(j->err, ZOO_E_FORMAT, "%.180s: %s", j->name, why);
}

/* The next \u0000 escape at or after i, or n; escaped backslashes are stepped over. */
static size_t next_zero(const char *data, size_t n, size_t i)
{
    while (i < n) {
        const char *hit = memchr(data + i, '\\', n - i);
        if (!hit) {
            return n;
        }
        i = (size_t)(hit - data);
        if (n - i >= 6 && memcmp(hit, "\\u0000", 6) == 0) {
            return i;
        }
        i += 2;
    }
    return n;
}

/* Whether the noncharacter occurs, written out or escaped in any case of letters. */
static bool occurs(const char *data, size_t n, uint32_t cp)
{
    char raw[4], escaped[8];
    (void)tok_utf8_put(raw, cp);
    (void)snprintf(escaped, sizeof escaped, "%04x", cp);
    for (size_t i = 0; i + 3 <= n; i++) {
        if (memcmp(data + i, raw, 3) == 0) {
            return true;
        }
        if (data[i] == '\\' && i + 6 <= n && data[i + 1] == 'u') {
            size_t k = 0;
            while (k < 4 && (data[i + 2 + k] | 32) == (escaped[k] | 32)) {
                k++;
            }
            if (k == 4) {
                return true;
            }
        }
    }
    return false;
}

static zoo_status replace_zeros(tok_json *j, char *data, size_t n)
{
    size_t i = next_zero(data, n, 0);
    uint32_t cp = 0xfdd0;
    char text[8];
    if (i >= n) {
        return ZOO_OK;
    }
    while (cp < 0xfdf0 && occurs(data, n, cp)) {
        cp++;
    }
    if (cp == 0xfdf0) {
        return tok_json_fail(j, "U+0000 and every noncharacter occur together");
    }
    (void)snprintf(text, sizeof text, "%04x", cp);
    for (; i < n; i = next_zero(data, n, i)) {
        memcpy(data + i + 2, text, 4);
    }
    j->zero = cp;
    return ZOO_OK;
}

zoo_status tok_json_open(tok_json *j, char *data, size_t n)
{
    size_t bad;
    bool partial;
    const char *end = NULL;
    size_t good = tok_utf8_valid(data, n, &bad, &partial);
    j->root = NULL;
    j->zero = 0;
    if (bad || memchr(data, 0, n)) {
        return tok_json_fail(j, bad ? "is not UTF-8 at byte %zu" : "holds a zero byte", good);
    }
    ZOO_TRY(replace_zeros(j, data, n));
    j->root = cJSON_ParseWithLengthOpts(data, n, &end, 0);
    if (!j->root) {
        return tok_json_fail(j, "is not JSON at byte %zu", end ? (size_t)(end - data) : 0);
    }
    while (end < data + n && strchr(" \t\r\n", *end)) {
        end++;
    }
    if (end != data + n || !cJSON_IsObject(j->root)) {
        return tok_json_fail(j, "is not one JSON object");
    }
    return ZOO_OK;
}

void tok_json_close(tok_json *j)
{
    cJSON_Delete(j->root);
    j->root = NULL;
}

const cJSON *tok_json_get(const cJSON *object, const char *key)
{
    const cJSON *found = NULL;
    for (const cJSON *item = object ? object->child : NULL; item; item = item->next) {
        if (item->string && strcmp(item->string, key) == 0) {
            found = item;
        }
    }
    return found && !cJSON_IsNull(found) ? found : NULL;
}

/* Puts U+0000 back; the text only gets shorter. */
static size_t restore(const tok_json *j, char *p, size_t n)
{
    char raw[4];
    size_t k = 0;
    (void)tok_utf8_put(raw, j->zero);
    for (size_t i = 0; i < n;) {
        if (n - i >= 3 && memcmp(p + i, raw, 3) == 0) {
            p[k++] = 0;
            i += 3;
        } else {
            p[k++] = p[i++];
        }
    }
    p[k] = 0;
    return k;
}

zoo_status tok_json_text(tok_json *j, const cJSON *item, const char *what, tok_str *out)
{
    const char *text = cJSON_IsString(item) ? item->valuestring : NULL;
    if (!text) {
        return tok_json_fail(j, "%s is not a string", what);
    }
    size_t n = strlen(text);
    char *copy = tok_pool_take(&j->t->pool, n + 1);
    if (!copy) {
        return tok_no_memory(j->err);
    }
    memcpy(copy, text, n);
    *out = (tok_str){copy, j->zero ? restore(j, copy, n) : n};
    return ZOO_OK;
}

zoo_status tok_json_text_at(tok_json *j, const cJSON *object, const char *key, tok_str *out)
{
    const cJSON *item = tok_json_get(object, key);
    *out = (tok_str){NULL, 0};
    return item ? tok_json_text(j, item, key, out) : ZOO_OK;
}

zoo_status tok_json_flag_at(tok_json *j, const cJSON *object, const char *key, bool missing,
                            bool *out)
{
    const cJSON *item = tok_json_get(object, key);
    *out = item ? cJSON_IsTrue(item) : missing;
    if (item && !cJSON_IsBool(item)) {
        return tok_json_fail(j, "%s is neither true nor false", key);
    }
    return ZOO_OK;
}

zoo_status tok_json_number(tok_json *j, const cJSON *item, const char *what, uint32_t max,
                           uint32_t *out)
{
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(value >= 0 && value <= max)) {
        return tok_json_fail(j, "%.100s is not a number from 0 to %u", what, max);
    }
    *out = (uint32_t)value;
    if ((double)*out != value) {
        return tok_json_fail(j, "%.100s is not a whole number", what);
    }
    return ZOO_OK;
}

zoo_status tok_json_number_at(tok_json *j, const cJSON *object, const char *key, uint32_t missing,
                              uint32_t *out)
{
    const cJSON *item = tok_json_get(object, key);
    *out = missing;
    return item ? tok_json_number(j, item, key, UINT32_MAX - 1, out) : ZOO_OK;
}

const char *tok_json_type(const cJSON *object)
{
    const cJSON *type = tok_json_get(object, "type");
    return cJSON_IsString(type) ? type->valuestring : "";
}

static int base64_value(char c)
{
    const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *hit = c ? strchr(digits, c) : NULL;
    return hit ? (int)(hit - digits) : -1;
}

size_t tok_base64(char *p, size_t n)
{
    size_t k = 0;
    uint32_t bits = 0, n_bits = 0;
    while (n && p[n - 1] == '=') {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        int value = base64_value(p[i]);
        if (value < 0) {
            return SIZE_MAX;
        }
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            p[k++] = (char)(bits >> n_bits & 0xff);
        }
    }
    return k;
}
