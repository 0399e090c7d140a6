/*
 * vmath.h: exp, tanh, erf, softplus and the activations over v16, one order of operations for all
 * instruction sets. Include after v16_<isa>.h.
 *
 *   exp       2^n (1 + r + r^2 P(r)),  n = round(x / ln 2),  |r| <= ln 2 / 2
 *   tanh      x + x z P(z), z = x^2, below 0.625;  1 - 2 / (e^2x + 1) above
 *   erf       x + x P(z) below 1;  1 - e^-P(x) above
 *   softplus  max(x, 0) + log1p(e^-|x|),  log1p(t) = 2 s + 2 s z P(z), s = t / (2 + t), z = s^2
 *
 * Errors: exp, tanh and erf below 2 ulp, softplus below 3. The polynomials interpolate at Chebyshev
 * nodes. NaN stays NaN.
 */
#ifndef ZOO_VMATH_H
#define ZOO_VMATH_H

#include "kernels.h"

static inline v16 v16_exp(v16 x)
{
    x = v16_min(v16_set1(89.0f), v16_max(v16_set1(-104.0f), x));
    v16 n = v16_round(v16_mul(x, v16_set1(1.44269504f)));
    v16 r = v16_fma(n, v16_set1(-0.693147182f), x);
    r = v16_fma(n, v16_set1(1.90465421e-9f), r);
    v16 p = v16_fma(v16_set1(0.0013926184f), r, v16_set1(0.00836317893f));
    p = v16_fma(p, r, v16_set1(0.0416665561f));
    p = v16_fma(p, r, v16_set1(0.166665763f));
    p = v16_fma(p, r, v16_set1(0.5f));
    p = v16_fma(v16_mul(r, r), p, r);
    return v16_ldexp(v16_add(p, v16_set1(1.0f)), n);
}

static inline v16 v16_neg(v16 x)
{
    return v16_mul(x, v16_set1(-1.0f));
}

static inline v16 v16_tanh(v16 x)
{
    v16 one = v16_set1(1.0f), a = v16_abs(x), z = v16_mul(x, x);
    v16 p = v16_fma(v16_set1(-0.00609671418f), z, v16_set1(0.0209971797f));
    p = v16_fma(p, z, v16_set1(-0.0538509078f));
    p = v16_fma(p, z, v16_set1(0.133327693f));
    p = v16_fma(p, z, v16_set1(-0.333333284f));
    v16 small = v16_fma(v16_mul(x, z), p, x);
    v16 e = v16_exp(v16_add(a, a));
    v16 large = v16_sub(one, v16_div(v16_set1(2.0f), v16_add(e, one)));
    return v16_pick_gt(a, v16_set1(0.625f), v16_copysign(large, x), small);
}

static inline v16 v16_erf(v16 x)
{
    v16 one = v16_set1(1.0f), a = v16_abs(x), z = v16_mul(x, x);
    v16 p = v16_fma(v16_set1(7.87587487e-05f), z, v16_set1(-0.00080168643f));
    p = v16_fma(p, z, v16_set1(0.00518908724f));
    p = v16_fma(p, z, v16_set1(-0.0268542115f));
    p = v16_fma(p, z, v16_set1(0.112835944f));
    p = v16_fma(p, z, v16_set1(-0.37612626f));
    p = v16_fma(p, z, v16_set1(0.128379166f));
    v16 small = v16_fma(x, p, x);
    v16 t = v16_min(a, v16_set1(4.0f));
    v16 q = v16_fma(v16_set1(-1.6371514e-06f), t, v16_set1(4.60580413e-05f));
    q = v16_fma(q, t, v16_set1(-0.00059680565f));
    q = v16_fma(q, t, v16_set1(0.0047595962f));
    q = v16_fma(q, t, v16_set1(-0.0264211353f));
    q = v16_fma(q, t, v16_set1(0.110080086f));
    q = v16_fma(q, t, v16_set1(0.631826043f));
    q = v16_fma(q, t, v16_set1(1.13023341f));
    q = v16_fma(q, t, v16_set1(-0.00032013806f));
    v16 large = v16_sub(one, v16_exp(v16_neg(q)));
    return v16_pick_gt(a, one, v16_copysign(large, x), small);
}

