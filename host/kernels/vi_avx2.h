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

/* int4's zeros are subtracted at the end (vi_count). */
static inline vz vi_zeros(const uint16_t *p, uint32_t n)
{
    (void)p;
    (void)n;
    return (vz){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline va vi_start8(int32_t shift)
{
    (void)shift;
    return (va){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline va vi_start4(int32_t shift, vz zeros)
{
    __m256i x = _mm256_set1_epi32(shift);
    return (va){_mm256_mullo_epi16(zeros.a, x), _mm256_mullo_epi16(zeros.b, x)};
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

static inline v16 vi_done(va acc, bool int8)
{
    if (!int8) {
        __m256i one = _mm256_set1_epi16(1);
        acc = (va){_mm256_madd_epi16(acc.a, one), _mm256_madd_epi16(acc.b, one)};
    }
    return v16_pair(_mm256_cvtepi32_ps(acc.a), _mm256_cvtepi32_ps(acc.b));
}

/* Factors of the codes of 32 columns, and their zeros, in both halves of 32 bits. */
typedef struct vs {
    vi times, zeros;
} vs;

static inline vs vi_sum_steps(const uint16_t *p)
{
    vi zeros = vi_byte_zeros(p);
    return (vs){vi_byte_times(p), {vi_both_halves(zeros.a), vi_both_halves(zeros.b)}};
}

static inline v16 vi_count(va acc, const vs *steps, int32_t shift)
{
    __m256i x = _mm256_set1_epi32(shift);
    __m256i a = _mm256_add_epi32(_mm256_madd_epi16(acc.a, steps->times.a),
                                 _mm256_madd_epi16(steps->zeros.a, x));
    __m256i b = _mm256_add_epi32(_mm256_madd_epi16(acc.b, steps->times.b),
                                 _mm256_madd_epi16(steps->zeros.b, x));
    return v16_pair(_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b));
}

#endif
