/* test_widen.c: every stored element type as float: all codes of the small ones, by definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/safetensors.h"

/* The values of all 2^8 or 2^16 codes by their definition, in double. */
static double small_float(unsigned code, int n_exponent, int n_mantissa, bool infinities)
{
    int bias = (1 << (n_exponent - 1)) - 1, top = (1 << n_exponent) - 1;
    int exponent = (int)(code >> n_mantissa) & top;
    int mantissa = (int)code & ((1 << n_mantissa) - 1), full = (1 << n_mantissa) - 1;
    double sign = code >> (n_exponent + n_mantissa) & 1 ? -1 : 1;
    if (exponent == top && infinities) {
        return mantissa ? (double)NAN : sign * (double)INFINITY;
    }
    if (exponent == top && mantissa == full) {
        return (double)NAN;
    }
    double fraction = mantissa / (double)(1 << n_mantissa);
    return exponent ? sign * ldexp(1 + fraction, exponent - bias)
                    : sign * ldexp(fraction, 1 - bias);
}

static void codes_check(zoo_dtype dtype, unsigned n, double (*value)(unsigned))
{
    static uint16_t wide[65536];
    static uint8_t narrow[256];
    static float out[65536];
    for (unsigned i = 0; i < n; i++) {
        wide[i] = (uint16_t)i;
        narrow[i & 255] = (uint8_t)i;
    }
    zoo_tensor t = {.name = "t",
                    .file = "f",
                    .dtype = dtype,
                    .n_items = n,
                    .data = n > 256 ? (const void *)wide : narrow};
    assert_int_equal(zoo_tensor_widen(&t, 0, n, out, NULL), ZOO_OK);
    for (unsigned i = 0; i < n; i++) {
        double wanted = value(i);
        if (isnan(wanted) ? !isnan(out[i])
                          : (double)out[i] != wanted || !signbit(out[i]) != !signbit(wanted)) {
            fail_msg("%s code %u: %g, not %g", zoo_dtype_name(dtype), i, (double)out[i], wanted);
        }
    }
}

static double value_e4m3(unsigned code)
{
    return small_float(code, 4, 3, false);
}

static double value_e5m2(unsigned code)
{
    return small_float(code, 5, 2, true);
}

static double value_e8m0(unsigned code)
{
    return code == 255 ? (double)NAN : ldexp(1, (int)code - 127);
}

static double value_f16(unsigned code)
{
    return small_float(code, 5, 10, true);
}

static double value_bf16(unsigned code)
{
    return small_float(code, 8, 7, true);
}

static double value_i8(unsigned code)
{
    return code < 128 ? (double)code : (double)code - 256;
}

static double value_u16(unsigned code)
{
    return (double)code;
}

static double value_i16(unsigned code)
{
    return code < 32768 ? (double)code : (double)code - 65536;
}

static double value_bool(unsigned code)
{
    return code != 0;
}

static void test_widen_codes(void **state)
{
    (void)state;
    codes_check(ZOO_F8_E4M3, 256, value_e4m3);
    codes_check(ZOO_F8_E5M2, 256, value_e5m2);
    codes_check(ZOO_F8_E8M0, 256, value_e8m0);
    codes_check(ZOO_F16, 65536, value_f16);
    codes_check(ZOO_BF16, 65536, value_bf16);
    codes_check(ZOO_I8, 256, value_i8);
    codes_check(ZOO_U8, 256, value_u16);
    codes_check(ZOO_U16, 65536, value_u16);
    codes_check(ZOO_I16, 65536, value_i16);
    codes_check(ZOO_BOOL, 256, value_bool);
}

/* Unaligned, and rounded to nearest with ties to even where 24 bits do not hold the number. */
static void test_widen_wide(void **state)
{
    const int64_t i64[] = {16777217, 16777219, -16777217, INT64_MIN, INT64_MAX};
    const uint64_t u64[] = {16777217, UINT64_MAX};
    const int32_t i32[] = {16777217, -16777219, INT32_MIN};
    const uint32_t u32[] = {16777219, UINT32_MAX};
    const double f64[] = {0.1, 1e300, -1e-50, 16777217};
    const float f32[] = {0.1f, -0.0f};
    struct {
        zoo_dtype dtype;
        const void *data;
        size_t n;
        float wanted[5];
    } rows[] = {
        {ZOO_I64, i64, 5, {16777216, 16777220, -16777216, -0x1p63f, 0x1p63f}},
        {ZOO_U64, u64, 2, {16777216, 0x1p64f}},
        {ZOO_I32, i32, 3, {16777216, -16777220, -0x1p31f}},
        {ZOO_U32, u32, 2, {16777220, 0x1p32f}},
        {ZOO_F64, f64, 4, {0.1f, INFINITY, -0.0f, 16777216}},
        {ZOO_F32, f32, 2, {0.1f, -0.0f}},
    };
    unsigned char data[64];
    float out[5];
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        memcpy(data + 1, rows[i].data, rows[i].n * zoo_dtype_size(rows[i].dtype));
        zoo_tensor t = {.name = "t",
                        .file = "f",
                        .dtype = rows[i].dtype,
                        .n_items = rows[i].n,
                        .data = data + 1};
        assert_int_equal(zoo_tensor_widen(&t, 0, rows[i].n, out, NULL), ZOO_OK);
        assert_memory_equal(out, rows[i].wanted, rows[i].n * sizeof(float));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widen_codes),
        cmocka_unit_test(test_widen_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
