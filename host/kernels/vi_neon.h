/*
 * vi_neon.h: 64 bytes in four 128-bit registers, for gemm_int_neon.c and gemm_int_neondot.c: signed
 * bytes times signed bytes, summed in 32 bits. int8 goes as it is packed; int4 and int5 are 0 .. 15
 * or 31 and begin at the zeros times the shift of the row's group, which takes the zero off each.
 */
#ifndef ZOO_VI_NEON_H
#define ZOO_VI_NEON_H

#include "kernels/int_rows.h"
#include "kernels/v16_neon.h"

#include <stdbool.h>

enum { INT_DIRECT = 4, INT_PART4 = 256, INT_SPLIT8 = 0, INT_SUMS_IN_MEMORY = 1 };

typedef struct vi {
    uint8x16_t q[4];
} vi;

typedef struct va {
    int32x4_t q[4];
} va;

typedef va vz;

#define VI_QUADS(r, expression)                                                                    \
    vi r;                                                                                          \
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)                                            \
    {                                                                                              \
        r.q[i] = (expression);                                                                     \
    }                                                                                              \
    return r

static inline int int_cols(int rows)
{
    return rows <= 1 ? 2 : 1;
}

static inline vi vi_load(const unsigned char *p)
{
    VI_QUADS(r, vld1q_u8(p + 16 * i));
}

static inline void vi_store(unsigned char *p, vi x)
{
    for (int i = 0; i < 4; i++) {
        vst1q_u8(p + 16 * i, x.q[i]);
    }
}

static inline vi vi_low(vi x)
{
    VI_QUADS(r, vandq_u8(x.q[i], vdupq_n_u8(15)));
}

static inline vi vi_high(vi x)
{
    VI_QUADS(r, vshrq_n_u8(x.q[i], 4));
}

static inline vi vi_shift(vi x, int n)
{
    VI_QUADS(
        r, vreinterpretq_u8_u16(vshlq_u16(vreinterpretq_u16_u8(x.q[i]), vdupq_n_s16((int16_t)n))));
}

static inline vi vi_left(vi x, int n)
{
    return vi_shift(x, n);
}

static inline vi vi_right(vi x, int n)
{
    return vi_shift(x, -n);
}

static inline vi vi_fifth(vi four, vi bits)
{
    VI_QUADS(r, vorrq_u8(four.q[i], vandq_u8(bits.q[i], vdupq_n_u8(16))));
}

static inline vi vi_ready8(vi x)
{
    return x;
}

static inline vi vi_odd8(vi x)
{
    return x;
}

static inline vz vi_zeros(const uint16_t *p)
{
    uint8x8_t x = vreinterpret_u8_u16(vld1_u16(p));
    uint16x8_t low = vmovl_u8(vand_u8(x, vdup_n_u8(15))), high = vmovl_u8(vshr_n_u8(x, 4));
    return (vz){{vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))),
                 vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(low))),
                 vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))),
                 vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(high)))}};
}

static inline vz vi_sixteen(void)
{
    int32x4_t sixteen = vdupq_n_s32(INT5_ZERO);
    return (vz){{sixteen, sixteen, sixteen, sixteen}};
}

static inline va vi_start8(int32_t shift)
{
    (void)shift;
    return (va){{vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}};
}

static inline va vi_start4(int32_t shift, vz zeros)
{
    va start;
    for (int i = 0; i < 4; i++) {
        start.q[i] = vmulq_n_s32(zeros.q[i], shift);
    }
    return start;
}

static inline v16 vi_done(va acc, bool int8)
{
    (void)int8;
    V16_QUADS(r, vcvtq_f32_s32(acc.q[i]));
}

#endif
