/*
 * pack.c: sizes of packed matrices, and reading them back; panels are filled by a kernel
 * (kernels/pack.inc).
 */
#include "model/pack.h"

#include "kernels/bf16.h"
#include "kernels/f16.h"
#include "kernels/int_rows.h"
#include "kernels/rotate.h"
#include "kernels/select.h"

#include <math.h>
#include <string.h>

enum { INT8_GROUP = 64, INT4_GROUP = 32, INT5_GROUP = 32, STEPS_GROUP_MAX = 64, GROUP_MAX = 256 };

uint32_t zoo_pack_group(zoo_dtype kind)
{
    return kind == ZOO_INT8   ? INT8_GROUP
           : kind == ZOO_INT4 ? INT4_GROUP
           : kind == ZOO_INT5 ? INT5_GROUP
                              : 0;
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
        return group == 32 || group == 64 ? groups_of(cols, group) * group * ZOO_PANEL / 2 : 0;
    case ZOO_INT5:
        return group == 32 || group == 64 ? groups_of(cols, group) * group * ZOO_PANEL / 8 * 5 : 0;
    default:
        return 0;
    }
}

size_t zoo_pack_size(zoo_dtype kind, uint32_t rows, uint32_t cols, uint32_t group,
                     size_t *scales_bytes)
{
    size_t panels = ((size_t)rows + ZOO_PANEL - 1) / ZOO_PANEL;
    size_t bytes = panel_bytes(kind, cols, group);
    size_t step = int_scales_step(kind) * sizeof(uint16_t);
    *scales_bytes = group ? panels * groups_of(cols, group) * step : 0;
    return bytes && panels > SIZE_MAX / bytes ? 0 : panels * bytes;
}

const uint16_t *zoo_pack_scales(const zoo_weight *w, const void *data)
{
    size_t scales, bytes = zoo_pack_size((zoo_dtype)w->kind, w->rows, w->cols, w->group, &scales);
    const void *at = (const char *)data + (bytes + 63) / 64 * 64;
    return scales ? at : NULL;
}

void zoo_pack_panel(zoo_weight *w, uint32_t panel, const float *rows, uint32_t n)
{
    unsigned char *data = (unsigned char *)(uintptr_t)w->data;
    uint16_t *scales = (uint16_t *)(uintptr_t)w->scales;
    if (w->group) {
        scales += panel * groups_of(w->cols, w->group) * int_scales_step(w->kind);
    }
    data += panel * panel_bytes((zoo_dtype)w->kind, w->cols, w->group);
    zoo_kernels_pack_panel(w, rows, n, data, scales);
}

/* ---- values that lie on a grid already ---- */

typedef struct grid {
    uint16_t scale;
    int zero;
    uint8_t codes[STEPS_GROUP_MAX];
} grid;

/* Whether all n values are whole multiples of scale, from -zero on within `width` steps; zero below
 * 0: the one that the least value asks for. */
static bool on_grid(const float *x, uint32_t n, float scale, int width, int zero, grid *out)
{
    int low = 0, high = 0, steps[STEPS_GROUP_MAX];
    for (uint32_t i = 0; i < n; i++) {
        float q = rintf(x[i] / scale);
        if (!(fabsf(q) <= (float)width) || q * scale != x[i]) {
            return false;
        }
        steps[i] = (int)q;
        low = steps[i] < low ? steps[i] : low;
        high = steps[i] > high ? steps[i] : high;
    }
    out->zero = zero < 0 ? -low : zero;
    for (uint32_t i = 0; i < n; i++) {
        out->codes[i] = (uint8_t)(steps[i] + out->zero);
    }
    return low + out->zero >= 0 && high + out->zero <= width;
}

/* Finds scale, zero and codes that give n values to the bit. The smallest is some number of steps
 * of a scale that a half float holds. */
static bool find_grid(const zoo_weight *w, const float *x, uint32_t n, grid *out)
{
    bool five = w->kind == ZOO_INT5;
    float least = 0;
    for (uint32_t i = 0; i < n; i++) {
        float size = fabsf(x[i]);
        least = size > 0 && !(size >= least && least > 0) ? size : least;
    }
    *out = (grid){.zero = five ? INT5_ZERO : 0};
    memset(out->codes, out->zero, sizeof out->codes);
    for (int k = 1; k <= (five ? 16 : 15) && least > 0; k++) {
        float scale = least / (float)k;
        for (int sign = 1; sign >= (five ? -1 : 1); sign -= 2) {
            out->scale = f16_nearest(scale * (float)sign);
            if (f16_value(out->scale) == scale * (float)sign &&
                on_grid(x, n, scale * (float)sign, five ? 31 : 15, five ? INT5_ZERO : -1, out)) {
                return true;
            }
        }
    }
    return least == 0;
}

