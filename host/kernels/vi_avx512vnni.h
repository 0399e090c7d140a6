/*
 * vi_avx512vnni.h: the vector operations of gemm_int.inc with AVX-512 VNNI: unsigned weights times
 * signed rows. int8 weights have an offset of 128, int4 its zeros, int5 16; the accumulators start
 * at the correction for it.
 */
#ifndef ZOO_VI_AVX512VNNI_H
#define ZOO_VI_AVX512VNNI_H

#include "kernels/int_rows.h"
#include "kernels/v16_avx512.h"

#include <stdbool.h>

#undef V16_ISA
#define V16_ISA avx512vnni
enum { INT_ROWS = 6, INT_DIRECT = 64, INT_PART4 = 256, INT_SPLIT8 = 0, INT_SUMS_IN_MEMORY = 0 };
enum { INT_DIRECT4 = INT_DIRECT, INT_DIRECT8 = INT_DIRECT };
enum { INT_BLOCK = 512, INT_PANELS = 2 };
#define INT_TIMES 1

typedef __m512i vi;
typedef __m512i va;
typedef __m512i vz;

static inline int int_cols(int rows)
{
    return rows <= 6 ? 4 : 2;
}

static inline vi vi_load(const unsigned char *p)
{
    return _mm512_loadu_si512(p);
}

static inline void vi_store(unsigned char *p, vi x)
{
    _mm512_storeu_si512(p, x);
}

static inline vi vi_unpack8(vi x)
{
    return _mm512_xor_si512(x, _mm512_set1_epi8((char)0x80));
}

static inline vi vi_odd8(vi x)
{
    return x;
}

static inline vi vi_low(vi x)
{
    return _mm512_and_si512(x, _mm512_set1_epi8(15));
}

/* The type of the shift count differs between gcc and clang. */
#define vi_left(x, n)  _mm512_slli_epi16(x, n)
#define vi_right(x, n) _mm512_srli_epi16(x, n)

static inline vi vi_high(vi x)
{
    return vi_low(vi_right(x, 4));
}

/* four | (bits & 16) */
static inline vi vi_fifth(vi four, vi bits)
{
    return _mm512_ternarylogic_epi64(four, bits, _mm512_set1_epi8(16), 0xf8);
}

/* four | (bits & 48) */
static inline vi vi_sixth(vi four, vi bits)
{
    return _mm512_ternarylogic_epi64(four, bits, _mm512_set1_epi8(48), 0xf8);
}

static inline vi vi_signed6(vi six)
{
    return _mm512_sub_epi8(six, _mm512_set1_epi8(INT6_ZERO));
}

static inline vi vi_ready6(vi six)
{
    return _mm512_add_epi8(six, _mm512_set1_epi8(128 - INT6_ZERO));
}

static inline __m512i vi_step_words(const uint16_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* In both halves of 32 bits: one 16-bit product multiplies two codes, which remain bytes. */
static inline vi vi_steps(const uint16_t *p)
{
    __m512i words = _mm512_srli_epi32(vi_step_words(p), 6);
    words = _mm512_add_epi32(words, _mm512_set1_epi32(INT4_TIMES_MIN));
    return _mm512_or_si512(words, _mm512_slli_epi32(words, 16));
}

static inline vi vi_times(vi x, vi times)
{
    return _mm512_mullo_epi16(x, times);
}

/* Zeros of the first and the second run in 16-bit halves: one multiply-add gives the sum of their
 * products with the two shifts. */
static inline vz vi_zeros(const uint16_t *p, uint32_t n)
{
    __m512i mask = _mm512_set1_epi32(63);
    __m512i words = _mm512_slli_epi32(_mm512_and_si512(vi_step_words(p), mask), 1);
    if (n > 1) {
        __m512i second = _mm512_and_si512(vi_step_words(p + ZOO_PANEL / 2), mask);
        words = _mm512_or_si512(words, _mm512_slli_epi32(second, 17));
    }
    return words;
}

static inline vz vi_sixteen(void)
{
    return _mm512_set1_epi16(16);
}

static inline va vi_start8(int32_t shift)
{
    return _mm512_set1_epi32(shift);
}

static inline va vi_start4(int32_t shift, vz zeros)
{
    return _mm512_madd_epi16(zeros, _mm512_set1_epi32(shift));
}

static inline va vi_start5(int32_t shift)
{
    return vi_start4(shift, vi_sixteen());
}

static inline va vi_dot8(va acc, vi w, int32_t x)
{
    /* Inline assembly, since gcc 12 copies the accumulator twice around its builtin. */
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(w), "v"(_mm512_set1_epi32(x)));
    return acc;
}

static inline va vi_dot4(va acc, vi w, int32_t x)
{
    return vi_dot8(acc, w, x);
}

static inline v16 vi_done(va acc)
{
    return _mm512_cvtepi32_ps(acc);
}

#endif
