/*
 * v16_neon.h: v16_scalar.h in four 128-bit registers of AArch64.
 */
#ifndef ZOO_V16_NEON_H
#define ZOO_V16_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define V16_ISA neon
enum { V16_TILE_ROWS = 6, V16_TILE_COLS = 1 };

typedef struct v16 {
    float32x4_t q[4];
} v16;

#define V16_QUADS(r, expression)                                                                   \
    v16 r;                                                                                         \
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)                                            \
    {                                                                                              \
        r.q[i] = (expression);                                                                     \
    }                                                                                              \
    return r

static inline v16 v16_set1(float x)
{
    V16_QUADS(r, vdupq_n_f32(x));
}

static inline v16 v16_load(const float *p)
{
    V16_QUADS(r, vld1q_f32(p + 4 * i));
}

static inline void v16_store(float *p, v16 x)
{
    for (int i = 0; i < 4; i++) {
        vst1q_f32(p + 4 * i, x.q[i]);
    }
}

static inline v16 v16_load_n(const float *p, size_t n)
{
    float x[16] = {0};
    memcpy(x, p, n * sizeof *p);
    return v16_load(x);
}

static inline void v16_store_n(float *p, v16 x, size_t n)
{
    float y[16];
    v16_store(y, x);
    memcpy(p, y, n * sizeof *p);
}

static inline v16 v16_add(v16 x, v16 y)
{
    V16_QUADS(r, vaddq_f32(x.q[i], y.q[i]));
}

/* Each product with 1 or -1 is exact: the sums are those of plain additions. */
static inline float32x4_t v16_hadamard_quad(float32x4_t x)
{
    static const float two_apart[4] = {1, 1, -1, -1}, one_apart[4] = {1, -1, 1, -1};
    x = vfmaq_f32(vextq_f32(x, x, 2), x, vld1q_f32(two_apart));
    return vfmaq_f32(vrev64q_f32(x), x, vld1q_f32(one_apart));
}

static inline v16 v16_hadamard(v16 x)
{
    float32x4_t a = vaddq_f32(x.q[0], x.q[2]), b = vaddq_f32(x.q[1], x.q[3]);
    float32x4_t c = vsubq_f32(x.q[0], x.q[2]), d = vsubq_f32(x.q[1], x.q[3]);
    return (v16){{v16_hadamard_quad(vaddq_f32(a, b)), v16_hadamard_quad(vsubq_f32(a, b)),
                  v16_hadamard_quad(vaddq_f32(c, d)), v16_hadamard_quad(vsubq_f32(c, d))}};
}

static inline v16 v16_sub(v16 x, v16 y)
{
    V16_QUADS(r, vsubq_f32(x.q[i], y.q[i]));
}

static inline v16 v16_mul(v16 x, v16 y)
{
    V16_QUADS(r, vmulq_f32(x.q[i], y.q[i]));
}

static inline v16 v16_div(v16 x, v16 y)
{
    V16_QUADS(r, vdivq_f32(x.q[i], y.q[i]));
}

static inline v16 v16_fma(v16 x, v16 y, v16 z)
{
    V16_QUADS(r, vfmaq_f32(z.q[i], x.q[i], y.q[i]));
}

static inline v16 v16_min(v16 x, v16 y)
{
    V16_QUADS(r, vbslq_f32(vcltq_f32(x.q[i], y.q[i]), x.q[i], y.q[i]));
}

static inline v16 v16_max(v16 x, v16 y)
{
    V16_QUADS(r, vbslq_f32(vcgtq_f32(x.q[i], y.q[i]), x.q[i], y.q[i]));
}

static inline v16 v16_abs(v16 x)
{
    V16_QUADS(r, vabsq_f32(x.q[i]));
}

static inline v16 v16_copysign(v16 x, v16 s)
{
    V16_QUADS(r, vbslq_f32(vdupq_n_u32(0x80000000u), s.q[i], x.q[i]));
}

static inline v16 v16_round(v16 x)
{
    V16_QUADS(r, vrndnq_f32(x.q[i]));
}

static inline v16 v16_pick_gt(v16 a, v16 b, v16 x, v16 y)
{
    V16_QUADS(r, vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), x.q[i], y.q[i]));
}

