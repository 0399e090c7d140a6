/*
 * int_rows.h: rows of activations as int8 groups, what integer products read.
 *
 * A prepared row: [groups * group] signed bytes, padded to 64; [groups] float scales; [groups]
 * int32 shifts; padded to an odd number of lines of 64 bytes, or rows would share few sets of a
 * cache. For int8 each group is rotated first (rotate.inc), the columns past `cols` as zeros.
 * Scale = amax / 127 of the group, value = round(x * (127 / amax)) in [-127, 127]; the same bits in
 * every instruction set. A shift is -128 (int8) or -1 (int4, int5: to be multiplied by the weights'
 * zero) times the sum of the group's bytes: what products with unsigned weights have too much.
 * AVX2's int4 and int5 products want one for each 32 columns, in two 16-bit halves
 * (int_prepare_avx2.c). Products then are
 *
 *   acc = fma((float)sum_k (w[k] - zero) x[k], w_scale * x_scale, acc), groups ascending, from 0;
 *   + bias.
 */
#ifndef ZOO_INT_ROWS_H
#define ZOO_INT_ROWS_H

#include <string.h>

#include "kernels.h"
#include "kernels/rotate.h"

enum { INT_GROUP_MAX = 256 };

static inline uint32_t int_groups(uint32_t cols, uint32_t group)
{
    return (cols + group - 1) / group;
}

enum { INT5_ZERO = 16 };

/* Scales of a group of a panel and, in int4, its zeros, in 16 bits. */
static inline size_t int_scales_step(uint32_t kind)
{
    return kind == ZOO_INT4 ? ZOO_PANEL + ZOO_PANEL / 4 : ZOO_PANEL;
}

/* Zero of output o from the zeros of a group of a panel. */
static inline int int4_zero(const uint16_t *zeros, uint32_t o)
{
    unsigned char byte;
    memcpy(&byte, (const unsigned char *)zeros + o % 8, 1);
    return byte >> (o / 8 * 4) & 15;
}

/* Bytes of one group of a panel. */
static inline size_t int_group_bytes(uint32_t kind, uint32_t group)
{
    return (size_t)group * ZOO_PANEL * (kind == ZOO_INT8 ? 8 : kind == ZOO_INT5 ? 5 : 4) / 8;
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
