/*
 * fma.h: a x b + c of float32 with one rounding, where the CPU may have no instruction for it.
 *
 * The C library's fmaf then changes the rounding mode for each call; fma_in_double takes a few
 * additions. The product of two floats is exact in double. The sum is rounded to odd: if it is
 * inexact and its last bit is even, it becomes the neighbour on the side of the error. A number
 * rounded so, with at least two bits more than float32 has, rounds to the float that the exact sum
 * rounds to. Not for registers that are wider than the type (x87). SSE2 compares no integers of 64
 * bits, so there are no comparisons: compilers then make vectors of it.
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
    uint64_t bits, off;
    memcpy(&bits, &sum, sizeof bits);
    memcpy(&off, &error, sizeof off);
    uint64_t size = off << 1;
    uint64_t infinite = (size >> 1) + (UINT64_C(1) << 52); /* top bit: or not a number */
    uint64_t step = ((size | (0 - size)) & ~infinite) >> 63 & ~bits;
    uint64_t inwards = (bits ^ off) >> 63;
    bits += (step ^ (0 - inwards)) + inwards;
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