static inline int v16_any_gt(v16 a, v16 b)
{
    uint32x4_t low = vorrq_u32(vcgtq_f32(a.q[0], b.q[0]), vcgtq_f32(a.q[1], b.q[1]));
    uint32x4_t high = vorrq_u32(vcgtq_f32(a.q[2], b.q[2]), vcgtq_f32(a.q[3], b.q[3]));
    return vmaxvq_u32(vorrq_u32(low, high)) != 0;
}

static inline float32x4_t v16_between_quad(float32x4_t x, int lo, int hi, float other)
{
    static const int32_t lanes[4] = {0, 1, 2, 3};
    int32x4_t lane = vld1q_s32(lanes);
    uint32x4_t in = vandq_u32(vcgeq_s32(lane, vdupq_n_s32(lo)), vcltq_s32(lane, vdupq_n_s32(hi)));
    return vbslq_f32(in, x, vdupq_n_f32(other));
}

static inline v16 v16_between(v16 x, int lo, int hi, float other)
{
    V16_QUADS(r, v16_between_quad(x.q[i], lo - 4 * i, hi - 4 * i, other));
}

/* In two exact steps but for the last, which rounds. */
static inline float32x4_t v16_ldexp_quad(float32x4_t x, float32x4_t n)
{
    int32x4_t whole = vcvtnq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    int32x4_t bias = vdupq_n_s32(127);
    int32x4_t low = vshlq_n_s32(vaddq_s32(half, bias), 23);
    int32x4_t high = vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23);
    float32x4_t y =
        vmulq_f32(vmulq_f32(x, vreinterpretq_f32_s32(low)), vreinterpretq_f32_s32(high));
    return vbslq_f32(vceqq_f32(n, n), y, n);
}

static inline v16 v16_ldexp(v16 x, v16 n)
{
    V16_QUADS(r, v16_ldexp_quad(x.q[i], n.q[i]));
}

/* The tree of v16_scalar.h: + 8, + 4, + 2, + 1. */
static inline float v16_sum(v16 x)
{
    float32x4_t s = vaddq_f32(vaddq_f32(x.q[0], x.q[2]), vaddq_f32(x.q[1], x.q[3]));
    float32x2_t t = vadd_f32(vget_low_f32(s), vget_high_f32(s));
    return vget_lane_f32(t, 0) + vget_lane_f32(t, 1);
}

static inline float v16_top(v16 x)
{
    v16 y =
        v16_max((v16){{x.q[0], x.q[1], x.q[0], x.q[1]}}, (v16){{x.q[2], x.q[3], x.q[2], x.q[3]}});
    float f[4];
    vst1q_f32(f, vbslq_f32(vcgtq_f32(y.q[0], y.q[1]), y.q[0], y.q[1]));
    f[0] = f[0] > f[2] ? f[0] : f[2];
    f[1] = f[1] > f[3] ? f[1] : f[3];
    return f[0] > f[1] ? f[0] : f[1];
}

static inline v16 v16_from_f16(const uint16_t *p)
{
    V16_QUADS(r, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))));
}

static inline void v16_to_f16(uint16_t *p, v16 x)
{
    for (int i = 0; i < 4; i++) {
        vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.q[i])));
    }
}

static inline v16 v16_from_bf16(const uint16_t *p)
{
    V16_QUADS(r, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)));
}

static inline float32x4_t v16_lower_bf16(uint32x4_t words)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(words, 16));
}

static inline float32x4_t v16_upper_bf16(uint32x4_t words)
{
    return vreinterpretq_f32_u32(vandq_u32(words, vdupq_n_u32(0xffff0000u)));
}

/* Words of two bf16 as the lower ones and the upper ones. */
static inline void v16_part_bf16(const float *words, v16 *lower, v16 *upper)
{
    for (int i = 0; i < 4; i++) {
        uint32x4_t four = vreinterpretq_u32_f32(vld1q_f32(words + 4 * i));
        lower->q[i] = v16_lower_bf16(four);
        upper->q[i] = v16_upper_bf16(four);
    }
}

static inline uint16x4_t v16_to_bf16_quad(float32x4_t x)
{
    uint32x4_t bits = vreinterpretq_u32_f32(x);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t up = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), up, quiet), 16);
}

