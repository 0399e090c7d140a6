/*
 * plain_narrow_cache.c: keys and values kept in 8 or 4 bits.
 *
 *   t = H x        H_ij = +1 or -1, the sign by the bits that i and j share, even or odd
 *
 *   int8: for each 32 numbers   s = largest |t| / 127, in bf16      c = round(t / s)
 *                               t' = s c
 *   int4: for each 16 numbers   c = round(t / s - z), 0 to 15       s and z from a few tries
 *                               t' = s (c + z)
 *
 *   x' = H t' / n                                    what attention sees; n numbers a row
 *
 * A key often has one or two numbers that are many times larger than the rest. A scale that serves
 * them rounds the others to zero. The Hadamard matrix H makes every number a signed sum of all, so
 * a single large one is spread over the whole row. Since H H = n I, nothing is lost, and
 * q . k = (H q) . (H k) / n: attention rotates the query instead of rotating the cache back.
 *
 * An int8 group has its zero in the middle, which costs 16 bits for 32 numbers: 8.5 bits a number.
 * Sixteen steps are too few for that, so int4 groups have a zero point of their own: a scale of 9
 * bits (four of them below the binary point) and a zero point of 7, in eighths of a step: 5 bits a
 * number. The scale need not represent the largest number exactly: of five candidates the one with
 * the least squared error is taken, and the zero point moves until the errors sum to nothing.
 *
 * The rotation: Ashkboos et al., "QuaRot", arXiv 2404.00456. The formats: sdk/kernels.h.
 */
#include "plain.h"

#include <math.h>
#include <string.h>

void plain_hadamard(double *x, size_t n)
{
    double y[PLAIN_ROW_MAX];
    for (size_t i = 0; i < n; i++) {
        y[i] = 0;
        for (size_t j = 0; j < n; j++) {
            bool odd = false;
            for (size_t shared = i & j; shared; shared >>= 1) {
                odd = odd != (shared & 1);
            }
            y[i] += odd ? -x[j] : x[j];
        }
    }
    memcpy(x, y, n * sizeof *x);
}

/* Eight binary digits of a number, the first included: what bf16 keeps. */
static double to_bf16(double x)
{
    int exponent;
    double digits = frexp(x, &exponent);
    return ldexp(rint(ldexp(digits, 8)), exponent - 8);
}

static void narrow_8(double *t, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(t[i]));
    }
    double s = to_bf16(largest / 127);
    for (size_t i = 0; i < n && s > 0; i++) {
        t[i] = s * fmin(fmax(rint(t[i] / s), -127), 127);
    }
}

/* Scale number 1 to 511: sixteen to each power of two. */
static double scale_of(int number)
{
    return ldexp(1 + number % 16 / 16.0, number / 16 - 18);
}

/* The numbers t' of one scale, to out; returns the sum of squares that they are off by. */
static double try_4(const double *t, size_t n, double s, double middle, double *out)
{
    double z = rint((middle / s) * 8) / 8,
           error = 0; /* the number between codes 7 and 8, in steps */
    for (int move = 0; move < 3; move++) {
        double off = 0;
        z = fmin(fmax(z, -63 / 8.0), 8);
        for (size_t i = 0; i < n; i++) {
            double code = fmin(fmax(rint(t[i] / s - z - 0.5), -8), 7);
            out[i] = s * (code + 0.5 + z);
            off += code + 0.5 - t[i] / s;
        }
        z = move < 2 ? rint(-off / (double)n * 8) / 8 : z;
    }
    for (size_t i = 0; i < n; i++) {
        error += (out[i] - t[i]) * (out[i] - t[i]);
    }
    return error;
}

static void narrow_4(double *t, size_t n)
{
    double low = t[0], high = t[0], out[16], best[16], least = INFINITY;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, t[i]);
        high = fmax(high, t[i]);
    }
    double middle = (high + low) / 2, step = fmax((high - low) / 15, fabs(middle) / 8);
    int number = 1; /* the smallest scale whose sixteen steps reach over all of them */
    while (number < 511 && scale_of(number) < step) {
        number++;
    }
    static const int tries[] = {0, -3, -2, -1, 1};
    for (size_t i = 0; i < 5 && step > 0; i++) {
        int other = number + tries[i];
        double error = other > 0 && other < 512 ? try_4(t, n, scale_of(other), middle, out) : least;
        if (error < least) {
            least = error;
            memcpy(best, out, sizeof best);
        }
    }
    memcpy(t, best, step > 0 ? n * sizeof *t : 0);
}

void plain_narrow_cache(double *x, size_t n, unsigned bits)
{
    plain_hadamard(x, n);
    for (size_t i = 0; i < n; i += bits == 8 ? 32 : 16) {
        if (bits == 8) {
            narrow_8(x + i, n - i < 32 ? n - i : 32);
        } else {
            narrow_4(x + i, n - i < 16 ? n - i : 16);
        }
    }
    plain_hadamard(x, n);
    for (size_t i = 0; i < n; i++) {
        x[i] /= (double)n;
    }
}
