/*
 * vi_bytes_avx2.h: 64 bytes in two 256-bit registers, for vi_avx2.h and vi_avxvnni.h.
 */
#ifndef ZOO_VI_BYTES_AVX2_H
#define ZOO_VI_BYTES_AVX2_H

#include "kernels/int_rows.h"
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

/* The bytes of the steps of 16 int4 outputs as 32-bit numbers. */
static inline vi vi_step_words(const uint16_t *p)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (vi){_mm256_cvtepu8_epi32(x), _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(x, x))};
}

static inline __m256i vi_both_halves(__m256i words)
{
    return _mm256_or_si256(words, _mm256_slli_epi32(words, 16));
}

static inline __m256i vi_times_of(__m256i words)
{
    __m256i least = _mm256_set1_epi32(INT4_TIMES_MIN);
    return vi_both_halves(_mm256_add_epi32(_mm256_srli_epi32(words, 6), least));
}

/* In both halves of 32 bits. */
static inline vi vi_byte_times(const uint16_t *p)
{
    vi words = vi_step_words(p);
    return (vi){vi_times_of(words.a), vi_times_of(words.b)};
}

/* Zeros in the lower halves of 32 bits. */
static inline vi vi_byte_zeros(const uint16_t *p)
{
    vi words = vi_step_words(p);
    __m256i mask = _mm256_set1_epi32(63);
    return (vi){_mm256_slli_epi32(_mm256_and_si256(words.a, mask), 1),
                _mm256_slli_epi32(_mm256_and_si256(words.b, mask), 1)};
}

static inline vi vi_sixteen(void)
{
    return (vi){_mm256_set1_epi16(16), _mm256_set1_epi16(16)};
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

static inline vi vi_sixth(vi four, vi bits)
{
    __m256i mask = _mm256_set1_epi8(48);
    return (vi){_mm256_or_si256(four.a, _mm256_and_si256(bits.a, mask)),
                _mm256_or_si256(four.b, _mm256_and_si256(bits.b, mask))};
}

static inline vi vi_signed6(vi six)
{
    __m256i zero = _mm256_set1_epi8(INT6_ZERO);
    return (vi){_mm256_sub_epi8(six.a, zero), _mm256_sub_epi8(six.b, zero)};
}

#endif
