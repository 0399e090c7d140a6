/* cases_pack.c: packing and reading back; int4 against plain rounding. */
#include "kt.h"

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
    zoo_weight w = {.kind = ZOO_INT4, .rows = rows, .cols = cols, .group = 32};
    pack_all(&w, x);
    double four = pack_error(&w, x), plain = plain_error(x, (size_t)rows * cols);
    kt_check(four < 0.96 * plain, "int4: error %.4f, plain rounding %.4f", four, plain);
    w = (zoo_weight){.kind = ZOO_INT8, .rows = rows, .cols = cols, .group = 32};
    pack_all(&w, x);
    double by32 = pack_error(&w, x);
    w.group = 64;
    pack_all(&w, x);
    kt_check(by32 < 0.006, "int8: error %.5f in groups of 32, %.5f in groups of 64", by32,
             pack_error(&w, x));
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

static void refusals(void)
{
    size_t scales;
    bool right = zoo_pack_size(ZOO_F16, 16, 16, 0, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT8, 16, 16, 0, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT8, 16, 16, 20, &scales) == 0 &&
                 zoo_pack_size(ZOO_INT4, 16, 16, 64, &scales) == 0 &&
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
        float *x = kt_values(512, i % 5 ? 0.1f : 0), *q = kt_floats(512), *s = kt_floats(16);
        float *other = kt_floats(512), *scales = kt_floats(16);
        k_fit_int4_scalar(x, q, s);
        if (has("avx2")) {
            k_fit_int4_avx2(x, other, scales);
            same &= kt_same(q, other, 512) && kt_same(s, scales, 16);
        }
        if (has("avx512")) {
            k_fit_int4_avx512(x, other, scales);
            same &= kt_same(q, other, 512) && kt_same(s, scales, 16);
        }
        kt_clear();
    }
    kt_check(same, "int4 scales and steps are the same bits in every instruction set");
}

void kt_pack(void)
{
    fits();
    errors();
    exact_kinds();
    refusals();
}
