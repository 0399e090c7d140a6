/*
 * f16.h: converts half floats (IEEE binary16) to float32 and back, to nearest, ties to even, with
 * the bits of the hardware's conversions.
 */
#ifndef ZOO_KERNELS_F16_H
#define ZOO_KERNELS_F16_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float f16_value(uint16_t half)
{
    uint32_t exponent = half >> 10 & 31, mantissa = half & 1023, bits;
    if (exponent == 0) {
        float x = (float)mantissa * 0x1p-24f;
        return half >> 15 ? -x : x;
    }
    bits = (uint32_t)(half & 0x8000) << 16 | mantissa << 13;
    bits |= exponent == 31 ? 0x7f800000 : (exponent + 112) << 23;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t f16_nearest(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) { /* not a number */
        return (uint16_t)(sign | 0x7e00 | (size >> 13 & 0x3ff));
    }
    if (size >= 0x477ff000) { /* nearer to 65536 than to 65504 */
        return (uint16_t)(sign | 0x7c00);
    }
    if (size < 0x38800000) { /* steps of 2^-24 */
        return (uint16_t)(sign | (uint32_t)rintf(fabsf(x) * 0x1p24f));
    }
    size += 0xfff + (size >> 13 & 1);
    return (uint16_t)(sign | (size - 0x38000000) >> 13);
}

#endif
