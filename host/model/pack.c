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

enum { INT8_GROUP = 64, INT4_GROUP = 64, INT5_GROUP = 32, STEPS_GROUP_MAX = 64, GROUP_MAX = 256 };

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
        return group == 32 || group == 64 || (group == INT5_SHORT && cols % 32 == 0)
                   ? groups_of(cols, group) * group * ZOO_PANEL / 8 * 5
                   : 0;
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

/* ---- values that are on a quantisation grid already ---- */

/* Whole numbers of a scale, and codes for them; int4: eighths of the scale, and steps of each run
 * of 32 columns. */
typedef struct grid {
    uint16_t scale;
    int4_steps runs[STEPS_GROUP_MAX / 32];
    int whole[STEPS_GROUP_MAX];
    uint8_t codes[STEPS_GROUP_MAX];
} grid;

/* Whether all n values are whole multiples of `unit`, from -most to most. */
static bool are_whole(const float *x, uint32_t n, float unit, int most, int *whole)
{
    for (uint32_t i = 0; i < n; i++) {
        float q = rintf(x[i] / unit);
        if (!(fabsf(q) <= (float)most) || q * unit != x[i]) {
            return false;
        }
        whole[i] = (int)q;
    }
    return true;
}

/* Steps for n whole numbers: a multiple of `times` apart from each other, at most 15 of them. */
static bool run_steps(const int *whole, uint32_t n, int4_steps *out)
{
    int low = 0, high = 0;
    for (uint32_t i = 0; i < n; i++) {
        low = i == 0 || whole[i] < low ? whole[i] : low;
        high = i == 0 || whole[i] > high ? whole[i] : high;
    }
    for (int times = INT4_TIMES_MAX; times >= INT4_TIMES_MIN; times--) {
        bool fits = high - low <= 15 * times;
        for (uint32_t i = 0; i < n && fits; i++) {
            fits = (whole[i] - low) % times == 0;
        }
        int zero = low > 0 ? (times - low % times) % times : -low;
        for (; fits && zero <= INT4_ZERO_MAX && high + zero <= 15 * times; zero += times) {
            if (zero % 2 == 0) {
                *out = (int4_steps){times, zero};
                return true;
            }
        }
    }
    return false;
}

static bool four_codes(uint32_t n, grid *out)
{
    for (uint32_t k = 0; k < n; k += 32) {
        uint32_t left = n - k < 32 ? n - k : 32;
        if (!run_steps(out->whole + k, left, &out->runs[k / 32])) {
            return false;
        }
        for (uint32_t i = k; i < k + left; i++) {
            int4_steps s = out->runs[k / 32];
            out->codes[i] = (uint8_t)((out->whole[i] + s.zero) / s.times);
        }
    }
    return true;
}

static bool five_codes(uint32_t n, grid *out)
{
    for (uint32_t i = 0; i < n; i++) {
        if (out->whole[i] + INT5_ZERO > 31) {
            return false;
        }
        out->codes[i] = (uint8_t)(out->whole[i] + INT5_ZERO);
    }
    return true;
}

static bool all_zero(const float *x, uint32_t n)
{
    bool zero = true;
    for (uint32_t i = 0; i < n; i++) {
        zero = zero && x[i] == 0;
    }
    return zero;
}

static float least_of(const float *x, uint32_t n)
{
    float least = 0;
    for (uint32_t i = 0; i < n; i++) {
        float size = fabsf(x[i]);
        least = size > 0 && !(size >= least && least > 0) ? size : least;
    }
    return least;
}

/* What a scale of short groups multiplies. */
static float short_unit(uint16_t scale, double factor)
{
    return (float)((double)f16_value(scale) * factor);
}

/* Sets the scale whose codes count `unit`, in eighths of it for int4; false: no half float. Where
 * there is a factor, the unit becomes what the scale nearest to it gives. */
static bool find_scale(const zoo_weight *w, double factor, float *unit, grid *out)
{
    float eighths = w->kind == ZOO_INT5 ? 1 : 8;
    if (int_is_short(w->kind, w->group)) {
        out->scale = f16_nearest((float)((double)*unit / factor));
        *unit = short_unit(out->scale, factor);
        return *unit != 0;
    }
    out->scale = f16_nearest(*unit * eighths);
    return f16_value(out->scale) == *unit * eighths;
}

