/*
 * bf16.h: converts one bf16 value to float32, whose upper half it is.
 */
#ifndef ZOO_KERNELS_BF16_H
#define ZOO_KERNELS_BF16_H

#include <stdint.h>
#include <string.h>

static inline float bf16_value(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
