/*
 * v16_scalar.h: a vector of sixteen floats in plain C; the reference for the other v16_<isa>.h.
 *
 * Kernels that need no special instruction are written once over v16 (the .inc files) and compiled
 * for each instruction set; every operation gives the same bits in each lane, so results are equal.
 * v16_min and v16_max return b if either is NaN, as the x86 instructions do. v16_load_n and
 * v16_store_n access only the first n <= 16 floats; v16_load_n sets the other lanes to zero.
 */
#ifndef ZOO_V16_SCALAR_H
#define ZOO_V16_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/f16.h"
#include "kernels/fma.h"

#define V16_ISA scalar
/* Tile of the matrix kernels: rows and columns (of 16 floats) that fit the registers. */
enum { V16_TILE_ROWS = 4, V16_TILE_COLS = 1 };

typedef struct v16 {
    float f[16];
} v16;

#define V16_EACH(r, expression)                                                                    \
    v16 r;                                                                                         \
    for (int i = 0; i < 16; i++) {                                                                 \
        r.f[i] = (expression);                                                                     \
    }                                                                                              \
    return r

static inline v16 v16_set1(float x)
{
    V16_EACH(r, x);
}

static inline v16 v16_load(const float *p)
{
    v16 r;
    memcpy(r.f, p, sizeof r.f);
    return r;
}

static inline void v16_store(float *p, v16 a)
{
    memcpy(p, a.f, sizeof a.f);
}

static inline v16 v16_load_n(const float *p, size_t n)
{
    V16_EACH(r, (size_t)i < n ? p[i] : 0);
}

static inline void v16_store_n(float *p, v16 a, size_t n)
{
    memcpy(p, a.f, n * sizeof *p);
}

/* H x for the Hadamard matrix of 16 in natural order: (a, b) -> (a + b, a - b) of lanes 8, 4, 2
 * and 1 apart. */
static inline v16 v16_hadamard(v16 a)
{
    for (int step = 8; step; step /= 2) {
        v16 b = a;
        for (int i = 0; i < 16; i++) {
            float other = b.f[i ^ step];
            a.f[i] = i & step ? other - b.f[i] : b.f[i] + other;
        }
    }
    return a;
}

static inline v16 v16_add(v16 a, v16 b)
{
    V16_EACH(r, a.f[i] + b.f[i]);
}

static inline v16 v16_sub(v16 a, v16 b)
{
    V16_EACH(r, a.f[i] - b.f[i]);
}

static inline v16 v16_mul(v16 a, v16 b)
{
    V16_EACH(r, a.f[i] * b.f[i]);
}

static inline v16 v16_div(v16 a, v16 b)
{
    V16_EACH(r, a.f[i] / b.f[i]);
}

static inline v16 v16_fma(v16 a, v16 b, v16 c)
{
    V16_EACH(r, fma_float(a.f[i], b.f[i], c.f[i]));
}

static inline v16 v16_min(v16 a, v16 b)
{
    V16_EACH(r, a.f[i] < b.f[i] ? a.f[i] : b.f[i]);
}

static inline v16 v16_max(v16 a, v16 b)
{
    V16_EACH(r, a.f[i] > b.f[i] ? a.f[i] : b.f[i]);
}

static inline v16 v16_abs(v16 a)
{
    V16_EACH(r, fabsf(a.f[i]));
}

/* |a| with the sign of s. */
static inline v16 v16_copysign(v16 a, v16 s)
{
    V16_EACH(r, copysignf(a.f[i], s.f[i]));
}

static inline v16 v16_round(v16 a)
{
    V16_EACH(r, rintf(a.f[i]));
}

/* a > b ? x : y */
static inline v16 v16_pick_gt(v16 a, v16 b, v16 x, v16 y)
{
    V16_EACH(r, a.f[i] > b.f[i] ? x.f[i] : y.f[i]);
}

static inline int v16_any_gt(v16 a, v16 b)
{
    int any = 0;
    for (int i = 0; i < 16; i++) {
        any |= a.f[i] > b.f[i];
    }
    return any;
}

/* Lanes lo <= i < hi of a, `other` in the rest. */
static inline v16 v16_between(v16 a, int lo, int hi, float other)
{
    V16_EACH(r, i >= lo && i < hi ? a.f[i] : other);
}

/* a * 2^n for whole n in [-150, 129], rounded once. */
static inline v16 v16_ldexp(v16 a, v16 n)
{
    V16_EACH(r, n.f[i] == n.f[i] ? ldexpf(a.f[i], (int)n.f[i]) : n.f[i]);
}

