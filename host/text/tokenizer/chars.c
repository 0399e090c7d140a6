/*
 * chars.c: UTF-8, the character classes that patterns speak of, and the alphabet of bytes.
 *
 * Classes are the general categories of utf8proc; Han is the script as the block ranges that hold
 * it. The byte alphabet: printable Latin-1 stands for itself, the other 68 bytes for U+0100 and up.
 */
#include "text/tokenizer/tokenizer_private.h"

#include <utf8proc.h>

#include "text/tokenizer/unicode.inc"

/* Script=Han of Unicode 16, first and last code point of each range. */
static const uint32_t han_ranges[][2] = {
    {0x2e80, 0x2e99},   {0x2e9b, 0x2ef3},   {0x2f00, 0x2fd5},   {0x3005, 0x3005},
    {0x3007, 0x3007},   {0x3021, 0x3029},   {0x3038, 0x303b},   {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},   {0xf900, 0xfa6d},   {0xfa70, 0xfad9},   {0x16fe2, 0x16fe3},
    {0x16ff0, 0x16ff1}, {0x20000, 0x2a6df}, {0x2a700, 0x2b739}, {0x2b740, 0x2b81d},
    {0x2b820, 0x2cea1}, {0x2ceb0, 0x2ebe0}, {0x2ebf0, 0x2ee5d}, {0x2f800, 0x2fa1d},
    {0x30000, 0x3134a}, {0x31350, 0x323af}};

bool tok_chars_init(tok_chars *chars, tok_pool *pool)
{
    uint8_t *kind = tok_pool_take(pool, 0x110000);
    if (!kind) {
        return false;
    }
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        int category = (int)utf8proc_category((utf8proc_int32_t)cp);
        kind[cp] = (uint8_t)(category & 31);
    }
    for (uint32_t cp = 9; cp <= 13; cp++) {
        kind[cp] = TOK_CSPACE;
    }
    kind[0x85] = TOK_CSPACE;
    for (size_t i = 0; i < ZOO_COUNT(new_rows); i++) {
        memset(kind + new_rows[i].first, (int)new_rows[i].category,
               new_rows[i].last - new_rows[i].first + 1);
    }
    for (size_t i = 0; i < ZOO_COUNT(han_ranges); i++) {
        for (uint32_t cp = han_ranges[i][0]; cp <= han_ranges[i][1]; cp++) {
            kind[cp] |= TOK_HAN;
        }
    }
    chars->kind = kind;
    return true;
}

const tok_range *tok_new_chars(size_t *n)
{
    *n = ZOO_COUNT(new_rows);
    return new_rows;
}

const uint32_t (*tok_han_ranges(size_t *n))[2]
{
    *n = ZOO_COUNT(han_ranges);
    return han_ranges;
}

bool tok_is_punct(const tok_chars *chars, uint32_t cp)
{
    if (cp < 128) {
        return (cp >= 33 && cp <= 47) || (cp >= 58 && cp <= 64) || (cp >= 91 && cp <= 96) ||
               (cp >= 123 && cp <= 126);
    }
    for (size_t i = 0; i < ZOO_COUNT(old_rows) && cp >= old_rows[i][0]; i++) {
        if (cp <= old_rows[i][1]) {
            return false;
        }
    }
    return (tok_mask(chars, cp) & TOK_PUNCT) || cp == 0x166d || cp == 0x111c9;
}

/* The number of bytes at p[n] that begin a character rightly (Unicode table 3-7);
 * *whole: it is all. */
static size_t sequence(const uint8_t *p, size_t n, bool *whole)
{
    uint8_t lead = p[0];
    size_t want = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    *whole = want == 1;
    if (want < 2 || lead > 0xf4) {
        return want == 1;
    }
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    size_t i = 1;
    if (i < n && p[1] >= low && p[1] <= high) {
        i++;
        while (i < want && i < n && (p[i] & 0xc0) == 0x80) {
            i++;
        }
    }
    *whole = i == want;
    return i;
}

size_t tok_utf8_valid(const char *text, size_t n, size_t *bad, bool *partial)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t i = 0;
    *bad = 0;
    *partial = false;
    while (i < n) {
        uint64_t eight;
        if (n - i >= 8) {
            memcpy(&eight, p + i, 8);
            if (!(eight & 0x8080808080808080u)) {
                i += 8;
                continue;
            }
        }
        bool whole;
        size_t length = sequence(p + i, n - i, &whole);
        if (!whole) {
            *bad = length ? length : 1;
            *partial = length > 0 && i + length == n;
            return i;
        }
        i += length;
    }
    return i;
}

bool tok_utf8_lossy(zoo_text *out, const char *p, size_t n)
{
    while (n) {
        size_t bad;
        bool partial;
        size_t good = tok_utf8_valid(p, n, &bad, &partial);
        if (!tok_text_push(out, p, good) || (bad && !tok_text_push(out, "\xef\xbf\xbd", 3))) {
            return false;
        }
        p += good + bad;
        n -= good + bad;
    }
    return true;
}

static bool stands_for_itself(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

uint32_t tok_byte_char(uint8_t byte)
{
    if (stands_for_itself(byte)) {
        return byte;
    }
    if (byte <= 0x20) {
        return 0x100u + byte;
    }
    return byte <= 0xa0 ? 0x121u + (byte - 0x7fu) : 0x143u;
}

int tok_char_byte(uint32_t cp)
{
    if (stands_for_itself(cp)) {
        return (int)cp;
    }
    if (cp < 0x100 || cp > 0x143) {
        return -1;
    }
    cp -= 0x100;
    return cp <= 0x20 ? (int)cp : cp < 0x43 ? (int)(cp - 0x21 + 0x7f) : 0xad;
}

bool tok_alphabet_bytes(const char *p, size_t n, char *out, size_t *n_out)
{
    size_t i = 0, k = 0;
    while (i < n) {
        uint32_t cp;
        i += tok_utf8((const uint8_t *)p + i, &cp);
        int byte = tok_char_byte(cp);
        if (byte < 0) {
            return false;
        }
        out[k++] = (char)byte;
    }
    *n_out = k;
    return true;
}
