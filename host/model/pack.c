/*
 * pack.c: sizes of packed matrices, and reading them back; panels are filled by a kernel
 * (kernels/pack.inc) or, to the bit, by pack_grid.c.
 */
#include "model/pack.h"

#include "kernels/bf16.h"
#include "kernels/f16.h"
#include "kernels/int_rows.h"
#include "kernels/rotate.h"
#include "kernels/select.h"

#include <string.h>

enum { INT8_GROUP = 64, INT4_GROUP = 64, INT5_GROUP = 32, GROUP_MAX = 256 };

uint32_t zoo_pack_group(zoo_dtype kind)
{
    return kind == ZOO_INT8   ? INT8_GROUP
           : kind == ZOO_INT4 ? INT4_GROUP
           : kind == ZOO_INT5 ? INT5_GROUP
           : kind == ZOO_INT6 ? INT6_GROUP
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
        return group == 32 || group == 64 || (group == INT5_SHORT && cols % 32 == 0)
                   ? groups_of(cols, group) * group * ZOO_PANEL / 8 * 5
                   : 0;
    case ZOO_INT6:
        return group == INT6_GROUP ? groups_of(cols, group) * int_group_bytes(kind, group) : 0;
    default:
        return 0;
    }
}

size_t zoo_pack_size(zoo_dtype kind, uint32_t rows, uint32_t cols, uint32_t group,
                     size_t *scales_bytes)
{
    size_t panels = ((size_t)rows + ZOO_PANEL - 1) / ZOO_PANEL;
    size_t bytes = panel_bytes(kind, cols, group);
    size_t step = int_scales_step(kind, group) * sizeof(uint16_t);
    size_t factor = int_is_short(kind, group) ? sizeof(double) : 0;
    *scales_bytes = group ? panels * groups_of(cols, group) * step + factor : 0;
    return bytes && panels > SIZE_MAX / bytes ? 0 : panels * bytes;
}

const uint16_t *zoo_pack_scales(const zoo_weight *w, const void *data)
{
    size_t scales, bytes = zoo_pack_size((zoo_dtype)w->kind, w->rows, w->cols, w->group, &scales);
    const void *at = (const char *)data + (bytes + 63) / 64 * 64;
    return scales ? at : NULL;
}

bool zoo_pack_needs_grid(const zoo_weight *w)
{
    return int_is_short(w->kind, w->group);
}

void zoo_pack_factor(const zoo_weight *w, double factor)
{
    uint16_t *scales = (uint16_t *)(uintptr_t)w->scales;
    if (int_is_short(w->kind, w->group)) {
        memcpy(scales + int_scales_units(w), &factor, sizeof factor);
    }
}

void zoo_pack_panel(zoo_weight *w, uint32_t panel, const float *rows, uint32_t n)
{
    unsigned char *data = (unsigned char *)(uintptr_t)w->data;
    uint16_t *scales = (uint16_t *)(uintptr_t)w->scales;
    if (w->group) {
        scales += panel * groups_of(w->cols, w->group) * int_scales_step(w->kind, w->group);
    }
    data += panel * panel_bytes((zoo_dtype)w->kind, w->cols, w->group);
    zoo_kernels_pack_panel(w, rows, n, data, scales);
}

/* The five bits of column k < 32 of int5, output o. */
static int five_bits(const unsigned char *group, size_t k, uint32_t o)
{
    size_t at = (size_t)o * 4 + k % 4;
    int four = group[4 * ZOO_PANEL * (1 + k / 8) + at] >> (k % 8 / 4 * 4) & 15;
    return four + (group[at] >> (k / 4) & 1) * 16;
}

/* The six bits of column k < 16 of int6, output o. */
static int six_bits(const unsigned char *block, size_t k, uint32_t o)
{
    size_t at = (size_t)o * 4 + k % 4;
    int four = block[4 * ZOO_PANEL * (1 + k / 8) + at] >> (k % 8 / 4 * 4) & 15;
    return four + (block[at] >> (k / 4 * 2) & 3) * 16;
}

/* Value of column k, output o of the panel at data, unscaled; of int4 the code. */
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
    if (w->kind == ZOO_INT6) {
        return (float)(six_bits(data + k / 16 * 192, k % 16, o) - INT6_ZERO);
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
    const uint16_t *scales = NULL;
    float scale = 1;
    if (w->group) {
        size_t group = panel * groups_of(w->cols, w->group) + begin / w->group;
        scales = w->scales + group * int_scales_step(w->kind, w->group);
        scale = int_is_rotated(w->kind) ? bf16_value(scales[o]) : f16_value(scales[o]);
        scale = int_is_short(w->kind, w->group) ? int_short_unit(scales[o], int_factor(w)) : scale;
    }
    for (size_t i = 0; i < n; i++) {
        float value = panel_value(w, data, begin + i, o);
        if (w->kind == ZOO_INT4) {
            int4_steps s = int4_steps_at(scales, (uint32_t)i / 32, o);
            value = (value * (float)s.times - (float)s.zero) * 0.125f;
        }
        out[i] = value * scale;
    }
}

void zoo_unpack_row(const zoo_weight *w, uint32_t row, float *out)
{
    uint32_t panel = row / ZOO_PANEL, o = row % ZOO_PANEL;
    size_t step = w->group ? w->group : w->cols;
    for (size_t k = 0; k < w->cols; k += step) {
        size_t n = w->cols - k < step ? w->cols - k : step;
        if (!w->group) {
            unpack_part(w, panel, o, k, n, out + k);
            continue;
        }
        float group[GROUP_MAX];
        unpack_part(w, panel, o, k, step, group);
        if (int_is_rotated(w->kind)) {
            zoo_rotate(group, step, zoo_rotate_span(w->group));
        }
        for (size_t i = 0; i < n; i++) {
            out[w->order ? w->order[k + i] : k + i] = group[i];
        }
    }
}
