/*
 * uneven4.c: 4.5 bits a value: Hadamard-rotated rows, 16 uneven levels, a scale byte for 16.
 *
 *   row     [ceil(width / 2)] codes, the even value in the low nibble; [ceil(width / 16)] scales
 *   value   level[code] * scale
 *   scale   2^(s / 8 - 22) (1 + s % 8 / 8) in whole division, 0 for s = 0
 *
 * Rotated values are approximately normally distributed, so levels that are denser near 0 have a
 * smaller error than uniform ones. The levels minimise the squared error of 16 normal values with
 * such a scale byte, by Lloyd's iteration and rounding. Of the smallest scale that covers the
 * largest value and the one below it, the one with the smaller squared error is used.
 *
 * Source of the method: S. P. Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28
 * (1982).
 */
#include "caches.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { GROUP = 16, LEVELS = 8, EXPONENT = 22 };

/* Those above 0, and where the next one begins to be nearer. */
static const float levels[LEVELS] = {6, 18, 31, 45, 60, 77, 98, 127};
static const float limits[LEVELS - 1] = {12, 24.5f, 38, 52.5f, 68.5f, 87.5f, 112.5f};

static uint32_t groups_of(uint32_t width)
{
    return width / GROUP + (width % GROUP != 0);
}

static size_t row_bytes(uint32_t width)
{
    return (size_t)width / 2 + width % 2 + groups_of(width);
}

static size_t bytes(uint32_t width, uint32_t n_rows)
{
    return n_rows * row_bytes(width);
}

static float scale_of(uint32_t byte)
{
    return byte ? ldexpf(1.0f + (float)(byte % 8) / 8.0f, (int)(byte / 8) - EXPONENT) : 0;
}

/* The smallest byte whose scale is not below x > 0; the largest where none is. */
static uint32_t byte_of(float x)
{
    uint32_t low = 1, high = 255;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (scale_of(middle) < x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* 0 to 7: the nearest of the levels above 0. */
static uint32_t nearest(float size)
{
    uint32_t i = 0;
    while (i < LEVELS - 1 && size > limits[i]) {
        i++;
    }
    return i;
}

static float error_of(const float *x, uint32_t n, uint32_t byte)
{
    float scale = scale_of(byte), sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        float off = fabsf(x[i]) - levels[nearest(fabsf(x[i]) / scale)] * scale;
        sum += off * off;
    }
    return sum;
}

static uint32_t choose_scale(const float *x, uint32_t n)
{
    float size = 0;
    for (uint32_t i = 0; i < n; i++) {
        size = fabsf(x[i]) > size ? fabsf(x[i]) : size;
    }
    if (!(size > 0)) {
        return 0;
    }
    uint32_t above = byte_of((size < FLT_MAX ? size : FLT_MAX) / levels[LEVELS - 1]);
    return above > 1 && error_of(x, n, above - 1) < error_of(x, n, above) ? above - 1 : above;
}

static void store(const zoo_kernels *kernels, uint32_t width, void *page, uint32_t row,
                  const float *x)
{
    unsigned char *codes = (unsigned char *)page + row * row_bytes(width);
    unsigned char *scales = codes + width / 2 + width % 2;
    (void)kernels;
    memset(codes, 0, (size_t)(scales - codes));
    for (uint32_t i = 0; i < width; i++) {
        uint32_t left = width - i, n = left < GROUP ? left : GROUP;
        if (i % GROUP == 0) {
            scales[i / GROUP] = (unsigned char)choose_scale(x + i, n);
        }
        float scale = scale_of(scales[i / GROUP]);
        uint32_t level = scale > 0 ? nearest(fabsf(x[i]) / scale) : 0;
        uint32_t code = x[i] < 0 ? LEVELS - 1 - level : LEVELS + level;
        codes[i / 2] = (unsigned char)(codes[i / 2] | code << (i % 2 * 4));
    }
}

static void read_rows(const zoo_kernels *kernels, uint32_t width, const void *page, uint32_t row,
                      uint32_t n, float *y, size_t y_stride)
{
    static const float all[2 * LEVELS] = {-127, -98, -77, -60, -45, -31, -18, -6,
                                          6,    18,  31,  45,  60,  77,  98,  127};
    (void)kernels;
    for (uint32_t r = 0; r < n; r++, y += y_stride) {
        const unsigned char *codes = (const unsigned char *)page + (row + r) * row_bytes(width);
        const unsigned char *scales = codes + width / 2 + width % 2;
        float scale = 0;
        for (uint32_t i = 0; i < width; i++) {
            scale = i % GROUP ? scale : scale_of(scales[i / GROUP]);
            y[i] = all[codes[i / 2] >> (i % 2 * 4) & 15] * scale;
        }
    }
}

/* Scale 1 is byte 176: 22 * 8. */
static const float given[5] = {127, -61, 7, 0, -5}, kept[5] = {127, -60, 6, 6, -6};
static const unsigned char stored[4] = {0x3f, 0x88, 0x07, 176};
static const zoo_cache_vector vectors[] = {{5, 4, given, kept, stored}, {0, 0, NULL, NULL, NULL}};

const zoo_cache_ops caches_uneven4 = {
    .size = sizeof(zoo_cache_ops),
    .flags = ZOO_CACHE_HADAMARD,
    .name = "uneven4",
    .summary = "Hadamard-rotated, one of 16 uneven levels a value, a scale byte for 16",
    .narrowness = ZOO_INT4,
    .form = ZOO_FORM_OWN,
    .error_max = 5.5e-3f,
    .bytes = bytes,
    .store = store,
    .read = read_rows,
    .vectors = vectors,
};
