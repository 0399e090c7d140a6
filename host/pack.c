/*
 * pack.c: see pack.h. int4 scales are fitted by a kernel (kernels/fit.inc), 16 outputs at a time.
 */
#include "pack.h"

#include "kernels/select.h"

#include <math.h>
#include <string.h>

enum { INT4_GROUP = 32, INT8_GROUP = 64, GROUP_MAX = 256 };

uint32_t zoo_pack_group(zoo_dtype kind)
{
    return kind == ZOO_INT8 ? INT8_GROUP : kind == ZOO_INT4 ? INT4_GROUP : 0;
}

static size_t groups_of(uint32_t cols, uint32_t group)
{
    return ((size_t)cols + group - 1) / group;
}

/* Bytes of one panel, 0 for a kind or group that no kernel reads. */
static size_t panel_bytes(zoo_dtype kind, uint32_t cols, uint32_t group)
{
    size_t k = cols;
    switch (kind) {
    case ZOO_F32:
        return group ? 0 : k * ZOO_PANEL * sizeof(float);
    case ZOO_BF16:
        return group ? 0 : (k + 1) / 2 * ZOO_PANEL * 2 * sizeof(uint16_t);
    case ZOO_INT8:
        return group && group % 16 == 0 && group <= GROUP_MAX
                   ? groups_of(cols, group) * group * ZOO_PANEL
                   : 0;
    case ZOO_INT4:
        return group == INT4_GROUP ? groups_of(cols, group) * group * ZOO_PANEL / 2 : 0;
    default:
        return 0;
    }
}

size_t zoo_pack_size(zoo_dtype kind, uint32_t rows, uint32_t cols, uint32_t group,
                     size_t *scales_bytes)
{
    size_t panels = ((size_t)rows + ZOO_PANEL - 1) / ZOO_PANEL;
    size_t bytes = panel_bytes(kind, cols, group);
    *scales_bytes = group ? panels * groups_of(cols, group) * ZOO_PANEL * sizeof(float) : 0;
    return bytes && panels > SIZE_MAX / bytes ? 0 : panels * bytes;
}

static void pack_f32(float *out, const float *rows, uint32_t n, uint32_t cols)
{
    for (size_t k = 0; k < cols; k++) {
        for (size_t o = 0; o < ZOO_PANEL; o++) {
            out[k * ZOO_PANEL + o] = o < n ? rows[o * cols + k] : 0;
        }
    }
}

static uint16_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(x == x ? (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16 : bits >> 16 | 0x40u);
}

static void pack_bf16(uint16_t *out, const float *rows, uint32_t n, uint32_t cols)
{
    size_t padded = ((size_t)cols + 1) / 2 * 2;
    for (size_t k = 0; k < padded; k++) {
        for (size_t o = 0; o < ZOO_PANEL; o++) {
            bool in = o < n && k < cols;
            out[(k / 2 * ZOO_PANEL + o) * 2 + k % 2] = in ? to_bf16(rows[o * cols + k]) : 0;
        }
    }
}

static float size_of(const float *x, size_t n)
{
    float size = 0;
    for (size_t i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        size = a > size ? a : size;
    }
    return size;
}

/* q = x * inverse rounded to nearest even, within lo and hi, which are small. */
static void steps_of(const float *x, size_t n, float inverse, float lo, float hi, float *q)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it drops the fraction */
    for (size_t i = 0; i < n; i++) {
        float v = x[i] * inverse;
        v = v > lo ? v : lo;
        v = v < hi ? v : hi;
        q[i] = (v + magic) - magic;
    }
}

/* Quantises to steps q; returns the scale. */
static float fit_int8(const float *x, size_t n, float *q)
{
    float size = size_of(x, n);
    float inverse = size > 0 ? 127.0f / size : 0;
    steps_of(x, n, inverse, -127, 127, q);
    return size / 127.0f;
}

/* One group of a panel, rows x [n, stride], the first `width` columns of it. */
static void pack_int8_group(unsigned char *quads, float *scales, uint32_t group, const float *x,
                            size_t stride, const uint32_t *n_width)
{
    for (uint32_t o = 0; o < ZOO_PANEL; o++) {
        float q[GROUP_MAX] = {0};
        scales[o] = o < n_width[0] ? fit_int8(x + o * stride, n_width[1], q) : 0;
        for (uint32_t k = 0; k < group; k++) {
            quads[(k / 4 * ZOO_PANEL + o) * 4 + k % 4] = (unsigned char)(int)q[k];
        }
    }
}

