/*
 * rotate.h: the spans of a group that a Hadamard matrix rotates (formula: rotate.inc), and a plain
 * version of the rotation for unpacking matrices.
 */
#ifndef ZOO_KERNELS_ROTATE_H
#define ZOO_KERNELS_ROTATE_H

#include <stddef.h>
#include <stdint.h>

enum { ZOO_ROTATE_MAX = 64 };

/* Values that are rotated together: the largest power of two that divides the group (a multiple of
 * 16), at most 64. */
static inline uint32_t zoo_rotate_span(uint32_t group)
{
    uint32_t power = group & (~group + 1);
    return power < ZOO_ROTATE_MAX ? power : ZOO_ROTATE_MAX;
}

/* H times each span of x [n], in place; n is a multiple of span. */
static inline void zoo_rotate(float *x, size_t n, uint32_t span)
{
    for (uint32_t step = span / 2; step; step /= 2) {
        for (size_t i = 0; i < n; i++) {
            if (!(i & step)) {
                float a = x[i], b = x[i + step];
                x[i] = a + b;
                x[i + step] = a - b;
            }
        }
    }
}

#endif
