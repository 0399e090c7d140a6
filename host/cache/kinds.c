/*
 * kinds.c: the host's own cache kinds, whose pages kernels read directly (zoo_row_form).
 *
 * int8 and int4 rows are Hadamard-rotated. The test vectors are rows whose codes follow by hand
 * from the formulas of kernels.h.
 */
#include "cache/kinds.h"

#include <string.h>

static size_t bytes_f32(uint32_t width, uint32_t n_rows)
{
    return (size_t)n_rows * width * 4;
}

static size_t bytes_bf16(uint32_t width, uint32_t n_rows)
{
    return (size_t)n_rows * width * 2;
}

static size_t bytes_int8(uint32_t width, uint32_t n_rows)
{
    size_t groups = ((size_t)width + ZOO_GROUP_INT8 - 1) / ZOO_GROUP_INT8;
    return n_rows * (width + 2 * groups);
}

static size_t bytes_int4(uint32_t width, uint32_t n_rows)
{
    size_t groups = ((size_t)width + ZOO_GROUP_INT4 - 1) / ZOO_GROUP_INT4;
    return n_rows * (((size_t)width + 1) / 2 + 2 * groups);
}

#define ZOO_OWN_FORM(name, form)                                                                   \
    static void store_##name(const zoo_kernels *kernels, uint32_t width, void *page, uint32_t row, \
                             const float *x)                                                       \
    {                                                                                              \
        kernels->encode(form, x, width, page, row);                                                \
    }                                                                                              \
    static void read_##name(const zoo_kernels *kernels, uint32_t width, const void *page,          \
                            uint32_t row, uint32_t n, float *y, size_t y_stride)                   \
    {                                                                                              \
        kernels->decode(form, page, row, n, width, y, y_stride);                                   \
    }
ZOO_OWN_FORM(f32, ZOO_FORM_F32)
ZOO_OWN_FORM(bf16, ZOO_FORM_BF16)
ZOO_OWN_FORM(int8, ZOO_FORM_INT8)
ZOO_OWN_FORM(int4, ZOO_FORM_INT4)

static const float few[4] = {1, -2, 0.3f, 127};
static const float few_bf16[4] = {1, -2, 0.30078125f, 127};
static const unsigned char few_bf16_bytes[8] = {0x80, 0x3f, 0x00, 0xc0, 0x9a, 0x3e, 0xfe, 0x42};
/* amax 127: scale 1. */
static const float few_int8[4] = {1, -2, 0, 127};
static const unsigned char few_int8_bytes[4] = {1, 254, 0, 127};
/* From 0 to 15: scale 1, zero at code 0, so that each value is its nibble. */
static const float few_int4[4] = {0, 15, 1, 7};
static const unsigned char few_int4_bytes[2] = {0xf0, 0x71};

static const zoo_cache_vector vectors_f32[] = {{4, 0, few, few, NULL}, {0, 0, NULL, NULL, NULL}};
static const zoo_cache_vector vectors_bf16[] = {{4, 8, few, few_bf16, few_bf16_bytes},
                                                {0, 0, NULL, NULL, NULL}};
static const zoo_cache_vector vectors_int8[] = {{4, 4, few, few_int8, few_int8_bytes},
                                                {0, 0, NULL, NULL, NULL}};
static const zoo_cache_vector vectors_int4[] = {{4, 2, few_int4, few_int4, few_int4_bytes},
                                                {0, 0, NULL, NULL, NULL}};

static const zoo_cache_ops kind_f32 = {.size = sizeof(zoo_cache_ops),
                                       .name = "f32",
                                       .summary = "float32 as it is",
                                       .narrowness = ZOO_F32,
                                       .form = ZOO_FORM_F32,
                                       .bytes = bytes_f32,
                                       .store = store_f32,
                                       .read = read_f32,
                                       .vectors = vectors_f32};
static const zoo_cache_ops kind_bf16 = {.size = sizeof(zoo_cache_ops),
                                        .name = "bf16",
                                        .summary = "rounded to bfloat16",
                                        .narrowness = ZOO_BF16,
                                        .form = ZOO_FORM_BF16,
                                        .error_max = 4e-6f,
                                        .bytes = bytes_bf16,
                                        .store = store_bf16,
                                        .read = read_bf16,
                                        .vectors = vectors_bf16};
static const zoo_cache_ops kind_int8 = {
    .size = sizeof(zoo_cache_ops),
    .flags = ZOO_CACHE_HADAMARD,
    .name = "int8",
    .summary = "Hadamard-rotated, 8 bits a value and a bf16 scale for 32",
    .narrowness = ZOO_INT8,
    .form = ZOO_FORM_INT8,
    .error_max = 4e-5f,
    .bytes = bytes_int8,
    .store = store_int8,
    .read = read_int8,
    .vectors = vectors_int8,
};
static const zoo_cache_ops kind_int4 = {
    .size = sizeof(zoo_cache_ops),
    .flags = ZOO_CACHE_HADAMARD,
    .name = "int4",
    .summary = "Hadamard-rotated, 4 bits a value, 9 bits of scale and 7 of zero for 16",
    .narrowness = ZOO_INT4,
    .form = ZOO_FORM_INT4,
    .error_max = 3.9e-3f,
    .bytes = bytes_int4,
    .store = store_int4,
    .read = read_int4,
    .vectors = vectors_int4,
};

const zoo_cache_ops *const zoo_cache_kinds[] = {&kind_f32, &kind_bf16, &kind_int8, &kind_int4,
                                                NULL};

const zoo_cache_ops *zoo_cache_kind(const char *name)
{
    for (const zoo_cache_ops *const *k = zoo_cache_kinds; *k; k++) {
        if (strcmp((*k)->name, name) == 0) {
            return *k;
        }
    }
    return NULL;
}

const zoo_cache_ops *zoo_cache_kind_for(const zoo_stream *stream, const zoo_cache_ops *wanted)
{
    uint32_t least =
        wanted->narrowness < stream->dtype_min ? wanted->narrowness : stream->dtype_min;
    bool fits = least == wanted->narrowness && (!wanted->suits || wanted->suits(stream));
    const zoo_cache_ops *kind = fits ? wanted : zoo_cache_kinds[least];
    bool wide = stream->width / (stream->heads ? stream->heads : 1) > ZOO_HADAMARD_WIDTH_MAX;
    return wide && kind->flags & ZOO_CACHE_HADAMARD ? &kind_bf16 : kind;
}

double zoo_cache_kind_bits(const zoo_cache_ops *kind, uint32_t width)
{
    return 8.0 * (double)kind->bytes(width, ZOO_PAGE) / ((double)ZOO_PAGE * width);
}