static inline void v16_to_bf16(uint16_t *p, v16 x)
{
    for (int i = 0; i < 4; i++) {
        vst1_u16(p + 4 * i, v16_to_bf16_quad(x.q[i]));
    }
}

static inline void v16_pairs_bf16(const uint16_t *p, v16 *a, v16 *b)
{
    for (int i = 0; i < 4; i++) {
        uint32x4_t four = vreinterpretq_u32_u16(vld1q_u16(p + 8 * i));
        a->q[i] = v16_lower_bf16(four);
        b->q[i] = v16_upper_bf16(four);
    }
}

static inline v16 v16_from_bytes(int8x16_t bytes)
{
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    return (v16){{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
                  vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
                  vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                  vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))}};
}

static inline v16 v16_from_i8(const int8_t *p)
{
    return v16_from_bytes(vld1q_s8(p));
}

static inline void v16_to_i8(int8_t *p, v16 x)
{
    int16x8_t low =
        vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x.q[0])), vqmovn_s32(vcvtnq_s32_f32(x.q[1])));
    int16x8_t high =
        vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x.q[2])), vqmovn_s32(vcvtnq_s32_f32(x.q[3])));
    vst1q_s8(p, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
}

static inline v16 v16_from_i4(const uint8_t *p)
{
    uint8x8_t x = vld1_u8(p), low = vand_u8(x, vdup_n_u8(15)), high = vshr_n_u8(x, 4);
    uint8x16_t nibbles = vcombine_u8(vzip1_u8(low, high), vzip2_u8(low, high));
    return v16_from_bytes(vsubq_s8(vreinterpretq_s8_u8(nibbles), vdupq_n_s8(8)));
}

static inline void v16_unzip(const float *p, v16 *a, v16 *b)
{
    for (int i = 0; i < 4; i++) {
        float32x4x2_t pair = vld2q_f32(p + 8 * i);
        a->q[i] = pair.val[0];
        b->q[i] = pair.val[1];
    }
}

static inline void v16_zip(float *p, v16 a, v16 b)
{
    for (int i = 0; i < 4; i++) {
        float32x4x2_t pair = {{a.q[i], b.q[i]}};
        vst2q_f32(p + 8 * i, pair);
    }
}

/* out[c][r] = rows[r][c] for 16 rows of 16 floats, four by four. */
static inline void v16_transpose(const v16 *rows, float *out, size_t out_stride)
{
    for (size_t r = 0; r < 16; r += 4) {
        for (size_t c = 0; c < 4; c++) {
            const float32x4_t *q[4] = {&rows[r].q[c], &rows[r + 1].q[c], &rows[r + 2].q[c],
                                       &rows[r + 3].q[c]};
            float64x2_t even_low = vreinterpretq_f64_f32(vtrn1q_f32(*q[0], *q[1]));
            float64x2_t odd_low = vreinterpretq_f64_f32(vtrn2q_f32(*q[0], *q[1]));
            float64x2_t even_high = vreinterpretq_f64_f32(vtrn1q_f32(*q[2], *q[3]));
            float64x2_t odd_high = vreinterpretq_f64_f32(vtrn2q_f32(*q[2], *q[3]));
            float *to = out + 4 * c * out_stride + r;
            vst1q_f32(to, vreinterpretq_f32_f64(vtrn1q_f64(even_low, even_high)));
            vst1q_f32(to + out_stride, vreinterpretq_f32_f64(vtrn1q_f64(odd_low, odd_high)));
            vst1q_f32(to + 2 * out_stride, vreinterpretq_f32_f64(vtrn2q_f64(even_low, even_high)));
            vst1q_f32(to + 3 * out_stride, vreinterpretq_f32_f64(vtrn2q_f64(odd_low, odd_high)));
        }
    }
}

/* Sixteen floats from each of sixteen rows in memory, transposed to out [16][16]. */
static inline void v16_turn(const float *const *rows, float *out)
{
    v16 x[16];
    for (size_t r = 0; r < 16; r++) {
        x[r] = v16_load(rows[r]);
    }
    v16_transpose(x, out, 16);
}

static inline v16 v16_gather(const float *p, size_t stride, size_t n)
{
    float x[16] = {0};
    for (size_t i = 0; i < n; i++) {
        x[i] = p[i * stride];
    }
    return v16_load(x);
}

#endif
