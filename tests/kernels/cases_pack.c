/* cases_pack.c: packing against plain loops and reading back; int4 against plain rounding. */
#include "kt.h"

#include "kernels/f16.h"
#include "kernels/int_rows.h"
#include "kernels/kernels.inc"

#include <math.h>
#include <string.h>

static void pack_all(zoo_weight *w, const float *x)
{
    size_t scales, bytes = zoo_pack_size((zoo_dtype)w->kind, w->rows, w->cols, w->group, &scales);
    w->data = kt_take(bytes);
    w->scales = scales ? kt_take(scales) : NULL;
    for (uint32_t p = 0; p * ZOO_PANEL < w->rows; p++) {
        uint32_t n = w->rows - p * ZOO_PANEL < ZOO_PANEL ? w->rows - p * ZOO_PANEL : ZOO_PANEL;
        zoo_pack_panel(w, p, x + (size_t)p * ZOO_PANEL * w->cols, n);
    }
}

/* Root of the mean squared error over that of x. */
static double pack_error(const zoo_weight *w, const float *x)
{
    float *row = kt_floats(w->cols);
    double error = 0, size = 0;
    for (uint32_t o = 0; o < w->rows; o++) {
        zoo_unpack_row(w, o, row);
        for (uint32_t k = 0; k < w->cols; k++) {
            double v = (double)x[(size_t)o * w->cols + k], e = (double)row[k] - v;
            error += e * e;
            size += v * v;
        }
    }
    return sqrt(error / size);
}

/* Groups of 32 by the largest value over -8, as a plain 4-bit format does. */
static double plain_error(const float *x, size_t n)
{
    double error = 0, size = 0;
    for (size_t g = 0; g < n; g += 32) {
        float top = 0;
        for (size_t i = g; i < g + 32; i++) {
            top = fabsf(x[i]) > fabsf(top) ? x[i] : top;
        }
        float d = top / -8, inverse = d != 0 ? 1 / d : 0;
        for (size_t i = g; i < g + 32; i++) {
            float q = floorf(x[i] * inverse + 8.5f);
            double e = (double)(((q > 15 ? 15 : q) - 8) * d) - (double)x[i];
            error += e * e;
            size += (double)x[i] * (double)x[i];
        }
    }
    return sqrt(error / size);
}

static float normal(void)
{
    float sum = 0;
    for (int i = 0; i < 12; i++) {
        sum += kt_value(0.5f);
    }
    return sum;
}

static void errors(void)
{
    uint32_t rows = 64, cols = 1024;
    float *x = kt_floats((size_t)rows * cols);
    for (size_t i = 0; i < (size_t)rows * cols; i++) {
        x[i] = normal() * 0.02f;
    }
    zoo_weight w = {.kind = ZOO_INT4, .rows = rows, .cols = cols, .group = 64};
    pack_all(&w, x);
    double four = pack_error(&w, x), plain = plain_error(x, (size_t)rows * cols);
    kt_check(four < 0.88 * plain, "int4: error %.4f, plain rounding %.4f", four, plain);
    w.kind = ZOO_INT5;
    w.group = 32;
    pack_all(&w, x);
    double five = pack_error(&w, x);
    kt_check(five < 0.48 * plain, "int5: error %.4f, plain rounding to four bits %.4f", five,
             plain);
    w = (zoo_weight){.kind = ZOO_INT8, .rows = rows, .cols = cols, .group = 32};
    pack_all(&w, x);
    double by32 = pack_error(&w, x);
    w.group = 64;
    pack_all(&w, x);
    kt_check(by32 < 0.006, "int8: error %.5f in groups of 32, %.5f in groups of 64", by32,
             pack_error(&w, x));
    w.kind = ZOO_INT6;
    pack_all(&w, x);
    double six = pack_error(&w, x);
    kt_check(six < 0.65 * five, "int6: error %.4f, int5 %.4f", six, five);
    kt_clear();
}

