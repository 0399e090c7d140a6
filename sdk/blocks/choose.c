/*
 * choose.c: the k largest of n values by their threshold (choose.h).
 *
 *   rank(x) = bits of x, mapped so that their unsigned order is the order of the values
 *   The threshold is found digit by digit, highest first, with a histogram of the digit among the
 *   values that share the digits found so far; then one pass takes the values above it, and the
 *   first of those equal to it.
 */
#include "blocks/choose.h"

#include <string.h>

enum { DIGIT = 11, BINS = 1 << DIGIT, DIGITS = 3 };

/* The digit that ends at bit `shift`; the lowest one has 10 bits. */
static const uint32_t shifts[DIGITS] = {21, 10, 0};

static inline uint32_t rank_of(float x)
{
    uint32_t bits;
    x += 0.0f; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* The largest digit with at least *k values at or above it, among values whose higher digits are
 * those of `found`; *k is reduced by the number of values above it. */
static uint32_t next_digit(const float *x, uint32_t n, uint32_t found, uint32_t level, uint32_t *k)
{
    uint32_t counts[BINS] = {0}, shift = shifts[level];
    uint32_t high = level ? shifts[level - 1] : 31;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t rank = rank_of(x[i]);
        if (level == 0 || rank >> high == found >> high) {
            counts[rank >> shift & (BINS - 1)]++;
        }
    }
    uint32_t digit = BINS - 1;
    for (; digit > 0 && counts[digit] < *k; digit--) {
        *k -= counts[digit];
    }
    return digit;
}

void zoo_choose(const float *x, uint32_t n, uint32_t k, uint32_t *places)
{
    uint32_t threshold = 0, equal = k, taken = 0;
    for (uint32_t level = 0; level < DIGITS && k < n; level++) {
        threshold |= next_digit(x, n, threshold, level, &equal) << shifts[level];
    }
    for (uint32_t i = 0; i < n && taken < k; i++) {
        uint32_t rank = rank_of(x[i]);
        bool take = k == n || rank > threshold || (rank == threshold && equal);
        equal -= k != n && rank == threshold && equal;
        places[taken] = i;
        taken += take;
    }
}
