/*
 * share.h: what the matrix products share: how many rows a tile takes, and the prefetch of y.
 */
#ifndef ZOO_SHARE_H
#define ZOO_SHARE_H

#include <stddef.h>
#include <stdint.h>

/* Rows of the next tile when n are left: as even as can be. */
static inline uint32_t tile_share(uint32_t n, uint32_t max)
{
    uint32_t tiles = (n + max - 1) / max;
    return (n + tiles - 1) / tiles;
}

/* Prefetches the lines of y [n_rows, n] that a product will write. Without the empty asm gcc takes
 * this for a function without effect and drops its calls. */
static inline void prefetch_rows(const float *y, size_t y_stride, size_t n_rows, size_t n)
{
    for (size_t r = 0; r < n_rows; r++, y += y_stride) {
        for (size_t i = 0; i < n; i += 16) {
            __builtin_prefetch(y + i, 1, 2);
        }
    }
    __asm__ volatile("");
}

#endif