static void exact_kinds(void)
{
    bool same = true;
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t rows = 1 + kt_below(50), cols = 1 + kt_below(90);
        float *x = kt_values((size_t)rows * cols, 1), *row = kt_floats(cols);
        for (uint32_t kind = 0; kind < 2; kind++) {
            zoo_weight w = {.kind = kind, .rows = rows, .cols = cols};
            for (size_t j = 0; j < (size_t)rows * cols && kind; j++) {
                uint32_t bits;
                memcpy(&bits, &x[j], sizeof bits);
                bits &= 0xffff0000u;
                memcpy(&x[j], &bits, sizeof bits);
            }
            pack_all(&w, x);
            for (uint32_t o = 0; o < rows; o++) {
                zoo_unpack_row(&w, o, row);
                same &= kt_same(row, x + (size_t)o * cols, cols);
            }
        }
        kt_clear();
    }
    kt_check(same, "f32 and bf16 values come back as they were");
}

/* As `quantise` gives them: runs of 32 with steps of their own, in eighths of a scale. */
static void fill_runs(float *x, uint32_t n)
{
    float unit = f16_value(f16_nearest(fabsf(kt_value(0.1f)))) / 8;
    for (uint32_t k = 0; k < n; k += 32) {
        int times = 5 + (int)kt_below(4), zero = 2 * (int)kt_below(8 * (uint32_t)times - 7);
        for (uint32_t i = k; i < n && i < k + 32; i++) {
            x[i] = (float)(times * (int)kt_below(16) - zero) * unit;
        }
    }
}

/* Values as quantised checkpoints give them: (code - zero) * scale, scales of half floats. */
static void fill_grid(float *x, uint32_t n, uint32_t kind)
{
    int top = kind == ZOO_INT5 ? 31 : 15, zero = kind == ZOO_INT5 ? 16 : (int)kt_below(16);
    float scale = f16_value(f16_nearest(kt_value(0.1f)));
    int step = kt_below(4) ? 1 : 3; /* every third code alone */
    for (uint32_t i = 0; i < n; i++) {
        int code = (int)kt_below((uint32_t)top + 1) / step * step;
        x[i] = (float)(code - zero) * scale;
    }
}

