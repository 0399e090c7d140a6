/*
 * dtype.c: stored element types: names, sizes, widening to float32.
 *
 * f8 e4m3 ("fn"): bias 7, no infinities, 0x7f and 0xff are NaN, subnormals 2^-9 * m. f8 e5m2: the
 * upper byte of an f16. e8m0: 2^(e - 127), 255 is NaN. bf16: the upper half of an f32. Loads go
 * through memcpy, since payloads are aligned by habit only. Source: OCP 8-bit floating point
 * specification, OCP microscaling formats, IEEE 754.
 */
#include <math.h>
#include <string.h>

#include "checkpoint/safetensors.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[ZOO_DTYPE_MAX] = {
    [ZOO_F32] = {"F32", 4},         [ZOO_BF16] = {"BF16", 2},       [ZOO_F16] = {"F16", 2},
    [ZOO_F64] = {"F64", 8},         [ZOO_I8] = {"I8", 1},           [ZOO_I16] = {"I16", 2},
    [ZOO_I32] = {"I32", 4},         [ZOO_I64] = {"I64", 8},         [ZOO_U8] = {"U8", 1},
    [ZOO_U16] = {"U16", 2},         [ZOO_U32] = {"U32", 4},         [ZOO_U64] = {"U64", 8},
    [ZOO_BOOL] = {"BOOL", 1},       [ZOO_F8_E4M3] = {"F8_E4M3", 1}, [ZOO_F8_E5M2] = {"F8_E5M2", 1},
    [ZOO_F8_E8M0] = {"F8_E8M0", 1},
};

#define E4M3_MAGNITUDE(b)                                                                          \
    (((b)&0x7f) == 0x7f ? NAN                                                                      \
     : ((b)&0x78)       ? (float)((8 + ((b)&7)) << (((b) >> 3) & 15)) / 1024.0f                    \
                        : (float)((b)&7) / 512.0f)
#define E4M3(b)    ((b)&0x80 ? -E4M3_MAGNITUDE(b) : E4M3_MAGNITUDE(b))
#define E4M3_4(b)  E4M3(b), E4M3((b) + 1), E4M3((b) + 2), E4M3((b) + 3)
#define E4M3_16(b) E4M3_4(b), E4M3_4((b) + 4), E4M3_4((b) + 8), E4M3_4((b) + 12)
#define E4M3_64(b) E4M3_16(b), E4M3_16((b) + 16), E4M3_16((b) + 32), E4M3_16((b) + 48)

static const float e4m3_values[256] = {E4M3_64(0), E4M3_64(64), E4M3_64(128), E4M3_64(192)};

const char *zoo_dtype_name(zoo_dtype dtype)
{
    const char *name = (unsigned)dtype < ZOO_DTYPE_MAX ? dtypes[dtype].name : NULL;
    return name ? name : "?";
}

size_t zoo_dtype_size(zoo_dtype dtype)
{
    return (unsigned)dtype < ZOO_DTYPE_MAX ? dtypes[dtype].size : 0;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Both forms are computed and masks choose, so that a loop of it has no branch;
 * no step needs subnormals. */
static float from_f16(uint16_t h)
{
    uint32_t sign = (h & 0x8000u) << 16, exponent = h & 0x7c00u;
    uint32_t is_small = 0u - (exponent == 0), is_top = 0u - (exponent == 0x7c00);
    uint32_t small = to_bits((float)(int32_t)(h & 1023) * 0x1p-24f);
    uint32_t normal = ((h & 0x7fffu) << 13) + (112u << 23) + (is_top & 112u << 23);
    return from_bits(sign | (is_small & small) | (~is_small & normal));
}

static float from_e8m0(uint8_t e)
{
    return e == 0 ? 0x1p-127f : e == 255 ? NAN : from_bits((uint32_t)e << 23);
}

/* A loop over items of `type` at p; value is an expression of x. */
#define WIDEN(type, value)                                                                         \
    for (size_t i = 0; i < n; i++) {                                                               \
        type x;                                                                                    \
        memcpy(&x, p + i * sizeof x, sizeof x);                                                    \
        out[i] = (value);                                                                          \
    }                                                                                              \
    return true

static bool widen_float(zoo_dtype dtype, const unsigned char *p, size_t n, float *out)
{
    switch (dtype) {
    case ZOO_F32:
        memcpy(out, p, n * sizeof *out);
        return true;
    case ZOO_BF16:
        WIDEN(uint16_t, from_bits((uint32_t)x << 16));
    case ZOO_F16:
        WIDEN(uint16_t, from_f16(x));
    case ZOO_F64:
        WIDEN(double, (float)x);
    case ZOO_F8_E4M3:
        WIDEN(uint8_t, e4m3_values[x]);
    case ZOO_F8_E5M2:
        WIDEN(uint8_t, from_f16((uint16_t)(x << 8)));
    case ZOO_F8_E8M0:
        WIDEN(uint8_t, from_e8m0(x));
    default:
        return false;
    }
}

static bool widen_integer(zoo_dtype dtype, const unsigned char *p, size_t n, float *out)
{
    switch (dtype) {
    case ZOO_I8:
        WIDEN(int8_t, (float)x);
    case ZOO_I16:
        WIDEN(int16_t, (float)x);
    case ZOO_I32:
        WIDEN(int32_t, (float)x);
    case ZOO_I64:
        WIDEN(int64_t, (float)x);
    case ZOO_U8:
        WIDEN(uint8_t, (float)x);
    case ZOO_U16:
        WIDEN(uint16_t, (float)x);
    case ZOO_U32:
        WIDEN(uint32_t, (float)x);
    case ZOO_U64:
        WIDEN(uint64_t, (float)x);
    case ZOO_BOOL:
        WIDEN(uint8_t, x ? 1.0f : 0.0f);
    default:
        return false;
    }
}

zoo_status zoo_tensor_widen(const zoo_tensor *t, uint64_t begin, size_t n, float *out,
                            zoo_error *err)
{
    if (begin > t->n_items || n > t->n_items - begin) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%s: items %llu and %zu more asked of tensor %s, which has %llu", t->file,
                        (unsigned long long)begin, n, t->name, (unsigned long long)t->n_items);
    }
    size_t size = zoo_dtype_size(t->dtype);
    if (n == 0 && size) {
        return ZOO_OK;
    }
    const unsigned char *p = (const unsigned char *)t->data + begin * size;
    if (size && (widen_float(t->dtype, p, n, out) || widen_integer(t->dtype, p, n, out))) {
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_UNSUPPORTED, "%s: tensor %s has dtype %s, which is not read",
                    t->file, t->name, t->dtype_name);
}
