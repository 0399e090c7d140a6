/*
 * rotate.h: which values a Hadamard matrix mixes (rotate.inc has the formula), and the plain form
 * of it for whoever reads packed matrices back.
 */
#ifndef ZOO_KERNELS_ROTATE_H
#define ZOO_KERNELS_ROTATE_H

#include <stddef.h>
#include <stdint.h>

enum { ZOO_ROTATE_MAX = 64 };

/* Values of a group, a multiple of 16, that are mixed: the largest power of two that divides it,
 * at most 64. */
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