/* Finds scale, steps and codes that give n values to the bit. The smallest is some number of units
 * of a scale that a half float holds. */
static bool find_grid(const zoo_weight *w, double factor, const float *x, uint32_t n, grid *out)
{
    bool five = w->kind == ZOO_INT5;
    int most = five ? INT5_ZERO : INT4_ZERO_MAX;
    float least = least_of(x, n);
    *out = (grid){.runs = {{INT4_TIMES_MAX, 0}, {INT4_TIMES_MAX, 0}}};
    memset(out->codes, five ? INT5_ZERO : 0, sizeof out->codes);
    for (int k = 1; k <= most && least > 0; k++) {
        for (int sign = 1; sign >= (five ? -1 : 1); sign -= 2) {
            float unit = least / (float)(k * sign);
            if (find_scale(w, factor, &unit, out) && are_whole(x, n, unit, most, out->whole) &&
                (five ? five_codes : four_codes)(n, out)) {
                return true;
            }
        }
    }
    return all_zero(x, n);
}

bool zoo_pack_is_exact(zoo_dtype kind, uint32_t group, const float *row, uint32_t cols)
{
    zoo_weight w = {.kind = kind, .rows = 1, .cols = cols, .group = group};
    for (uint32_t k = 0; k < cols; k += group) {
        grid found;
        if (!find_grid(&w, 1, row + k, cols - k < group ? cols - k : group, &found)) {
            return false;
        }
    }
    return true;
}

/* Codes of output o from column `begin` on to a panel that was cleared. */
static void put_grid(const zoo_weight *w, const grid *g, uint32_t o, size_t begin,
                     unsigned char *panel, uint16_t *scales)
{
    bool five = w->kind == ZOO_INT5;
    unsigned char *steps = (unsigned char *)(scales + ZOO_PANEL);
    scales[o] = g->scale;
    for (uint32_t run = 0; !five && run < w->group / 32; run++) {
        steps[run * ZOO_PANEL + o] = int4_byte(g->runs[run]);
    }
    for (uint32_t i = 0; i < w->group; i++) {
        size_t k = begin + i;
        unsigned char *block = panel + (five ? k / 32 * 320 : 0);
        size_t eight = five ? k % 32 / 8 + 1 : k / 8;
        unsigned char *four = &block[(eight * ZOO_PANEL + o) * 4 + k % 4];
        *four = (unsigned char)(*four | (g->codes[i] & 15) << (k % 8 / 4 * 4));
        if (five) {
            unsigned char *fifth = &block[o * 4 + k % 4];
            *fifth = (unsigned char)(*fifth | g->codes[i] >> 4 << (k % 32 / 4));
        }
    }
}

bool zoo_pack_panel_exact(zoo_weight *w, uint32_t panel, const float *rows, uint32_t n)
{
    if (w->kind != ZOO_INT4 && w->kind != ZOO_INT5) {
        return false;
    }
    size_t groups = groups_of(w->cols, w->group), step = int_scales_step(w->kind, w->group);
    size_t bytes = panel_bytes((zoo_dtype)w->kind, w->cols, w->group);
    unsigned char *data = (unsigned char *)(uintptr_t)w->data + panel * bytes;
    uint16_t *scales = (uint16_t *)(uintptr_t)w->scales + panel * groups * step;
    double factor = int_factor(w);
    memset(data, 0, bytes);
    memset(scales, 0, groups * step * sizeof *scales);
    for (size_t g = 0; g < groups; g++) {
        size_t begin = g * w->group, left = w->cols - begin;
        for (uint32_t o = 0; o < ZOO_PANEL; o++) {
            grid found;
            uint32_t n_values = o < n ? (uint32_t)(left < w->group ? left : w->group) : 0;
            if (!find_grid(w, factor, rows + (o < n ? o * w->cols + begin : 0), n_values, &found)) {
                return false;
            }
            memset(found.codes + n_values, w->kind == ZOO_INT5 ? INT5_ZERO : 0,
                   sizeof found.codes - n_values);
            put_grid(w, &found, o, begin, data, scales + g * step);
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
        scale = w->kind == ZOO_INT8 ? bf16_value(scales[o]) : f16_value(scales[o]);
        scale = int_is_short(w->kind, w->group) ? short_unit(scales[o], int_factor(w)) : scale;
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
