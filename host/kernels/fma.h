/*
 * fma.h: a x b + c of float32 with one rounding, where the CPU may have no instruction for it.
 *
 * The C library's fmaf then changes the rounding mode for each call; fma_in_double takes a few
 * additions. The product of two floats is exact in double. The sum is rounded to odd: if it is
 * inexact and its last bit is even, it becomes the neighbour on the side of the error. A number
 * rounded so, with at least two bits more than float32 has, rounds to the float that the exact sum
 * rounds to. Not for registers that are wider than the type (x87).
 *
 * Source: Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms
 * using rounding to odd" (2008); the error of the sum is Knuth's TwoSum.
 */
#ifndef ZOO_KERNELS_FMA_H
#define ZOO_KERNELS_FMA_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float fma_in_double(float a, float b, float c)
{
    double product = (double)a * (double)b, add = (double)c;
    double sum = product + add, rest = sum - product;
    double error = (product - (sum - rest)) + (add - rest);
    uint64_t bits, error_bits;
    memcpy(&bits, &sum, sizeof bits);
    memcpy(&error_bits, &error, sizeof error_bits);
    uint64_t inexact = error > 0 || error < 0; /* not NaN, the error of an infinite sum */
    uint64_t inwards = (bits ^ error_bits) >> 63;
    bits += (inexact & ~bits) * (1 - 2 * inwards);
    memcpy(&sum, &bits, sizeof sum);
    return (float)sum;
}

static inline float fma_float(float a, float b, float c)
{
#if defined __FP_FAST_FMAF || defined __FMA__ || defined __aarch64__ || FLT_EVAL_METHOD != 0
    return fmaf(a, b, c);
#else
    return fma_in_double(a, b, c);
#endif
}

#endif