/* Sum in a fixed tree: lanes i and i + 8, then + 4, + 2, + 1. */
static inline float v16_sum(v16 a)
{
    for (int step = 8; step; step /= 2) {
        for (int i = 0; i < step; i++) {
            a.f[i] += a.f[i + step];
        }
    }
    return a.f[0];
}

static inline float v16_top(v16 a)
{
    for (int step = 8; step; step /= 2) {
        for (int i = 0; i < step; i++) {
            a.f[i] = a.f[i] > a.f[i + step] ? a.f[i] : a.f[i + step];
        }
    }
    return a.f[0];
}

static inline v16 v16_from_f16(const uint16_t *p)
{
    V16_EACH(r, f16_value(p[i]));
}

static inline void v16_to_f16(uint16_t *p, v16 x)
{
    for (int i = 0; i < 16; i++) {
        p[i] = f16_nearest(x.f[i]);
    }
}

static inline v16 v16_from_bf16(const uint16_t *p)
{
    v16 r;
    for (int i = 0; i < 16; i++) {
        uint32_t bits = (uint32_t)p[i] << 16;
        memcpy(&r.f[i], &bits, sizeof bits);
    }
    return r;
}

/* Splits words of two bf16 into the lower and the upper ones. */
static inline void v16_part_bf16(const float *words, v16 *lower, v16 *upper)
{
    for (int i = 0; i < 16; i++) {
        uint32_t bits, part;
        memcpy(&bits, words + i, sizeof bits);
        part = bits << 16;
        memcpy(&lower->f[i], &part, sizeof part);
        part = bits & 0xffff0000u;
        memcpy(&upper->f[i], &part, sizeof part);
    }
}

/* Rounds to nearest even; NaN stays NaN. */
static inline void v16_to_bf16(uint16_t *p, v16 a)
{
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.f[i], sizeof bits);
        uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
        p[i] = (uint16_t)(a.f[i] == a.f[i] ? rounded : (bits >> 16) | 0x40u);
    }
}

/* Sixteen pairs of bf16: the first of each to a, the second to b. */
static inline void v16_pairs_bf16(const uint16_t *p, v16 *a, v16 *b)
{
    for (int i = 0; i < 16; i++) {
        uint32_t first = (uint32_t)p[2 * i] << 16, second = (uint32_t)p[2 * i + 1] << 16;
        memcpy(&a->f[i], &first, sizeof first);
        memcpy(&b->f[i], &second, sizeof second);
    }
}

static inline v16 v16_from_i8(const int8_t *p)
{
    V16_EACH(r, (float)p[i]);
}

/* Whole values in [-128, 127]. */
static inline void v16_to_i8(int8_t *p, v16 a)
{
    for (int i = 0; i < 16; i++) {
        p[i] = (int8_t)a.f[i];
    }
}

/* Sixteen nibbles of eight bytes, low nibble first, each minus 8. */
static inline v16 v16_from_i4(const uint8_t *p)
{
    V16_EACH(r, (float)((p[i / 2] >> (i % 2 * 4) & 15) - 8));
}

/* Splits 32 floats: even places to a, odd places to b. */
static inline void v16_unzip(const float *p, v16 *a, v16 *b)
{
    for (int i = 0; i < 16; i++) {
        a->f[i] = p[2 * i];
        b->f[i] = p[2 * i + 1];
    }
}

static inline void v16_zip(float *p, v16 a, v16 b)
{
    for (int i = 0; i < 16; i++) {
        p[2 * i] = a.f[i];
        p[2 * i + 1] = b.f[i];
    }
}

/* out[c][r] = rows[r][c] for 16 rows of 16 floats. */
static inline void v16_transpose(const v16 *rows, float *out, size_t out_stride)
{
    for (size_t r = 0; r < 16; r++) {
        for (size_t c = 0; c < 16; c++) {
            out[c * out_stride + r] = rows[r].f[c];
        }
    }
}

/* Sixteen floats from each of sixteen rows in memory, transposed to out [16][16]. */
static inline void v16_turn(const float *const *rows, float *out)
{
    v16 x[16];
    for (size_t r = 0; r < 16; r++) {
        x[r] = v16_load(rows[r]);
    }
    v16_transpose(x, out, 16);
}

/* p[i * stride] for i < n, zero beyond. */
static inline v16 v16_gather(const float *p, size_t stride, size_t n)
{
    V16_EACH(r, (size_t)i < n ? p[(size_t)i * stride] : 0);
}

#endif
