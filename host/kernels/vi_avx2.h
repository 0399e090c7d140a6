/*
 * vi_avx2.h: the vector operations of gemm_int.inc with AVX2 alone.
 *
 * int8: weights and rows as 16-bit pairs, whose products are summed in 32 bits; a quad of packed
 * bytes gives the pairs (0, 2) and (1, 3), and rows have that order (int_prepare_avx2.c).
 * int4, int5: 0 .. 15 or 31 times signed bytes; a 16-bit lane sums half of 32 columns. int4 stays
 * within 16 * 127 * 15 = 30480, and the sums are multiplied by the codes' factors; int5 starts at
 * that half's shift and ends within 16 * 127 * 16 = 32512, so wrapping in between does no harm.
 */
#ifndef ZOO_VI_AVX2_H
#define ZOO_VI_AVX2_H

#include "kernels/vi_bytes_avx2.h"

#include <stdbool.h>

enum {
    INT_ROWS = 6,
    INT_BLOCK = 2048,
    INT_PANELS = 1,
    INT_DIRECT = 6,
    INT_DIRECT4 = 10,
    INT_DIRECT8 = 24,
    INT_PART4 = 32,
    INT_SPLIT8 = 1,
    INT_SUMS_IN_MEMORY = 1
};
#define INT_TIMES 0

typedef vi va;
typedef vi vz;

static inline vi vi_odd8(vi x)
{
    return (vi){_mm256_srai_epi16(x.a, 8), _mm256_srai_epi16(x.b, 8)};
}

static inline vi vi_ready6(vi six)
{
    return six;
}

static inline vi vi_unpack8(vi x)
{
    return vi_odd8((vi){_mm256_slli_epi16(x.a, 8), _mm256_slli_epi16(x.b, 8)});
}

static inline va vi_start8(int32_t shift)
{
    (void)shift;
    return (va){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline va vi_start5(int32_t shift)
{
    __m256i x = _mm256_set1_epi32(shift);
    return (va){x, x};
}

/*
 * acc += product(w, x). One asm statement: compilers would move all products before all sums and
 * spill twelve accumulators.
 */
#define VI_DOT(product, sum, acc, w, x)                                                            \
    do {                                                                                           \
        __m256i vi_dot_product;                                                                    \
        __asm__(product " %3, %2, %1\n\t" sum " %1, %0, %0"                                        \
                : "+x"(acc), "=&x"(vi_dot_product)                                                 \
                : "x"(w), "x"(x));                                                                 \
    } while (0)

static inline va vi_product8(vi w, int32_t x)
{
    __m256i pair = _mm256_set1_epi32(x);
    return (va){_mm256_madd_epi16(w.a, pair), _mm256_madd_epi16(w.b, pair)};
}

static inline va vi_product4(vi w, int32_t x)
{
    __m256i four = _mm256_set1_epi32(x);
    return (va){_mm256_maddubs_epi16(w.a, four), _mm256_maddubs_epi16(w.b, four)};
}

static inline va vi_dot8(va acc, vi w, int32_t x)
{
    __m256i pair = _mm256_set1_epi32(x);
    VI_DOT("vpmaddwd", "vpaddd", acc.a, w.a, pair);
    VI_DOT("vpmaddwd", "vpaddd", acc.b, w.b, pair);
    return acc;
}

static inline va vi_dot4(va acc, vi w, int32_t x)
{
    __m256i four = _mm256_set1_epi32(x);
    VI_DOT("vpmaddubsw", "vpaddw", acc.a, w.a, four);
    VI_DOT("vpmaddubsw", "vpaddw", acc.b, w.b, four);
    return acc;
}

static inline vi vi_sum_times(const uint16_t *p)
{
    return vi_byte_times(p);
}

static inline vi vi_ones(void)
{
    return (vi){_mm256_set1_epi16(1), _mm256_set1_epi16(1)};
}

static inline va vi_whole(va acc, vi times)
{
    return (va){_mm256_madd_epi16(acc.a, times.a), _mm256_madd_epi16(acc.b, times.b)};
}

static inline va vi_add(va x, va y)
{
    return (va){_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)};
}

static inline v16 vi_done(va acc)
{
    return v16_pair(_mm256_cvtepi32_ps(acc.a), _mm256_cvtepi32_ps(acc.b));
}

#endif
