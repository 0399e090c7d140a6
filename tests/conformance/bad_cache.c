/*
 * bad_cache.c: a plugin with one cache kind that is correct except for the mistake that its build
 * defines, which `lmzoo plugins --check` must find. Rows are like bf16: the upper halves of floats.
 */
#include <string.h>

#include "zoo.h"

static size_t row_bytes(uint32_t width)
{
    return (size_t)width * 2;
}

static size_t bytes(uint32_t width, uint32_t n_rows)
{
#ifdef BAD_FEW_BYTES
    return n_rows * row_bytes(width) - 2;
#else
    return n_rows * row_bytes(width);
#endif
}

#ifdef BAD_STATE
static uint32_t n_stored;
#endif

static void store(const zoo_kernels *kernels, uint32_t width, void *page, uint32_t row,
                  const float *x)
{
    unsigned char *to = (unsigned char *)page + row * row_bytes(width);
    (void)kernels;
    for (uint32_t i = 0; i < width; i++) {
        uint32_t bits;
        float v = x[i];
#ifdef BAD_STATE
        v *= ++n_stored % 1000 == 0 ? 1.1f : 1.0f;
#endif
#ifdef BAD_COARSE
        v = (float)(int)(v * 2) / 2;
#endif
#ifdef BAD_ZEROS
        v = v == 0 ? 0.01f : v;
#endif
        memcpy(&bits, &v, sizeof bits);
#ifdef BAD_REMAINS
        to[2 * i] |= (unsigned char)(bits >> 16);
#else
        to[2 * i] = (unsigned char)(bits >> 16);
#endif
        to[2 * i + 1] = (unsigned char)(bits >> 24);
    }
#ifdef BAD_NEIGHBOUR
    if (row + 1 < ZOO_PAGE) {
        to[row_bytes(width)] ^= 0x10;
    }
#endif
}

static void read(const zoo_kernels *kernels, uint32_t width, const void *page, uint32_t row,
                 uint32_t n, float *y, size_t y_stride)
{
    (void)kernels;
    for (uint32_t r = 0; r < n; r++) {
#ifdef BAD_FIRST_ROW
        const unsigned char *at = (const unsigned char *)page + r * row_bytes(width);
        (void)row;
#else
        const unsigned char *at = (const unsigned char *)page + (row + r) * row_bytes(width);
#endif
        for (uint32_t i = 0; i < width; i++) {
            uint32_t bits = (uint32_t)at[2 * i] << 16 | (uint32_t)at[2 * i + 1] << 24;
#ifdef BAD_STRIDE
            memcpy(&y[r * width + i], &bits, sizeof bits);
#else
            memcpy(&y[r * y_stride + i], &bits, sizeof bits);
#endif
        }
    }
#ifdef BAD_STRIDE
    (void)y_stride;
#endif
#ifdef BAD_ADDRESS
    y[0] += (float)((uintptr_t)page % 8192) * 1e-3f;
#endif
}

#ifdef BAD_VECTOR
static const float x[2] = {1, 1.5f}, kept[2] = {1, 1.25f};
#else
static const float x[2] = {1, 1.5f}, kept[2] = {1, 1.5f};
#endif
static const zoo_cache_vector vectors[] = {{2, 0, x, kept, NULL}, {.width = 0}};

static const zoo_cache_ops kind = {
    .size = sizeof(zoo_cache_ops),
    .name = "bad-rows",
    .summary = "for the test of --check",
    .narrowness = ZOO_BF16,
#ifdef BAD_FORM
    .form = ZOO_FORM_INT8,
#endif
    .error_max = 1e-4f,
    .bytes = bytes,
    .store = store,
    .read = read,
    .vectors = vectors,
};
static const zoo_cache_ops *const caches[] = {&kind, NULL};

static uint32_t probe(const zoo_config *config, char *why, size_t n)
{
    (void)config;
    (void)snprintf(why, n, "a test plugin");
    return 0;
}

static zoo_status configure(const zoo_config *config, zoo_setup *setup, zoo_plan *plan,
                            zoo_error *err)
{
    (void)config, (void)setup, (void)plan;
    return zoo_fail(err, ZOO_E_CONFIG, "a test plugin");
}

ZOO_EXPORT extern const zoo_plugin zoo_plugin_entry;
const zoo_plugin zoo_plugin_entry = {
    .stamp = ZOO_STAMP,
    .size = sizeof(zoo_plugin),
    .name = "bad",
    .version = "1",
    .licence = "Apache-2.0",
    .summary = "for the test of --check",
    .caches = caches,
    .probe = probe,
    .configure = configure,
};
