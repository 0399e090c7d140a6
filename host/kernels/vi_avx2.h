/*
 * vi_avx2.h: what gemm_int.inc needs, with AVX2 alone.
 *
 * int8: |w| times the row's bytes with the sign of w, whose sums of two fit 16 bits (127 * 127 *
 * 2). int4: nibbles 0 .. 15 times signed bytes; eight sums of two fit 16 bits (15 * 127 * 2 * 8),
 * which is a group of 32 columns: only then are they widened and the shift by 8 taken out.
 */
#ifndef ZOO_VI_AVX2_H
#define ZOO_VI_AVX2_H

#include "vi_bytes_avx2.h"

#include <stdbool.h>

enum { INT_ROWS8 = 4, INT_ROWS4 = 4, INT_SUMS_IN_MEMORY = 1, INT_UNROLL = 1 };

typedef vi va;

static inline vi vi_ready8(vi x)
{
    return x;
}

static inline va vi_start(int32_t shift, bool int8)
{
    (void)shift;
    (void)int8;
    return (va){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline __m256i vi_dot8_half(__m256i acc, __m256i w, __m256i x)
{
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline va vi_dot8(va acc, vi w, int32_t x)
{
    __m256i four = _mm256_set1_epi32(x);
    return (va){vi_dot8_half(acc.a, w.a, four), vi_dot8_half(acc.b, w.b, four)};
}

static inline va vi_dot4(va acc, vi w, int32_t x)
{
    __m256i four = _mm256_set1_epi32(x);
    return (va){_mm256_add_epi16(acc.a, _mm256_maddubs_epi16(w.a, four)),
                _mm256_add_epi16(acc.b, _mm256_maddubs_epi16(w.b, four))};
}

static inline v16 vi_done(va acc, int32_t shift, bool int8)
{
    if (!int8) {
        __m256i one = _mm256_set1_epi16(1), add = _mm256_set1_epi32(shift);
        acc.a = _mm256_add_epi32(_mm256_madd_epi16(acc.a, one), add);
        acc.b = _mm256_add_epi32(_mm256_madd_epi16(acc.b, one), add);
    }
    return v16_pair(_mm256_cvtepi32_ps(acc.a), _mm256_cvtepi32_ps(acc.b));
}

#endif
