/*
 * gemm_int_neon.c: products with integer weights; see gemm_int.inc. Without a dot
 * product instruction: 16-bit products, adjacent ones added in 16 bits (at most 2 * 128 * 127 =
 * 32512), then in 32.
 */
#include "kernels/vi_neon.h"

enum { INT_ROWS = 5 };

static inline va vi_dot8(va acc, vi w, int32_t x)
{
    int8x16_t four = vreinterpretq_s8_s32(vdupq_n_s32(x));
    for (int i = 0; i < 4; i++) {
        int8x16_t bytes = vreinterpretq_s8_u8(w.q[i]);
        int16x8_t low = vmull_s8(vget_low_s8(bytes), vget_low_s8(four));
        int16x8_t high = vmull_high_s8(bytes, four);
        acc.q[i] = vpadalq_s16(acc.q[i], vpaddq_s16(low, high));
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
