/*
 * vi_neon.h: 64 bytes in four 128-bit registers, for gemm_int_neon.c and gemm_int_neondot.c: signed
 * bytes times signed bytes, summed in 32 bits. int8 is used as packed; int4 and int5 are 0 .. 120
 * or 31, and accumulators start at the zeros times the shifts of the row's group, which subtracts
 * the zeros.
 */
#ifndef ZOO_VI_NEON_H
#define ZOO_VI_NEON_H

#include "kernels/int_rows.h"
#include "kernels/v16_neon.h"

#include <stdbool.h>

enum { INT_DIRECT = 4, INT_PART4 = 256, INT_SPLIT8 = 0, INT_SUMS_IN_MEMORY = 1 };
enum { INT_DIRECT4 = INT_DIRECT, INT_DIRECT8 = INT_DIRECT };
enum { INT_BLOCK = 512, INT_PANELS = 2 };
#define INT_TIMES 1

typedef struct vi {
    uint8x16_t q[4];
} vi;

typedef struct va {
    int32x4_t q[4];
} va;

/* Zeros of the first and the second 32 columns of a group. */
typedef struct vz {
    va run[2];
} vz;

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

static inline vi vi_sixth(vi four, vi bits)
{
    VI_QUADS(r, vorrq_u8(four.q[i], vandq_u8(bits.q[i], vdupq_n_u8(48))));
}

static inline vi vi_signed6(vi six)
{
    VI_QUADS(r, vsubq_u8(six.q[i], vdupq_n_u8(INT6_ZERO)));
}

static inline vi vi_ready6(vi six)
{
    return vi_signed6(six);
}

static inline vi vi_unpack8(vi x)
{
    return x;
}

static inline vi vi_odd8(vi x)
{
    return x;
}

/* Bytes of 16 outputs, each in the lowest of the four bytes of a word. */
static inline vi vi_words(uint8x16_t x)
{
    uint16x8_t low = vmovl_u8(vget_low_u8(x)), high = vmovl_high_u8(x);
    return (vi){{vreinterpretq_u8_u32(vmovl_u16(vget_low_u16(low))),
                 vreinterpretq_u8_u32(vmovl_high_u16(low)),
                 vreinterpretq_u8_u32(vmovl_u16(vget_low_u16(high))),
                 vreinterpretq_u8_u32(vmovl_high_u16(high))}};
}

/* The same in all four bytes. */
static inline vi vi_all_bytes(vi words)
{
    VI_QUADS(r, vreinterpretq_u8_u32(
                    vmulq_n_u32(vreinterpretq_u32_u8(words.q[i]), (uint32_t)0x01010101)));
}

static inline uint8x16_t vi_step_bytes(const uint16_t *p)
{
    return vld1q_u8((const unsigned char *)p);
}

static inline vi vi_steps(const uint16_t *p)
{
    uint8x16_t times = vshrq_n_u8(vi_step_bytes(p), 6);
    return vi_all_bytes(vi_words(vaddq_u8(times, vdupq_n_u8(INT4_TIMES_MIN))));
}

static inline vi vi_times(vi x, vi times)
{
    VI_QUADS(r, vmulq_u8(x.q[i], times.q[i]));
}

static inline vi vi_zero_words(const uint16_t *p)
{
    return vi_words(vshlq_n_u8(vandq_u8(vi_step_bytes(p), vdupq_n_u8(63)), 1));
}

static inline va vi_zero_run(const uint16_t *p)
{
    vi words = vi_zero_words(p);
    va r;
    for (int i = 0; i < 4; i++) {
        r.q[i] = vreinterpretq_s32_u8(words.q[i]);
    }
    return r;
}

static inline vz vi_zeros(const uint16_t *p, uint32_t n)
{
    return (vz){{vi_zero_run(p), vi_zero_run(n > 1 ? p + ZOO_PANEL / 2 : p)}};
}

static inline vz vi_sixteen(void)
{
    int32x4_t sixteen = vdupq_n_s32(INT5_ZERO);
    va all = {{sixteen, sixteen, sixteen, sixteen}};
    return (vz){{all, all}};
}

static inline va vi_start8(int32_t shift)
{
    (void)shift;
    return (va){{vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}};
}

static inline va vi_start4(int32_t shift, vz zeros)
{
    int32_t first = (int16_t)shift, second = shift >> 16;
    va start;
    for (int i = 0; i < 4; i++) {
        start.q[i] = vmulq_n_s32(zeros.run[0].q[i], first);
        start.q[i] = vmlaq_n_s32(start.q[i], zeros.run[1].q[i], second);
    }
    return start;
}

static inline va vi_start5(int32_t shift)
{
    return vi_start4(shift, vi_sixteen());
}

static inline v16 vi_done(va acc)
{
    V16_QUADS(r, vcvtq_f32_s32(acc.q[i]));
}

#endif
