/*
 * int_rows.h: layout of activations quantised to int8 groups, the input of integer products.
 *
 * A prepared row: [groups * group] signed bytes, padded to 64; [groups] float scales; [groups]
 * int32 shifts; padded to an odd number of 64-byte lines, to spread rows over the sets of a cache.
 * For int8 and int6 weights each group is rotated first (rotate.inc), columns past `cols` being
 * zeros.
 * Scale = amax / 127 of the group, of int4 an eighth of it, the unit of its zeros; value =
 * round(x * (127 / amax)) in [-127, 127]; the same bits in every instruction set. A shift corrects
 * for the offset of unsigned weights: -128 times the sum of the group's bytes for int8 and int6;
 * for int4 and int5 two 16-bit halves, -1 times the sums of the group's first and second 32 bytes,
 * to be multiplied by the weights' zeros. AVX2's int5 products use one shift for each 32 columns,
 * with other halves (int_prepare_avx2.c). The product is
 *
 *   acc = fma((float)sum_k w[k] x[k], w_scale * x_scale, acc), groups ascending, from 0; + bias
 *
 * with w[k] = byte (int8), the five bits - 16 (int5), the six bits - 32 (int6), times * code - zero
 * of its 32 columns (int4). int5 in groups of 16, two of which share their upper bits, multiplies
 * acc by the factor of all its scales before the bias.
 */
#ifndef ZOO_INT_ROWS_H
#define ZOO_INT_ROWS_H

#include <stdbool.h>
#include <string.h>

#include "kernels.h"
#include "kernels/f16.h"
#include "kernels/rotate.h"

enum { INT_GROUP_MAX = 256 };

static inline uint32_t int_groups(uint32_t cols, uint32_t group)
{
    return (cols + group - 1) / group;
}

enum { INT5_ZERO = 16, INT5_SHORT = 16 /* the group of which two share their upper bits */ };

enum { INT6_ZERO = 32, INT6_MAX = 31, INT6_GROUP = 64 };

enum { INT4_TIMES_MIN = 5, INT4_TIMES_MAX = 8, INT4_ZERO_MAX = 126 };

/* 16-bit units of the scales of one group of a panel, with int4's steps of each 32 columns. */
static inline size_t int_scales_step(uint32_t kind, uint32_t group)
{
    return ZOO_PANEL + (kind == ZOO_INT4 ? group / 32 * ZOO_PANEL / 2 : 0);
}

/* Steps of 32 columns of int4: value = times * code - zero in eighths of the scale; zero is
 * even. */
typedef struct int4_steps {
    int times, zero;
} int4_steps;

static inline unsigned char int4_byte(int4_steps s)
{
    return (unsigned char)((s.times - INT4_TIMES_MIN) << 6 | s.zero / 2);
}

/* Steps of output o and columns 32 part .. 32 part + 31, from the group's scales. */
static inline int4_steps int4_steps_at(const uint16_t *scales, uint32_t part, uint32_t o)
{
    unsigned char byte;
    const unsigned char *bytes = (const unsigned char *)(scales + ZOO_PANEL);
    memcpy(&byte, bytes + (size_t)part * ZOO_PANEL + o, 1);
    return (int4_steps){INT4_TIMES_MIN + (byte >> 6), (byte & 63) * 2};
}

/* Bytes of one group of a panel. */
static inline size_t int_group_bytes(uint32_t kind, uint32_t group)
{
    uint32_t bits = kind == ZOO_INT8 ? 8 : kind == ZOO_INT6 ? 6 : kind == ZOO_INT5 ? 5 : 4;
    return (size_t)group * ZOO_PANEL * bits / 8;
}

/* Kinds whose groups are rotated and have bf16 scales: rows prepared for one serve the other. */
static inline bool int_is_rotated(uint32_t kind)
{
    return kind == ZOO_INT8 || kind == ZOO_INT6;
}

static inline bool int_is_short(uint32_t kind, uint32_t group)
{
    return kind == ZOO_INT5 && group == INT5_SHORT;
}

/* 16-bit units of all scales of w, behind which int5 in short groups has the factor of them all. */
static inline size_t int_scales_units(const zoo_weight *w)
{
    size_t panels = ((size_t)w->rows + ZOO_PANEL - 1) / ZOO_PANEL;
    return panels * int_groups(w->cols, w->group) * int_scales_step(w->kind, w->group);
}

static inline double int_factor(const zoo_weight *w)
{
    double factor = 1;
    if (int_is_short(w->kind, w->group)) {
        memcpy(&factor, w->scales + int_scales_units(w), sizeof factor);
    }
    return factor;
}

/* What a scale of int5 in short groups multiplies. */
static inline float int_short_unit(uint16_t scale, double factor)
{
    return (float)((double)f16_value(scale) * factor);
}

static inline size_t int_bytes(uint32_t cols, uint32_t group)
{
    return ((size_t)int_groups(cols, group) * group + 63) / 64 * 64;
}

static inline size_t int_row_size(uint32_t cols, uint32_t group)
{
    size_t lines = (int_bytes(cols, group) + (size_t)int_groups(cols, group) * 8 + 63) / 64;
    return (lines | 1) * 64;
}

typedef struct int_row {
    const int8_t *q;
    const float *scales;
    const int32_t *shifts;
} int_row;

static inline int_row int_row_at(const zoo_gemm *g, uint32_t row)
{
    const zoo_weight *w = g->weight;
    const unsigned char *at = (const unsigned char *)g->x + row * g->x_stride;
    const unsigned char *scales = at + int_bytes(w->cols, w->group);
    size_t n_groups = int_groups(w->cols, w->group);
    return (int_row){(const int8_t *)at, (const float *)(const void *)scales,
                     (const int32_t *)(const void *)(scales + n_groups * sizeof(float))};
}

#endif
