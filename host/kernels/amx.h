/*
 * amx.h: what both AMX files share: the tile configuration, and a fence for compilers, whose tile
 * loads (gcc 12) do not count as reading memory.
 */
#ifndef ZOO_AMX_H
#define ZOO_AMX_H

#include <immintrin.h>
#include <stdint.h>

/* As ldtilecfg reads it. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* What was written to p stands in memory before the tile operations that follow. */
static inline void settle(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

static inline void configure_tiles(const tile_config *c)
{
    settle(c);
    _tile_loadconfig(c);
}

#endif