static void pack_int4_group(unsigned char *quads, float *scales, const float *x, size_t stride,
                            const uint32_t *n_width)
{
    float columns[INT4_GROUP * ZOO_PANEL] = {0}, q[INT4_GROUP * ZOO_PANEL];
    for (uint32_t o = 0; o < n_width[0]; o++) {
        for (uint32_t k = 0; k < n_width[1]; k++) {
            columns[k * ZOO_PANEL + o] = x[o * stride + k];
        }
    }
    zoo_kernels_fit_int4(columns, q, scales);
    for (uint32_t k = 0; k < INT4_GROUP; k += 8) {
        for (uint32_t i = 0; i < 4 * ZOO_PANEL; i++, quads++) {
            int low = (int)q[(k + i % 4) * ZOO_PANEL + i / 4];
            int high = (int)q[(k + i % 4 + 4) * ZOO_PANEL + i / 4];
            *quads = (unsigned char)((low + 8) | (high + 8) << 4);
        }
    }
}

static void pack_groups(const zoo_weight *w, uint32_t panel, const float *rows, uint32_t n)
{
    size_t n_groups = groups_of(w->cols, w->group);
    size_t bytes = panel_bytes((zoo_dtype)w->kind, w->cols, w->group);
    unsigned char *data = (unsigned char *)(uintptr_t)w->data + panel * bytes;
    float *scales = (float *)(uintptr_t)w->scales + panel * n_groups * ZOO_PANEL;
    for (size_t g = 0; g < n_groups; g++) {
        uint32_t left = w->cols - (uint32_t)g * w->group;
        const uint32_t n_width[2] = {n, left < w->group ? left : w->group};
        const float *x = rows + g * w->group;
        unsigned char *at = data + g * (bytes / n_groups);
        if (w->kind == ZOO_INT8) {
            pack_int8_group(at, scales + g * ZOO_PANEL, w->group, x, w->cols, n_width);
        } else {
            pack_int4_group(at, scales + g * ZOO_PANEL, x, w->cols, n_width);
        }
    }
}

void zoo_pack_panel(zoo_weight *w, uint32_t panel, const float *rows, uint32_t n)
{
    unsigned char *data = (unsigned char *)(uintptr_t)w->data;
    data += panel * panel_bytes((zoo_dtype)w->kind, w->cols, w->group);
    switch (w->kind) {
    case ZOO_F32:
        pack_f32((float *)(void *)data, rows, n, w->cols);
        break;
    case ZOO_BF16:
        pack_bf16((uint16_t *)(void *)data, rows, n, w->cols);
        break;
    default:
        pack_groups(w, panel, rows, n);
        break;
    }
}

/* Value of column k, output o of the panel at data, unscaled. */
static float panel_value(const zoo_weight *w, const unsigned char *data, size_t k, uint32_t o)
{
    if (w->kind == ZOO_F32) {
        return ((const float *)(const void *)data)[k * ZOO_PANEL + o];
    }
    if (w->kind == ZOO_BF16) {
        uint16_t half = ((const uint16_t *)(const void *)data)[(k / 2 * ZOO_PANEL + o) * 2 + k % 2];
        uint32_t bits = (uint32_t)half << 16;
        float x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    if (w->kind == ZOO_INT8) {
        return (float)(int8_t)data[(k / 4 * ZOO_PANEL + o) * 4 + k % 4];
    }
    return (float)((data[(k / 8 * ZOO_PANEL + o) * 4 + k % 4] >> (k % 8 / 4 * 4) & 15) - 8);
}

void zoo_unpack_row(const zoo_weight *w, uint32_t row, float *out)
{
    uint32_t panel = row / ZOO_PANEL, o = row % ZOO_PANEL;
    const unsigned char *data = w->data;
    size_t n_groups = w->group ? groups_of(w->cols, w->group) : 0;
    data += panel * panel_bytes((zoo_dtype)w->kind, w->cols, w->group);
    for (size_t k = 0; k < w->cols; k++) {
        out[k] = panel_value(w, data, k, o);
        if (w->group) {
            out[k] *= w->scales[(panel * n_groups + k / w->group) * ZOO_PANEL + o];
        }
    }
}
