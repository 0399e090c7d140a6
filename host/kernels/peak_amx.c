/* peak_amx.c: see peak.inc; four tiles of sums. */
#include "v16_avx512.h"

#include "amx.h"

#undef V16_ISA
#define V16_ISA amx
#include "vmath.h"

#include "kernels/kernels.inc"

static void all_tiles(void)
{
    tile_config c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = 16;
    }
    configure_tiles(&c);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(6);
}

uint64_t k_peak_int8_amx(uint64_t n)
{
    all_tiles();
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
    all_tiles();
    for (uint64_t i = 0; i < n; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 6);
        _tile_dpbf16ps(2, 4, 6);
        _tile_dpbf16ps(3, 4, 6);
    }
    _tile_release();
    return n * 4 * 2 * 16 * 16 * 32;
}
