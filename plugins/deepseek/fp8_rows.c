/*
 * fp8_rows.c: latent rows as they are released: float8 (e4m3) in tiles of 128 with a float32 scale
 * each, without a Hadamard transform. The rope key has a stream of its own that needs at least
 * bf16, so it is kept in bf16, as in the released layout.
 *
 *   row     [width] float8, then [ceil(width / 128)] float32 scales: amax of the tile / 448
 *
 * A latent of 512 and a rope key of 64 take 512 + 16 + 128 = 656 bytes a position.
 * Source: the layout of the key-value cache in the README of FlashMLA (DeepSeek, 2025).
 */
#include "deepseek.h"

#include <math.h>
#include <string.h>

enum { TILE = 128 };
#define E4M3_MAX 448.0f

static bool suits(const zoo_stream *stream)
{
    return strcmp(stream->name ? stream->name : "", "latent") == 0 && stream->heads <= 1;
}

static size_t row_bytes(uint32_t width)
{
    return width + sizeof(float) * (width / TILE + (width % TILE != 0));
}

static size_t bytes(uint32_t width, uint32_t n_rows)
{
    return n_rows * row_bytes(width);
}

/* Float8 has 7 for the bias of its exponent, float32 has 127: 2^120 apart. */
static float e4m3_to_float(unsigned char x)
{
    uint32_t bits = (uint32_t)(x & 0x7f) << 20;
    float y;
    memcpy(&y, &bits, sizeof y);
    return copysignf(y * 0x1p120f, x & 0x80 ? -1.0f : 1.0f);
}

/* To the nearest, ties to even; beyond the largest one, and what is not a number: the largest. */
static unsigned char e4m3_of_float(float x)
{
    float size = fabsf(x) < E4M3_MAX ? fabsf(x) : E4M3_MAX, small = size * 0x1p-120f;
    uint32_t bits;
    memcpy(&bits, &small, sizeof bits);
    bits = (bits + 0x7ffff + (bits >> 20 & 1)) >> 20;
    return (unsigned char)(bits | (signbit(x) ? 0x80 : 0));
}

static float tile_scale(const float *x, uint32_t n)
{
    float size = 0;
    for (uint32_t i = 0; i < n; i++) {
        size = fabsf(x[i]) > size ? fabsf(x[i]) : size;
    }
    return size / E4M3_MAX;
}

static void store(const zoo_kernels *kernels, uint32_t width, void *page, uint32_t row,
                  const float *x)
{
    unsigned char *to = (unsigned char *)page + row * row_bytes(width);
    (void)kernels;
    for (uint32_t at = 0; at < width; at += TILE) {
        uint32_t n = width - at < TILE ? width - at : TILE;
        float scale = tile_scale(x + at, n), inverse = scale > 0 ? 1.0f / scale : 0;
        for (uint32_t i = at; i < at + n; i++) {
            to[i] = e4m3_of_float(x[i] * inverse);
        }
        memcpy(to + width + at / TILE * sizeof scale, &scale, sizeof scale);
    }
}

static void read_rows(const zoo_kernels *kernels, uint32_t width, const void *page, uint32_t row,
                      uint32_t n, float *y, size_t y_stride)
{
    (void)kernels;
    for (uint32_t r = 0; r < n; r++, y += y_stride) {
        const unsigned char *from = (const unsigned char *)page + (row + r) * row_bytes(width);
        for (uint32_t at = 0; at < width; at += TILE) {
            uint32_t end = width - at < TILE ? width : at + TILE;
            float scale;
            memcpy(&scale, from + width + at / TILE * sizeof scale, sizeof scale);
            for (uint32_t i = at; i < end; i++) {
                y[i] = e4m3_to_float(from[i]) * scale;
            }
        }
    }
}

/* amax 448: scale 1. 1 is 0x38, the smallest step 2^-9 is 0x01; 17 lies between 16 and 18. */
static const float given[5] = {448, -1, 0x1p-9f, 17, 0}, kept[5] = {448, -1, 0x1p-9f, 16, 0};
static const unsigned char stored[9] = {0x7e, 0xb8, 0x01, 0x58, 0x00, 0, 0, 0x80, 0x3f};
static const zoo_cache_vector vectors[] = {{5, 9, given, kept, stored}, {0, 0, NULL, NULL, NULL}};

const zoo_cache_ops ds_fp8_rows = {
    .size = sizeof(zoo_cache_ops),
    .name = "fp8_ds_mla",
    .summary = "latent rows as released: float8 in tiles of 128 with a scale",
    .narrowness = ZOO_INT8,
    .form = ZOO_FORM_OWN,
    .error_max = 8e-4f,
    .suits = suits,
    .bytes = bytes,
    .store = store,
    .read = read_rows,
    .vectors = vectors,
};
