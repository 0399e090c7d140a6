/* json_writer.c: the growing buffer of json_writer.h. */
#include "base/json_writer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void zoo_out_free(zoo_out *out)
{
    zoo_mem_free(out->data);
    memset(out, 0, sizeof *out);
}

static bool reserve(zoo_out *out, size_t n)
{
    size_t capacity = out->capacity ? out->capacity : 256;
    char *data;
    if (out->failed || n > SIZE_MAX / 2 - out->n) {
        out->failed = true;
        return false;
    }
    while (capacity < out->n + n) {
        capacity *= 2;
    }
    if (capacity != out->capacity) {
        data = zoo_mem_realloc(out->data, capacity);
        if (!data) {
            out->failed = true;
            return false;
        }
        out->data = data;
        out->capacity = capacity;
    }
    return true;
}

void zoo_out_bytes(zoo_out *out, const char *bytes, size_t n)
{
    if (n > 0 && reserve(out, n)) {
        memcpy(out->data + out->n, bytes, n);
        out->n += n;
    }
}

void zoo_out_text(zoo_out *out, const char *text)
{
    zoo_out_bytes(out, text, strlen(text));
}

void zoo_out_number(zoo_out *out, uint64_t x)
{
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + x % 10);
        x /= 10;
    } while (x > 0);
    zoo_out_bytes(out, text + at, sizeof text - at);
}

void zoo_out_format(zoo_out *out, const char *format, ...)
{
    char text[512];
    va_list args;
    int n;
    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text) {
        out->failed = true;
        return;
    }
    zoo_out_bytes(out, text, (size_t)n);
}

size_t zoo_utf8_length(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t length = s[0] < 0x80   ? 1
                    : s[0] < 0xc2 ? 0
                    : s[0] < 0xe0 ? 2
                    : s[0] < 0xf0 ? 3
                    : s[0] < 0xf5 ? 4
                                  : 0;
    if (length > n) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) {
        return 0;
    }
    return length;
}

size_t zoo_utf8_characters(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; count++) {
        size_t length = zoo_utf8_length(text + i, n - i);
        i += length ? length : 1;
    }
    return count;
}

static void put_escaped(zoo_out *out, unsigned char c)
{
    static const char names[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    for (size_t i = 0; i + 1 < sizeof names; i += 2) {
        if ((unsigned char)names[i] == c) {
            char pair[2] = {'\\', names[i + 1]};
            zoo_out_bytes(out, pair, 2);
            return;
        }
    }
    zoo_out_format(out, "\\u%04x", c);
}

void zoo_out_string(zoo_out *out, const char *text, size_t n)
{
    size_t begin = 0;
    if (!text) {
        zoo_out_text(out, "null");
        return;
    }
    zoo_out_bytes(out, "\"", 1);
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)text[i];
        size_t length = zoo_utf8_length(text + i, n - i);
        if (length > 0 && c >= 0x20 && c != '"' && c != '\\') {
            i += length;
            continue;
        }
        zoo_out_bytes(out, text + begin, i - begin);
        if (length == 0) {
            zoo_out_text(out, "\xef\xbf\xbd");
        } else {
            put_escaped(out, c);
        }
        begin = ++i;
    }
    zoo_out_bytes(out, text + begin, n - begin);
    zoo_out_bytes(out, "\"", 1);
}

void zoo_out_float(zoo_out *out, float x)
{
    char text[32];
    float y = isnan(x) ? -9999.0f : x < -9999.0f ? -9999.0f : x > 9999.0f ? 9999.0f : x;
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)y);
        if (strtof(text, NULL) == y) {
            break;
        }
    }
    zoo_out_text(out, text);
}
