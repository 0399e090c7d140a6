/*
 * code_points.c: ranges of Unicode code points as nodes over the bytes of their UTF-8.
 *
 *   a range is cut where the number of bytes changes (0x80, 0x800, 0x10000) and at the surrogates,
 *   then into parts whose bytes vary independently of one another: first..last of each byte
 *
 * Source: the table of well-formed byte sequences, The Unicode Standard, section 3.9.
 */
#include "text/grammar/grammar_private.h"

enum { SURROGATE_FIRST = 0xD800, SURROGATE_LAST = 0xDFFF };

/* The bytes of a code point; gives their number. */
static size_t encode(uint32_t c, uint8_t out[4])
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (uint8_t)(lead[n] | c);
    return n;
}

/* The first end of a range from low on whose bytes vary independently, high at most. */
static uint32_t end_of_part(uint32_t low, uint32_t high)
{
    static const uint32_t ends[] = {0x7F, 0x7FF, SURROGATE_FIRST - 1, 0xFFFF, 0x10FFFF};
    for (size_t i = 0; i < ZOO_COUNT(ends); i++) {
        if (low <= ends[i]) {
            high = high < ends[i] ? high : ends[i];
            break;
        }
    }
    for (unsigned bits = 6; low >= 0x80 && bits <= 18; bits += 6) {
        uint32_t mask = (1u << bits) - 1;
        if ((low & ~mask) == (high & ~mask)) {
            break; /* only the last bits / 6 bytes differ, and those before them are settled */
        }
        if (low & mask) {
            return low | mask;
        }
        if ((high & mask) != mask) {
            high = (high & ~mask) - 1;
        }
    }
    return high;
}

zoo_gnode zoo_g_code_points(zoo_gbuild *b, uint32_t low, uint32_t high, zoo_gnode next)
{
    zoo_gnode out = ZOO_GNODE_RETURN;
    bool any = false;
    while (low <= high && b->status == ZOO_OK) {
        if (low >= SURROGATE_FIRST && low <= SURROGATE_LAST) {
            low = SURROGATE_LAST + 1;
            continue;
        }
        uint8_t first[4], last[4];
        uint32_t end = end_of_part(low, high);
        size_t n = encode(low, first);
        zoo_gnode at = next;
        (void)encode(end, last);
        for (size_t i = n; i > 0; i--) {
            at = zoo_g_range(b, first[i - 1], last[i - 1], at);
        }
        out = any ? zoo_g_either(b, out, at) : at;
        any = true;
        low = end + 1;
    }
    return out;
}
