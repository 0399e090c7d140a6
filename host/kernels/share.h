/*
 * share.h: how many rows the tiles of a matrix product take.
 */
#ifndef ZOO_SHARE_H
#define ZOO_SHARE_H

#include <stdint.h>

/* Rows of the next tile when n are left: as even as can be. */
static inline uint32_t tile_share(uint32_t n, uint32_t max)
{
    uint32_t tiles = (n + max - 1) / max;
    return (n + tiles - 1) / tiles;
}

#endif
