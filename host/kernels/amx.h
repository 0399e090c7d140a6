/*
 * amx.h: tile configuration and a compiler fence, for all AMX kernels. gcc 12 does not know that
 * tile loads read memory, so stores before them need the fence.
 */
#ifndef ZOO_AMX_H
#define ZOO_AMX_H

#include <immintrin.h>
#include <stdint.h>

/* The operand of ldtilecfg. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* Completes stores to p before the tile operations that follow. */
static inline void compiler_fence(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

static inline void configure_tiles(const tile_config *c)
{
    compiler_fence(c);
    _tile_loadconfig(c);
}

#endif
