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

static inline __m128i vi_step_bytes(const uint16_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline __m256i vi_times_of(__m256i halves)
{
    return _mm256_add_epi16(_mm256_srli_epi16(halves, 6), _mm256_set1_epi16(INT4_TIMES_MIN));
}

/* Factors of 32 columns of 16 int4 outputs, in both halves of 32 bits. */
static inline vi vi_byte_times(const uint16_t *p)
{
    __m256i bytes = _mm256_broadcastsi128_si256(vi_step_bytes(p));
    __m256i a = _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1, 4, -1, 4,
                                 -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1);
    __m256i b = _mm256_setr_epi8(8, -1, 8, -1, 9, -1, 9, -1, 10, -1, 10, -1, 11, -1, 11, -1, 12, -1,
                                 12, -1, 13, -1, 13, -1, 14, -1, 14, -1, 15, -1, 15, -1);
    return (vi){vi_times_of(_mm256_shuffle_epi8(bytes, a)),
                vi_times_of(_mm256_shuffle_epi8(bytes, b))};
}

static inline __m256i vi_zeros_of(__m128i bytes)
{
    __m256i six = _mm256_and_si256(_mm256_cvtepu8_epi16(bytes), _mm256_set1_epi16(63));
    return _mm256_slli_epi16(six, 1);
}

/* Zeros of the first and the second run of 32 columns, or of one run and 0, in 16-bit halves. */
static inline vi vi_zeros(const uint16_t *p, uint32_t n)
{
    __m128i first = vi_step_bytes(p),
            second = n > 1 ? vi_step_bytes(p + ZOO_PANEL / 2) : _mm_setzero_si128();
    return (vi){vi_zeros_of(_mm_unpacklo_epi8(first, second)),
                vi_zeros_of(_mm_unpackhi_epi8(first, second))};
}

/* One multiply-add of halves gives the sum of two zeros times two shifts. */
static inline vi vi_start4(int32_t shift, vi zeros)
{
    __m256i x = _mm256_set1_epi32(shift);
    return (vi){_mm256_madd_epi16(zeros.a, x), _mm256_madd_epi16(zeros.b, x)};
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
