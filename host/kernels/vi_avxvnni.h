/*
 * vi_avxvnni.h: what gemm_int.inc needs, with AVX-VNNI; as vi_avx512vnni.h in two registers.
 */
#ifndef ZOO_VI_AVXVNNI_H
#define ZOO_VI_AVXVNNI_H

#include "kernels/vi_bytes_avx2.h"

#include <stdbool.h>

#undef V16_ISA
#define V16_ISA avxvnni
enum { INT_ROWS = 6, INT_DIRECT = 4, INT_PART4 = 256, INT_SPLIT8 = 0, INT_SUMS_IN_MEMORY = 1 };

typedef vi va;
typedef vi vz;

static inline vi vi_ready8(vi x)
{
    __m256i flip = _mm256_set1_epi8((char)0x80);
    return (vi){_mm256_xor_si256(x.a, flip), _mm256_xor_si256(x.b, flip)};
}

static inline vi vi_odd8(vi x)
{
    return x;
}

static inline vz vi_zeros(const uint16_t *p)
{
    return vi_zero_words(p);
}

static inline vz vi_sixteen(void)
{
    return (vz){_mm256_set1_epi32(16), _mm256_set1_epi32(16)};
}

static inline va vi_start8(int32_t shift)
{
    return (va){_mm256_set1_epi32(shift), _mm256_set1_epi32(shift)};
}

/* The upper halves of zeros are 0, so that a multiply-add of halves is the product. */
static inline va vi_start4(int32_t shift, vz zeros)
{
    __m256i x = _mm256_set1_epi32(shift);
    return (va){_mm256_madd_epi16(zeros.a, x), _mm256_madd_epi16(zeros.b, x)};
}

static inline va vi_dot8(va acc, vi w, int32_t x)
{
    __m256i four = _mm256_set1_epi32(x);
    /* gcc 12 copies the accumulator twice around its builtin */
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc.a) : "x"(w.a), "x"(four));
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc.b) : "x"(w.b), "x"(four));
    return acc;
}

static inline va vi_dot4(va acc, vi w, int32_t x)
{
    return vi_dot8(acc, w, x);
}

static inline v16 vi_done(va acc, bool int8)
{
    (void)int8;
    return v16_pair(_mm256_cvtepi32_ps(acc.a), _mm256_cvtepi32_ps(acc.b));
}

#endif
