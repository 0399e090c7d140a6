/*
 * attend_avx512bf16.c: products of bf16 pairs by vdpbf16ps, for attend_pairs.inc: sixteen rows of a
 * share each load of sixteen lanes of b, their pairs are broadcast from memory.
 */
#include "kernels/v16_avx512.h"

#include "kernels/share.h"

#undef V16_ISA
#define V16_ISA avx512bf16
#include "kernels/vmath.h"

#include <math.h>

#include "kernels/hadamard.inc"
#include "kernels/stored.inc"

#include "kernels/attend_pairs.h"

static inline void pairs_begin(void)
{
}

static inline void pairs_end(void)
{
}

static inline __m512 add_product(__m512 sum, __m512i lanes, const char *pair)
{
    int32_t word;
    memcpy(&word, pair, sizeof word);
    return _mm512_dpbf16_ps(sum, (__m512bh)lanes, (__m512bh)_mm512_set1_epi32(word));
}

/* Sixteen rows of a, sixteen lanes. */
static void multiply_rows(const pairs *p, const char *a, float *c)
{
    __m512 sum[16];
    const char *quarter[4] = {a, a + 4 * p->a_row, a + 8 * p->a_row, a + 12 * p->a_row};
    size_t row = p->a_row, n = p->n_k * 16;
    for (int i = 0; i < 16; i++) {
        sum[i] = p->fresh ? _mm512_setzero_ps() : _mm512_loadu_ps(c + i * 16);
    }
    for (size_t k = 0; k < n; k++) {
        __m512i lanes = _mm512_loadu_si512(p->b + k * 16);
        for (int i = 0; i < 16; i++) {
            sum[i] = add_product(sum[i], lanes, quarter[i / 4] + (size_t)(i % 4) * row + k * 4);
        }
    }
    for (int i = 0; i < 16; i++) {
        _mm512_storeu_ps(c + i * 16, sum[i]);
    }
}

/* Four times sixteen bytes, `step` bytes apart. */
static inline __m512i gather_rows(const char *at, size_t step)
{
    __m512i x = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)at));
    x = _mm512_mask_broadcast_i32x4(x, 0x00f0, _mm_loadu_si128((const void *)(at + step)));
    x = _mm512_mask_broadcast_i32x4(x, 0x0f00, _mm_loadu_si128((const void *)(at + 2 * step)));
    return _mm512_mask_broadcast_i32x4(x, 0xf000, _mm_loadu_si128((const void *)(at + 3 * step)));
}

/* 4 n rows of a, lanes [lane, lane + 4): a vector holds four rows times four lanes. */
__attribute__((always_inline)) static inline void multiply_quads(const pairs *p, const char *a,
                                                                 uint32_t lane, float *c, int n)
{
    __m512 sum[8];
    const uint32_t *b = p->b + lane;
    for (int q = 0; q < n; q++) {
        const char *from = (const char *)(c + q * 64 + lane);
        sum[q] = p->fresh ? _mm512_setzero_ps() : _mm512_castsi512_ps(gather_rows(from, 64));
    }
    for (size_t k = 0; k < p->n_k * 16; k += 4, b += 64) {
        __m512bh lanes[4];
        for (int j = 0; j < 4; j++) {
            __m128i four = _mm_loadu_si128((const void *)(b + j * 16));
            lanes[j] = (__m512bh)_mm512_broadcast_i32x4(four);
        }
        for (int q = 0; q < n; q++) {
            __m512i x = gather_rows(a + (size_t)q * 4 * p->a_row + k * 4, p->a_row);
            sum[q] = _mm512_dpbf16_ps(sum[q], lanes[0], (__m512bh)_mm512_shuffle_epi32(x, 0x00));
            sum[q] = _mm512_dpbf16_ps(sum[q], lanes[1], (__m512bh)_mm512_shuffle_epi32(x, 0x55));
            sum[q] = _mm512_dpbf16_ps(sum[q], lanes[2], (__m512bh)_mm512_shuffle_epi32(x, 0xaa));
            sum[q] = _mm512_dpbf16_ps(sum[q], lanes[3], (__m512bh)_mm512_shuffle_epi32(x, 0xff));
        }
    }
    for (int q = 0; q < n; q++) {
        float *to = c + q * 64 + lane;
        _mm_storeu_ps(to, _mm512_castps512_ps128(sum[q]));
        _mm_storeu_ps(to + 16, _mm512_extractf32x4_ps(sum[q], 1));
        _mm_storeu_ps(to + 32, _mm512_extractf32x4_ps(sum[q], 2));
        _mm_storeu_ps(to + 48, _mm512_extractf32x4_ps(sum[q], 3));
    }
}

/* A row and a lane have the same sum, in the same order, in both forms. */
static void pairs_multiply(const pairs *p)
{
    enum { FEW = 8 };
    const char *a = p->a;
    if (p->n_lanes > FEW) {
        for (uint32_t m = 0; m < p->n_m; m++) {
            multiply_rows(p, a + m * 16 * p->a_row, p->c + m * 256);
        }
        return;
    }
    for (uint32_t lane = 0; lane < p->n_lanes; lane += 4) {
        uint32_t m = 0;
        for (; m + 2 <= p->n_m; m += 2) {
            multiply_quads(p, a + m * 16 * p->a_row, lane, p->c + m * 256, 8);
        }
        if (m < p->n_m) {
            multiply_quads(p, a + m * 16 * p->a_row, lane, p->c + m * 256, 4);
        }
    }
}

#define FEW_ROWS 8
#include "kernels/attend_pairs.inc"
