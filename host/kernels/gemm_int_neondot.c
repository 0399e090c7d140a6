/*
 * gemm_int_neondot.c: products with integer weights through sdot; see gemm_int.inc.
 */
#include "kernels/vi_neon.h"

enum { INT_ROWS = 6 };

#undef V16_ISA
#define V16_ISA neondot

static inline va vi_dot8(va acc, vi w, int32_t x)
{
    int8x16_t four = vreinterpretq_s8_s32(vdupq_n_s32(x));
    for (int i = 0; i < 4; i++) {
        acc.q[i] = vdotq_s32(acc.q[i], vreinterpretq_s8_u8(w.q[i]), four);
    }
    return acc;
}

static inline va vi_dot4(va acc, vi w, int32_t x)
{
    return vi_dot8(acc, w, x);
}

#include "kernels/int_rows.h"
#include "kernels/share.h"
#include "kernels/vmath.h"

#include "kernels/gemm_int.inc"