/* Codes of output o to a group of a panel that was cleared. */
static void put_grid(const zoo_weight *w, const grid *g, uint32_t o, unsigned char *group,
                     uint16_t *scales)
{
    bool five = w->kind == ZOO_INT5;
    scales[o] = g->scale;
    if (!five) {
        unsigned char *zeros = (unsigned char *)(scales + ZOO_PANEL) + o % 8;
        *zeros = (unsigned char)(*zeros | g->zero << (o / 8 * 4));
    }
    for (uint32_t k = 0; k < w->group; k++) {
        unsigned char *block = group + (five ? k / 32 * 320 : 0);
        uint32_t eight = five ? k % 32 / 8 + 1 : k / 8;
        unsigned char *four = &block[(eight * ZOO_PANEL + o) * 4 + k % 4];
        *four = (unsigned char)(*four | (g->codes[k] & 15) << (k % 8 / 4 * 4));
        if (five) {
            unsigned char *fifth = &block[o * 4 + k % 4];
            *fifth = (unsigned char)(*fifth | g->codes[k] >> 4 << (k % 32 / 4));
        }
    }
}

bool zoo_pack_panel_exact(zoo_weight *w, uint32_t panel, const float *rows, uint32_t n)
{
    if (w->kind != ZOO_INT4 && w->kind != ZOO_INT5) {
        return false;
    }
    size_t groups = groups_of(w->cols, w->group), step = int_scales_step(w->kind);
    size_t bytes = panel_bytes((zoo_dtype)w->kind, w->cols, w->group);
    unsigned char *data = (unsigned char *)(uintptr_t)w->data + panel * bytes;
    uint16_t *scales = (uint16_t *)(uintptr_t)w->scales + panel * groups * step;
    memset(data, 0, bytes);
    memset(scales, 0, groups * step * sizeof *scales);
    for (size_t g = 0; g < groups; g++) {
        size_t begin = g * w->group, left = w->cols - begin;
        for (uint32_t o = 0; o < ZOO_PANEL; o++) {
            grid found;
            uint32_t n_values = o < n ? (uint32_t)(left < w->group ? left : w->group) : 0;
            if (!find_grid(w, rows + (o < n ? o * w->cols + begin : 0), n_values, &found)) {
                return false;
            }
            memset(found.codes + n_values, found.zero, sizeof found.codes - n_values);
            put_grid(w, &found, o, data + g * (bytes / groups), scales + g * step);
        }
    }
    return true;
}

/* The five bits of column k < 32 of int5, output o. */
static int five_bits(const unsigned char *group, size_t k, uint32_t o)
{
    size_t at = (size_t)o * 4 + k % 4;
    int four = group[4 * ZOO_PANEL * (1 + k / 8) + at] >> (k % 8 / 4 * 4) & 15;
    return four + (group[at] >> (k / 4) & 1) * 16;
}

/* Value of column k, output o of the panel at data, unscaled and with the zero of int4. */
static float panel_value(const zoo_weight *w, const unsigned char *data, size_t k, uint32_t o)
{
    if (w->kind == ZOO_F32) {
        return ((const float *)(const void *)data)[k * ZOO_PANEL + o];
    }
    if (w->kind == ZOO_BF16) {
        return bf16_value(
            ((const uint16_t *)(const void *)data)[(k / 2 * ZOO_PANEL + o) * 2 + k % 2]);
    }
    if (w->kind == ZOO_INT8) {
        return (float)(int8_t)data[(k / 4 * ZOO_PANEL + o) * 4 + k % 4];
    }
    if (w->kind == ZOO_INT5) {
        return (float)(five_bits(data + k / 32 * 320, k % 32, o) - INT5_ZERO);
    }
    return (float)(data[(k / 8 * ZOO_PANEL + o) * 4 + k % 4] >> (k % 8 / 4 * 4) & 15);
}

/* Columns begin .. begin + n - 1 of output o, all of one group where there are groups. */
static void unpack_part(const zoo_weight *w, uint32_t panel, uint32_t o, size_t begin, size_t n,
                        float *out)
{
    const unsigned char *data = w->data;
    data += panel * panel_bytes((zoo_dtype)w->kind, w->cols, w->group);
    float scale = 1, zero = 0;
    if (w->group) {
        size_t group = panel * groups_of(w->cols, w->group) + begin / w->group;
        const uint16_t *scales = w->scales + group * int_scales_step(w->kind);
        scale = w->kind == ZOO_INT8 ? bf16_value(scales[o]) : f16_value(scales[o]);
        zero = w->kind == ZOO_INT4 ? (float)int4_zero(scales + ZOO_PANEL, o) : 0;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = (panel_value(w, data, begin + i, o) - zero) * scale;
    }
}

void zoo_unpack_row(const zoo_weight *w, uint32_t row, float *out)
{
    uint32_t panel = row / ZOO_PANEL, o = row % ZOO_PANEL;
    size_t step = w->group ? w->group : w->cols;
    for (size_t k = 0; k < w->cols; k += step) {
        size_t n = w->cols - k < step ? w->cols - k : step;
        if (w->kind == ZOO_INT8) {
            float group[GROUP_MAX];
            unpack_part(w, panel, o, k, step, group);
            zoo_rotate(group, step, zoo_rotate_span(w->group));
            memcpy(out + k, group, n * sizeof *out);
        } else {
            unpack_part(w, panel, o, k, n, out + k);
        }
    }
}
