/*
 * vi_bytes_avx2.h: 64 bytes in two 256-bit registers, for vi_avx2.h and vi_avxvnni.h.
 */
#ifndef ZOO_VI_BYTES_AVX2_H
#define ZOO_VI_BYTES_AVX2_H

#include "kernels/v16_avx2.h"

typedef struct vi {
    __m256i a, b;
} vi;

static inline int int_cols(int rows)
{
    return rows <= 1 ? 4 : rows <= 2 ? 2 : 1;
}

static inline vi vi_load(const unsigned char *p)
{
    return (vi){_mm256_loadu_si256((const __m256i *)(const void *)p),
                _mm256_loadu_si256((const __m256i *)(const void *)(p + 32))};
}

static inline void vi_store(unsigned char *p, vi x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, x.a);
    _mm256_storeu_si256((__m256i *)(void *)(p + 32), x.b);
}

static inline vi vi_low(vi x)
{
    __m256i mask = _mm256_set1_epi8(15);
    return (vi){_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
}

/* Zeros of 16 int4 outputs, 8 bytes at p, as 32-bit numbers. */
static inline vi vi_zero_words(const uint16_t *p)
{
    __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)p), mask = _mm_set1_epi8(15);
    return (vi){_mm256_cvtepu8_epi32(_mm_and_si128(x, mask)),
                _mm256_cvtepu8_epi32(_mm_and_si128(_mm_srli_epi16(x, 4), mask))};
}

static inline vi vi_left(vi x, int n)
{
    return (vi){_mm256_slli_epi16(x.a, n), _mm256_slli_epi16(x.b, n)};
}

static inline vi vi_right(vi x, int n)
{
    return (vi){_mm256_srli_epi16(x.a, n), _mm256_srli_epi16(x.b, n)};
}

static inline vi vi_high(vi x)
{
    return vi_low(vi_right(x, 4));
}

static inline vi vi_fifth(vi four, vi bits)
{
    __m256i mask = _mm256_set1_epi8(16);
    return (vi){_mm256_or_si256(four.a, _mm256_and_si256(bits.a, mask)),
                _mm256_or_si256(four.b, _mm256_and_si256(bits.b, mask))};
}

#endif
