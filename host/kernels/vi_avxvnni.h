/*
 * vi_avxvnni.h: the vector operations of gemm_int.inc with AVX-VNNI; as vi_avx512vnni.h in two
 * registers.
 */
#ifndef ZOO_VI_AVXVNNI_H
#define ZOO_VI_AVXVNNI_H

#include "kernels/vi_bytes_avx2.h"

#include <stdbool.h>

#undef V16_ISA
#define V16_ISA avxvnni
enum { INT_ROWS = 6, INT_DIRECT = 4, INT_PART4 = 256, INT_SPLIT8 = 0, INT_SUMS_IN_MEMORY = 1 };
enum { INT_DIRECT4 = INT_DIRECT, INT_DIRECT8 = INT_DIRECT };
enum { INT_BLOCK = 512, INT_PANELS = 2 };
#define INT_TIMES 1

typedef vi va;
typedef vi vz;

static inline vi vi_unpack8(vi x)
{
    __m256i flip = _mm256_set1_epi8((char)0x80);
    return (vi){_mm256_xor_si256(x.a, flip), _mm256_xor_si256(x.b, flip)};
}

static inline vi vi_odd8(vi x)
{
    return x;
}

static inline vi vi_ready6(vi six)
{
    __m256i offset = _mm256_set1_epi8(128 - INT6_ZERO);
    return (vi){_mm256_add_epi8(six.a, offset), _mm256_add_epi8(six.b, offset)};
}

static inline vi vi_steps(const uint16_t *p)
{
    return vi_byte_times(p);
}

/* One 16-bit product multiplies two codes, which remain bytes. */
static inline vi vi_times(vi x, vi times)
{
    return (vi){_mm256_mullo_epi16(x.a, times.a), _mm256_mullo_epi16(x.b, times.b)};
}

static inline vz vi_sixteen(void)
{
    return (vi){_mm256_set1_epi16(16), _mm256_set1_epi16(16)};
}

static inline va vi_start8(int32_t shift)
{
    return (va){_mm256_set1_epi32(shift), _mm256_set1_epi32(shift)};
}

static inline va vi_start5(int32_t shift)
{
    return vi_start4(shift, vi_sixteen());
}

static inline va vi_dot8(va acc, vi w, int32_t x)
{
    __m256i four = _mm256_set1_epi32(x);
    /* Inline assembly, since gcc 12 copies the accumulator twice around its builtin. */
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc.a) : "x"(w.a), "x"(four));
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc.b) : "x"(w.b), "x"(four));
    return acc;
}

static inline va vi_dot4(va acc, vi w, int32_t x)
{
    return vi_dot8(acc, w, x);
}

static inline v16 vi_done(va acc)
{
    return v16_pair(_mm256_cvtepi32_ps(acc.a), _mm256_cvtepi32_ps(acc.b));
}

#endif
