/* attend_amx.c: products of bf16 pairs in AMX tiles, for attend_pairs.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/share.h"

#undef V16_ISA
#define V16_ISA amx
#include "kernels/vmath.h"

#include <math.h>

#include "kernels/hadamard.inc"
#include "kernels/stored.inc"

#include "kernels/attend_pairs.h"

#include "kernels/amx.h"

static void pairs_begin(void)
{
    tile_config c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = 16;
    }
    configure_tiles(&c);
}

static void pairs_end(void)
{
    _tile_release();
}

/* Sums in tiles 0 .. 3, columns in 4 and 5, rows in 6 and 7. */
__attribute__((always_inline)) static inline void multiply_some(const pairs *p, int n)
{
    const char *a = p->a;
    size_t down = 16 * p->a_row;
    long row = (long)p->a_row;
#define BEGIN(i)                                                                                   \
    if (n > (i)) {                                                                                 \
        if (p->fresh) {                                                                            \
            _tile_zero(i);                                                                         \
        } else {                                                                                   \
            _tile_loadd(i, p->c + (i)*256, 64);                                                    \
        }                                                                                          \
    }
#define STEP(i, columns, rows)                                                                     \
    if (n > (i)) {                                                                                 \
        _tile_loadd(rows, a + (i)*down, row);                                                      \
        _tile_dpbf16ps(i, rows, columns);                                                          \
    }
#define END(i)                                                                                     \
    if (n > (i)) {                                                                                 \
        _tile_stored(i, p->c + (i)*256, 64);                                                       \
    }
    BEGIN(0) BEGIN(1) BEGIN(2) BEGIN(3) for (size_t k = 0; k < p->n_k; k++, a += 64)
    {
        _tile_loadd(4, p->b + k * 256, 64);
        STEP(0, 4, 6)
        STEP(1, 4, 7)
        STEP(2, 4, 6)
        STEP(3, 4, 7)
    }
    END(0) END(1) END(2) END(3)
#undef BEGIN
#undef STEP
#undef END
}

static void pairs_multiply(const pairs *args)
{
    pairs p = *args;
    compiler_fence(p.b);
    for (; p.n_m >= 4; p.n_m -= 4) {
        multiply_some(&p, 4);
        p.a = (const char *)p.a + 64 * p.a_row;
        p.c += 1024;
    }
    switch (p.n_m) {
    case 3:
        multiply_some(&p, 3);
        break;
    case 2:
        multiply_some(&p, 2);
        break;
    case 1:
        multiply_some(&p, 1);
        break;
    default:
        break;
    }
    compiler_fence(p.c);
}

#define FEW_ROWS 0
#include "kernels/attend_pairs.inc"
