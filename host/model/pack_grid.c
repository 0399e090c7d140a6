/*
 * pack_grid.c: packs values that are on a quantisation grid already, to the bit (pack.h).
 *
 *   group of columns -> the scale of which all are whole multiples -> codes
 *
 * int4 and int5: the smallest value is some number of units of a scale that a half float holds.
 * int8 and int6: the values were rotated back, from whole multiples of a bf16 unit to sums of 64 of
 * them, which float32 holds; rotated again, the largest is some number of units. Memory: the stack.
 */
#include "model/pack.h"

#include "kernels/bf16.h"
#include "kernels/f16.h"
#include "kernels/int_rows.h"
#include "kernels/rotate.h"

#include <math.h>
#include <string.h>

enum { GROUP_MAX = 64 };

#define UNIT_MIN 1e-30f

/* Whole numbers of a scale, and codes for them but of int8 and int6; int4: eighths of the scale,
 * and steps of each run of 32 columns. */
typedef struct grid {
    uint16_t scale;
    int4_steps runs[GROUP_MAX / 32];
    int whole[GROUP_MAX];
    uint8_t codes[GROUP_MAX];
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

/* Sets the scale whose codes count `unit`, in eighths of it for int4; false: no half float. Where
 * there is a factor, the unit becomes what the scale nearest to it gives. */
static bool find_scale(const zoo_weight *w, double factor, float *unit, grid *out)
{
    float eighths = w->kind == ZOO_INT5 ? 1 : 8;
    if (int_is_short(w->kind, w->group)) {
        out->scale = f16_nearest((float)((double)*unit / factor));
        *unit = int_short_unit(out->scale, factor);
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

/* Whether a float32 is a bf16 of which products with whole numbers are exact. */
static bool is_unit(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0xffff) == 0 && fabsf(x) > UNIT_MIN && fabsf(x) < INFINITY;
}

/* The same for int8 and int6: codes are whole. */
static bool find_rotated(const zoo_weight *w, const float *x, uint32_t n, grid *out)
{
    float values[GROUP_MAX] = {0}, top = 0;
    int most = w->kind == ZOO_INT6 ? INT6_MAX : 127;
    for (uint32_t i = 0; i < n; i++) {
        values[i] = x[i];
    }
    zoo_rotate(values, GROUP_MAX, GROUP_MAX);
    for (uint32_t i = 0; i < GROUP_MAX; i++) {
        values[i] /= GROUP_MAX;
        top = fabsf(values[i]) > top ? fabsf(values[i]) : top;
    }
    *out = (grid){0};
    for (int k = most; k > 0 && top > 0; k--) {
        float unit = top / (float)k;
        uint32_t bits;
        if (is_unit(unit) && are_whole(values, GROUP_MAX, unit, most, out->whole)) {
            memcpy(&bits, &unit, sizeof bits);
            out->scale = (uint16_t)(bits >> 16);
            return true;
        }
    }
    memset(out->whole, 0, sizeof out->whole);
    return all_zero(x, n);
}

static bool find_any(const zoo_weight *w, double factor, const float *x, uint32_t n, grid *out)
{
    return int_is_rotated(w->kind) ? find_rotated(w, x, n, out) : find_grid(w, factor, x, n, out);
}

static bool has_grid(uint32_t kind, uint32_t group)
{
    bool steps = kind == ZOO_INT4 || kind == ZOO_INT5;
    return steps || (int_is_rotated(kind) && group == GROUP_MAX);
}

bool zoo_pack_is_exact(zoo_dtype kind, uint32_t group, const float *row, uint32_t cols)
{
    zoo_weight w = {.kind = kind, .rows = 1, .cols = cols, .group = group};
    bool exact = has_grid(kind, group);
    for (uint32_t k = 0; k < cols && exact; k += group) {
        grid found;
        exact = find_any(&w, 1, row + k, cols - k < group ? cols - k : group, &found);
    }
    return exact;
}

/* Codes of output o from column `begin` on to a panel of int4 or int5 that was cleared. */
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

/* The same for int8 and int6. */
static void put_rotated(const zoo_weight *w, const grid *g, uint32_t o, size_t begin,
                        unsigned char *panel, uint16_t *scales)
{
    unsigned char *group = panel + begin / GROUP_MAX * int_group_bytes(w->kind, GROUP_MAX);
    scales[o] = g->scale;
    for (uint32_t k = 0; k < GROUP_MAX; k++) {
        if (w->kind == ZOO_INT8) {
            group[(k / 4 * ZOO_PANEL + o) * 4 + k % 4] = (unsigned char)g->whole[k];
            continue;
        }
        unsigned char *block = group + k / 16 * 192,
                      code = (unsigned char)(g->whole[k] + INT6_ZERO);
        unsigned char *upper = &block[o * 4 + k % 4];
        unsigned char *four = &block[((1 + k % 16 / 8) * ZOO_PANEL + o) * 4 + k % 4];
        *upper = (unsigned char)(*upper | code >> 4 << (k % 16 / 4 * 2));
        *four = (unsigned char)(*four | (code & 15) << (k % 8 / 4 * 4));
    }
}

/* Group g of output o; null row: an output that is not there. false: no grid. */
static bool pack_group(const zoo_weight *w, double factor, const float *row, uint32_t o, size_t g,
                       unsigned char *panel, uint16_t *scales)
{
    grid found;
    size_t begin = g * w->group, left = w->cols - begin;
    uint32_t n = row ? (uint32_t)(left < w->group ? left : w->group) : 0;
    if (!find_any(w, factor, row ? row + begin : NULL, n, &found)) {
        return false;
    }
    scales += g * int_scales_step(w->kind, w->group);
    if (int_is_rotated(w->kind)) {
        put_rotated(w, &found, o, begin, panel, scales);
        return true;
    }
    memset(found.codes + n, w->kind == ZOO_INT5 ? INT5_ZERO : 0, sizeof found.codes - n);
    put_grid(w, &found, o, begin, panel, scales);
    return true;
}

bool zoo_pack_panel_exact(zoo_weight *w, uint32_t panel, const float *rows, uint32_t n)
{
    grid first;
    uint32_t n_first = w->cols < w->group ? w->cols : w->group;
    if (!has_grid(w->kind, w->group) || !find_any(w, int_factor(w), rows, n_first, &first)) {
        return false;
    }
    size_t groups = int_groups(w->cols, w->group), step = int_scales_step(w->kind, w->group);
    size_t bytes = groups * int_group_bytes(w->kind, w->group);
    unsigned char *data = (unsigned char *)(uintptr_t)w->data + panel * bytes;
    uint16_t *scales = (uint16_t *)(uintptr_t)w->scales + panel * groups * step;
    double factor = int_factor(w);
    memset(data, 0, bytes);
    memset(scales, 0, groups * step * sizeof *scales);
    for (size_t g = 0; g < groups; g++) {
        for (uint32_t o = 0; o < ZOO_PANEL; o++) {
            const float *row = o < n ? rows + (size_t)o * w->cols : NULL;
            if (!pack_group(w, factor, row, o, g, data, scales)) {
                return false;
            }
        }
    }
    return true;
}
