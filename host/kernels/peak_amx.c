/*
 * peak_amx.c: see peak.inc; four tiles of sums. Factors are random, not zeros: a CPU at its power
 * limit multiplies tiles of zeros twice as fast (Emerald Rapids: in 16 cycles instead of 32).
 */
#include "kernels/v16_avx512.h"

#include "kernels/amx.h"

#undef V16_ISA
#define V16_ISA amx
#include "kernels/vmath.h"

#include "kernels/kernels.inc"

/* Sums in tiles 0 .. 3, factors in 4 and 6: the bits of `free` are random, the others `fixed`. */
static void all_tiles(uint16_t free, uint16_t fixed)
{
    _Alignas(64) uint16_t noise[16 * 32];
    tile_config c = {.palette = 1};
    uint32_t seed = 1;
    for (size_t i = 0; i < ZOO_COUNT(noise); i++) {
        seed = seed * 1664525u + 1013904223u;
        noise[i] = (uint16_t)((seed >> 16 & free) | fixed);
    }
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = 16;
    }
    compiler_fence(noise);
    configure_tiles(&c);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, noise, 64);
    _tile_loadd(6, noise, 64);
}

uint64_t k_peak_int8_amx(uint64_t n)
{
    all_tiles(0xffff, 0);
    for (uint64_t i = 0; i < n; i++) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 6);
        _tile_dpbssd(2, 4, 6);
        _tile_dpbssd(3, 4, 6);
    }
    _tile_release();
    return n * 4 * 2 * 16 * 16 * 64;
}

uint64_t k_peak_bf16_amx(uint64_t n)
{
    all_tiles(0x807f, 0x3f80); /* between 1 and 2, both signs */
    for (uint64_t i = 0; i < n; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 6);
        _tile_dpbf16ps(2, 4, 6);
        _tile_dpbf16ps(3, 4, 6);
    }
    _tile_release();
    return n * 4 * 2 * 16 * 16 * 32;
}