/* Four-bit floats times a power of two, as MXFP4 stores them. */
static void fill_e2m1(float *x, uint32_t n)
{
    static const float values[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    float scale = ldexpf(1, (int)kt_below(16) - 12);
    for (uint32_t i = 0; i < n; i++) {
        x[i] = values[kt_below(8)] * (kt_below(2) ? scale : -scale);
    }
}

/* Whether all panels of x are packed on their grids, and unpacked to x. */
static bool comes_back(zoo_weight *w, const float *x)
{
    float *row = kt_floats(w->cols);
    bool same = true;
    for (uint32_t p = 0; p * ZOO_PANEL < w->rows; p++) {
        uint32_t left = w->rows - p * ZOO_PANEL, n = left < ZOO_PANEL ? left : ZOO_PANEL;
        same &= zoo_pack_panel_exact(w, p, x + (size_t)p * ZOO_PANEL * w->cols, n);
    }
    for (uint32_t o = 0; o < w->rows; o++) {
        zoo_unpack_row(w, o, row);
        for (uint32_t k = 0; k < w->cols; k++) {
            same &= row[k] == x[(size_t)o * w->cols + k];
        }
    }
    return same;
}

/* As `quantise` gives int8 and int6: whole multiples of a unit in rotated groups, rotated back. */
static void fill_rotated(float *x, uint32_t kind)
{
    int most = kind == ZOO_INT6 ? 31 : 127, top = 1 + (int)kt_below((uint32_t)most);
    float unit = kt_value(0.1f);
    uint32_t bits;
    memcpy(&bits, &unit, sizeof bits);
    bits &= 0xffff0000u;
    memcpy(&unit, &bits, sizeof bits);
    for (uint32_t i = 0; i < 64; i++) {
        x[i] = (float)((int)kt_below(2 * (uint32_t)top + 1) - top) * unit;
    }
    zoo_rotate(x, 64, 64);
}

static void rotated_grids(void)
{
    bool same = true, refused = true;
    for (uint32_t i = 0; i < 40; i++) {
        zoo_weight w = {.kind = i % 2 ? ZOO_INT8 : ZOO_INT6,
                        .rows = 1 + kt_below(50),
                        .cols = 64 * (1 + kt_below(4)),
                        .group = 64};
        float *x = kt_floats((size_t)w.rows * w.cols);
        for (uint32_t k = 0; k < w.rows * w.cols; k += 64) {
            fill_rotated(x + k, w.kind);
        }
        memset(x, 0, 64 * sizeof *x);
        pack_all(&w, x);
        same &= comes_back(&w, x);
        for (uint32_t o = 0; o < w.rows; o++) {
            const float *row = x + (size_t)o * w.cols;
            same &= zoo_pack_is_exact((zoo_dtype)w.kind, 64, row, w.cols);
        }
        x[0] += 0.01f;
        refused &= !zoo_pack_panel_exact(&w, 0, x, w.rows < 16 ? w.rows : 16);
        kt_clear();
    }
    kt_check(same, "int8 and int6 values on a grid of rotated groups come back as they were");
    kt_check(refused, "values off such a grid are rounded");
}

static void grids(void)
{
    bool same = true, refused = true;
    for (uint32_t i = 0; i < 40; i++) {
        zoo_weight w = {.kind = i % 2 ? ZOO_INT4 : ZOO_INT5,
                        .rows = 1 + kt_below(50),
                        .cols = 1 + kt_below(200),
                        .group = 32 + i / 2 % 2 * 32};
        float *x = kt_floats((size_t)w.rows * w.cols);
        for (uint32_t k = 0; k < w.rows * w.cols; k++) {
            uint32_t at = k % w.cols, left = w.cols - at;
            if (at % w.group == 0) {
                left = left < w.group ? left : w.group;
                if (w.kind == ZOO_INT4 && i % 8 < 4) {
                    fill_runs(x + k, left);
                } else if (w.kind == ZOO_INT5 && i % 8 < 4) {
                    fill_e2m1(x + k, left);
                } else {
                    fill_grid(x + k, left, w.kind);
                }
            }
        }
        pack_all(&w, x);
        same &= comes_back(&w, x);
        x[0] += 0.01f; /* no half float's multiple */
        refused &= w.cols < 3 || !zoo_pack_panel_exact(&w, 0, x, w.rows < 16 ? w.rows : 16);
        kt_clear();
    }
    kt_check(same, "values on a grid of steps come back as they were");
    kt_check(refused, "values off it are left to the fit");
}

/* Four-bit floats in groups of 16 as NVFP4 stores them: each with a scale of four bits, times a
 * float32 or divided by one. Not all scales are such that three times them is a float32. */
static void fill_nvfp4(float *x, uint32_t cols, float global, bool divides)
{
    static const float values[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    for (uint32_t k = 0; k < cols; k += 16) {
        float scale = ldexpf((float)kt_below(16), (int)kt_below(16) - 9);
        scale = divides ? scale / global : scale * global;
        for (uint32_t i = k; i < k + 16; i++) {
            x[i] = values[kt_below(8)] * (kt_below(2) ? scale : -scale);
        }
    }
}

static void short_groups(void)
{
    bool same = true, refused = true;
    for (uint32_t i = 0; i < 60; i++) {
        zoo_weight w = {.kind = ZOO_INT5, .rows = 1 + kt_below(50), .cols = 32 * (1 + i % 7)};
        float global = 0.0001f + fabsf(kt_value(i % 3 ? 1 : 3000));
        float *x = kt_floats((size_t)w.rows * w.cols);
        size_t scales, bytes;
        w.group = 16;
        bytes = zoo_pack_size(ZOO_INT5, w.rows, w.cols, 16, &scales);
        w.data = kt_take(bytes);
        w.scales = kt_take(scales);
        zoo_pack_factor(&w, i % 2 ? 1 / (double)global : (double)global);
        for (uint32_t o = 0; o < w.rows; o++) {
            fill_nvfp4(x + (size_t)o * w.cols, w.cols, global, i % 2);
        }
        same &= comes_back(&w, x);
        x[0] = NAN;
        refused &= !zoo_pack_panel_exact(&w, 0, x, w.rows < 16 ? w.rows : 16);
        kt_clear();
    }
    kt_check(same,
             "four-bit floats in groups of 16 with scales of their own come back as they were");
    kt_check(refused, "what is not a number is no such value");
}

static void refusals(void)
{
    size_t scales;
    bool right = zoo_pack_size(ZOO_F16, 16, 16, 0, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT8, 16, 16, 0, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT8, 16, 16, 20, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT4, 16, 16, 128, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT5, 16, 16, 48, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT5, 16, 48, 16, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT6, 16, 64, 32, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT4, 16, 64, 16, &scales) == 0 &&
                 zoo_pack_size(ZOO_F32, UINT32_MAX, UINT32_MAX, 0, &scales) != 16;
    zoo_error err = {0};
    right &= !zoo_kernels_select("sse9", &err) && err.code == ZOO_E_USAGE &&
             strstr(err.text, "sse9") && strstr(err.text, "scalar");
    kt_check(right, "kinds, groups and instruction sets that are not there are refused");
}

static bool has(const char *isa)
{
    zoo_error err;
    return zoo_kernels_select(isa, &err) != NULL;
}

static void fits(void)
{
    bool same = true;
    for (uint32_t i = 0; i < 50; i++) {
        uint32_t n = 32 + i / 2 % 2 * 32;
        float *x = kt_values((size_t)n * 16, i % 5 ? 0.1f : 0), *q = kt_floats((size_t)n * 16);
        float *other = kt_floats((size_t)n * 16), s[80] = {0}, scales[80] = {0};
#define FIT(level, codes, found)                                                                   \
    if (i % 2) {                                                                                   \
        k_fit_int5_##level(x, n, codes, found);                                                    \
    } else {                                                                                       \
        k_fit_int4_##level(x, n, codes, found, (found) + 16);                                      \
    }
        FIT(scalar, q, s)
#define FITS_LIKE_SCALAR(level)                                                                    \
    if (has(#level)) {                                                                             \
        FIT(level, other, scales)                                                                  \
        same &= kt_same(q, other, (size_t)n * 16) && kt_same(s, scales, 80);                       \
    }
        ZOO_WHOLE_LEVELS(FITS_LIKE_SCALAR)
#undef FITS_LIKE_SCALAR
#undef FIT
        kt_clear();
    }
    kt_check(same,
             "int4 and int5 scales, steps and codes are the same bits in every instruction set");
}

/* Where column k of output o lies in a panel of int8 bytes or bf16 values: words of `n` columns. */
static size_t place(uint32_t k, uint32_t o, uint32_t n)
{
    return ((size_t)k / n * ZOO_PANEL + o) * n + k % n;
}

static uint16_t plain_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(x == x ? (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16 : bits >> 16 | 0x40u);
}

/* Sylvester's H_2n = [[H, H], [H, -H]], by halves: H (a, b) = (H (a + b), H (a - b)). */
static void plain_hadamard(float *x, uint32_t n)
{
    if (n < 2) {
        return;
    }
    for (uint32_t i = 0; i < n / 2; i++) {
        float a = x[i], b = x[n / 2 + i];
        x[i] = a + b;
        x[n / 2 + i] = a - b;
    }
    plain_hadamard(x, n / 2);
    plain_hadamard(x + n / 2, n / 2);
}

/* The group rotated, over n; amax / most of it, rounded up to bf16; steps rounded to nearest even;
 * not a number is the lowest step. */
static void plain_rotated(const float *row, uint32_t left, uint32_t n, float most, int8_t *steps,
                          uint16_t *scale)
{
    float size = 0, step, x[256] = {0};
    uint32_t span = n % 64 == 0 ? 64 : n % 32 == 0 ? 32 : 16;
    memcpy(x, row, left * sizeof *x);
    for (uint32_t k = 0; k < n; k += span) {
        plain_hadamard(x + k, span);
    }
    for (uint32_t k = 0; k < n; k++) {
        x[k] /= (float)span;
        size = fabsf(x[k]) > size ? fabsf(x[k]) : size;
    }
    step = size / most;
    uint32_t bits = 0;
    memcpy(&bits, &step, sizeof bits);
    bits += bits & 0xffff ? 0x10000 : 0;
    bits &= 0xffff0000;
    memcpy(&step, &bits, sizeof bits);
    for (uint32_t k = 0; k < n; k++) {
        float v = x[k] * (step > 1e-37f ? 1.0f / step : 0);
        v = v > -most ? v : -most;
        steps[k] = (int8_t)rintf(v < most ? v : most);
    }
    *scale = (uint16_t)(bits >> 16);
}

/* int6 of a group of 64: upper bits of 16 columns, then two times eight nibbles. */
static void plain_six(const int8_t *steps, uint32_t o, unsigned char *bytes)
{
    for (uint32_t k = 0; k < 64; k++) {
        unsigned char *block = bytes + k / 16 * 192, *upper = block + o * 4 + k % 4;
        unsigned char *four = block + 64 + k % 16 / 8 * 64 + o * 4 + k % 4;
        int code = steps[k] + 32;
        *upper = (unsigned char)(*upper | (code / 16) << (k % 16 / 4 * 2));
        *four = (unsigned char)(*four | (code % 16) << (k % 8 / 4 * 4));
    }
}

/* int8 and int6. */
static void plain_groups(const zoo_weight *w, const float *row, uint32_t left, uint32_t o,
                         unsigned char *bytes, uint16_t *scale)
{
    int8_t steps[256];
    plain_rotated(row, left, w->group, w->kind == ZOO_INT6 ? 31 : 127, steps, scale);
    if (w->kind == ZOO_INT6) {
        plain_six(steps, o, bytes);
        return;
    }
    for (uint32_t k = 0; k < w->group; k++) {
        bytes[place(k, o, 4)] = (unsigned char)steps[k];
    }
}

/* int4 and int5: the fit is a kernel of its own, this is where its steps go. */
static void plain_steps(const float *x, const zoo_weight *w, uint32_t n, unsigned char *bytes,
                        uint16_t *scales)
{
    float columns[64 * ZOO_PANEL] = {0}, codes[64 * ZOO_PANEL], fitted[ZOO_PANEL];
    float fits[4 * ZOO_PANEL];
    bool five = w->kind == ZOO_INT5;
    unsigned char *bytes_of_steps = (unsigned char *)(scales + ZOO_PANEL);
    for (uint32_t i = 0; i < w->group * ZOO_PANEL; i++) {
        uint32_t o = i % ZOO_PANEL, k = i / ZOO_PANEL;
        columns[i] = o < n && (size_t)k < w->cols ? x[(size_t)o * w->cols + k] : 0;
    }
    if (five) {
        k_fit_int5_scalar(columns, w->group, codes, fitted);
    } else {
        k_fit_int4_scalar(columns, w->group, codes, fitted, fits);
    }
    for (uint32_t o = 0; o < ZOO_PANEL; o++) {
        scales[o] = f16_nearest(fitted[o]);
        for (uint32_t run = 0; !five && run < w->group / 32; run++) {
            const float *at = fits + (size_t)run * 2 * ZOO_PANEL + o;
            int byte = ((int)at[0] - 5) * 64 + (int)at[ZOO_PANEL] / 2;
            bytes_of_steps[run * ZOO_PANEL + o] = (unsigned char)byte;
        }
    }
    for (uint32_t i = 0; i < w->group * ZOO_PANEL; i++) {
        uint32_t o = i % ZOO_PANEL, k = i / ZOO_PANEL, code = (uint32_t)codes[i];
        unsigned char *block = bytes + (five ? k / 32 * 320 : 0);
        size_t at = ((size_t)(five ? k % 32 / 8 + 1 : k / 8) * ZOO_PANEL + o) * 4 + k % 4;
        block[at] = (unsigned char)(block[at] | (code & 15) << (k % 8 / 4 * 4));
        if (five) {
            at = (size_t)o * 4 + k % 4;
            block[at] = (unsigned char)(block[at] | (code >> 4) << (k % 32 / 4));
        }
    }
}

static void plain_panel(const zoo_weight *w, const float *x, uint32_t n, void *data,
                        uint16_t *scales)
{
    uint32_t step = w->group ? w->group : 1;
    for (uint32_t k = 0; k < w->cols; k += step) {
        uint32_t left = w->cols - k < step ? w->cols - k : step;
        size_t group = k / step;
        if (w->kind == ZOO_INT4 || w->kind == ZOO_INT5) {
            size_t bytes = (size_t)w->group * (w->kind == ZOO_INT4 ? 8 : 10);
            size_t step_scales = w->kind == ZOO_INT4 ? 16 + w->group / 4 : 16;
            float *cut = kt_floats((size_t)n * w->cols);
            memset(cut, 0, (size_t)n * w->cols * sizeof *cut);
            for (uint32_t o = 0; o < n; o++) {
                memcpy(cut + (size_t)o * w->cols, x + (size_t)o * w->cols + k, left * sizeof *cut);
            }
            plain_steps(cut, w, n, (unsigned char *)data + group * bytes,
                        scales + group * step_scales);
        }
        for (uint32_t o = 0; o < n; o++) {
            const float *row = x + (size_t)o * w->cols + k;
            if (w->kind == ZOO_F32) {
                ((float *)data)[(size_t)k * ZOO_PANEL + o] = *row;
            } else if (w->kind == ZOO_BF16) {
                ((uint16_t *)data)[place(k, o, 2)] = plain_bf16(*row);
            } else if (int_is_rotated(w->kind)) {
                plain_groups(w, row, left, o,
                             (unsigned char *)data + group * int_group_bytes(w->kind, step),
                             &scales[group * ZOO_PANEL + o]);
            }
        }
        static const int8_t none[64];
        for (uint32_t o = n; o < ZOO_PANEL && w->kind == ZOO_INT6; o++) {
            plain_six(none, o, (unsigned char *)data + group * int_group_bytes(w->kind, step));
        }
    }
}

static float *odd_values(size_t n)
{
    static const float odd[] = {0, -0.0f, NAN, INFINITY, -INFINITY, 1e-40f, 3e38f};
    float *x = kt_values(n, 1);
    for (uint32_t i = 0; i < 3 && kt_below(3) == 0; i++) {
        x[kt_below((uint32_t)n)] = odd[kt_below(ZOO_COUNT(odd))];
    }
    return x;
}

/* One panel by a kernel and by the plain loops, data and scales compared as bytes. */
static bool same_panel(zoo_k_pack_panel *pack, const zoo_weight *w, const float *x, uint32_t n)
{
    size_t n_scales,
        bytes = zoo_pack_size((zoo_dtype)w->kind, ZOO_PANEL, w->cols, w->group, &n_scales);
    unsigned char *data = kt_take(bytes), *plain = kt_take(bytes);
    uint16_t *scales = kt_take(n_scales + 4), *plain_scales = kt_take(n_scales + 4);
    memset(plain, 0, bytes);
    memset(plain_scales, 0, n_scales);
    pack(w, x, n, data, scales);
    plain_panel(w, x, n, plain, plain_scales);
    return memcmp(data, plain, bytes) == 0 && memcmp(scales, plain_scales, n_scales) == 0;
}

static void panels(void)
{
    static const struct {
        uint32_t kind, group;
    } kinds[] = {{ZOO_F32, 0},   {ZOO_BF16, 0},  {ZOO_INT8, 16},  {ZOO_INT8, 32},
                 {ZOO_INT8, 64}, {ZOO_INT8, 80}, {ZOO_INT8, 256}, {ZOO_INT4, 32},
                 {ZOO_INT5, 32}, {ZOO_INT4, 64}, {ZOO_INT5, 64},  {ZOO_INT6, 64}};
    for (size_t i = 0; i < ZOO_COUNT(kinds); i++) {
        bool same = true;
        for (uint32_t cols = 1; cols < 300; cols += cols < 70 ? 1 : 23) {
            uint32_t n = 1 + kt_below(ZOO_PANEL);
            zoo_weight w = {.kind = kinds[i].kind, n, cols, kinds[i].group, NULL, NULL, NULL};
            float *x = odd_values((size_t)n * cols);
            same &= same_panel(k_pack_panel_scalar, &w, x, n);
#define PACKS_RIGHT(level) same &= !has(#level) || same_panel(k_pack_panel_##level, &w, x, n);
            ZOO_WHOLE_LEVELS(PACKS_RIGHT)
#undef PACKS_RIGHT
            kt_clear();
        }
        kt_check(same, "panels of kind %u, group %u: the bytes of plain loops in every set",
                 kinds[i].kind, kinds[i].group);
    }
}

void kt_pack(void)
{
    panels();
    fits();
    errors();
    exact_kinds();
    grids();
    rotated_grids();
    short_groups();
    refusals();
}