static inline v16 v16_softplus(v16 x)
{
    v16 two = v16_set1(2.0f), t = v16_exp(v16_neg(v16_abs(x)));
    v16 s = v16_div(t, v16_add(t, two)), z = v16_mul(s, s);
    v16 p = v16_fma(v16_set1(0.11612165f), z, v16_set1(0.108532876f));
    p = v16_fma(p, z, v16_set1(0.142961785f));
    p = v16_fma(p, z, v16_set1(0.199998528f));
    p = v16_fma(p, z, v16_set1(0.333333343f));
    v16 s2 = v16_add(s, s);
    v16 log1p = v16_fma(v16_mul(s2, z), p, s2);
    v16 y = v16_add(v16_max(v16_set1(0.0f), x), log1p);
    return v16_pick_gt(x, v16_set1(20.0f), x, y);
}

static inline v16 v16_sigmoid(v16 x)
{
    v16 one = v16_set1(1.0f);
    return v16_div(one, v16_add(one, v16_exp(v16_neg(x))));
}

static inline v16 v16_silu(v16 x)
{
    return v16_div(x, v16_add(v16_set1(1.0f), v16_exp(v16_neg(x))));
}

static inline v16 v16_gelu(v16 x)
{
    v16 phi = v16_add(v16_set1(1.0f), v16_erf(v16_mul(x, v16_set1(0.707106781f))));
    return v16_mul(v16_mul(v16_set1(0.5f), x), phi);
}

static inline v16 v16_gelu_tanh(v16 x)
{
    v16 cube = v16_mul(v16_mul(x, x), x);
    v16 inner = v16_mul(v16_set1(0.797884561f), v16_fma(v16_set1(0.044715f), cube, x));
    return v16_mul(v16_mul(v16_set1(0.5f), x), v16_add(v16_set1(1.0f), v16_tanh(inner)));
}

static inline v16 v16_relu(v16 x)
{
    return v16_max(v16_set1(0.0f), x);
}

static inline v16 v16_act(zoo_act act, v16 x)
{
    switch (act) {
    case ZOO_ACT_SILU:
        return v16_silu(x);
    case ZOO_ACT_GELU:
        return v16_gelu(x);
    case ZOO_ACT_GELU_TANH:
        return v16_gelu_tanh(x);
    case ZOO_ACT_RELU:
        return v16_relu(x);
    case ZOO_ACT_RELU2:
        return v16_mul(v16_relu(x), v16_relu(x));
    case ZOO_ACT_SIGMOID:
        return v16_sigmoid(x);
    case ZOO_ACT_TANH:
        return v16_tanh(x);
    case ZOO_ACT_SOFTPLUS:
        return v16_softplus(x);
    case ZOO_ACT_EXP:
        return v16_exp(x);
    case ZOO_ACT_NONE:
    case ZOO_ACT_COUNT:
        break;
    }
    return x;
}

static inline v16 v16_softcap(v16 x, float cap)
{
    v16 c = v16_set1(cap);
    return v16_mul(c, v16_tanh(v16_div(x, c)));
}

/* Loads and stores a vector of a row that has n floats left, full or partial. */
static inline v16 v16_get(const float *p, size_t n)
{
    return n >= 16 ? v16_load(p) : v16_load_n(p, n);
}

static inline void v16_put(float *p, v16 x, size_t n)
{
    if (n >= 16) {
        v16_store(p, x);
    } else {
        v16_store_n(p, x, n);
    }
}

/* K(rms_norm) is k_rms_norm_avx2 in a file for AVX2. */
#define ZOO_K_PASTE(op, isa) k_##op##_##isa
#define ZOO_K_NAME(op, isa)  ZOO_K_PASTE(op, isa)
#define K(op)                ZOO_K_NAME(op, V16_ISA)

#include "kernels/kernels.inc"

#endif
