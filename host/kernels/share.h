/*
 * share.h: used by all matrix products: the number of rows of a tile, and the prefetch of y.
 */
#ifndef ZOO_SHARE_H
#define ZOO_SHARE_H

#include <stddef.h>
#include <stdint.h>

/* Rows of the next tile if n are left, divided evenly over the tiles. */
static inline uint32_t tile_share(uint32_t n, uint32_t max)
{
    uint32_t tiles = (n + max - 1) / max;
    return (n + tiles - 1) / tiles;
}

/* Prefetches y [n_rows, n] for writing. Without the empty asm gcc considers the function free of
 * effects and removes its calls. */
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
