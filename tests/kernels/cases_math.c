/*
 * cases_math.c: activations against the C library in double, and their bits against scalar;
 * fma_in_double against the C library's fmaf.
 */
#include "kt.h"

#include "kernels/fma.h"

#include <float.h>
#include <math.h>

enum { STEPS = 40000 };

static double exact(zoo_act act, double x)
{
    switch (act) {
    case ZOO_ACT_SILU:
        return x / (1 + exp(-x));
    case ZOO_ACT_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752);
    case ZOO_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    case ZOO_ACT_RELU:
        return x > 0 ? x : 0;
    case ZOO_ACT_RELU2:
        return x > 0 ? x * x : 0;
    case ZOO_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case ZOO_ACT_TANH:
        return tanh(x);
    case ZOO_ACT_SOFTPLUS:
        return x > 20 ? x : log1p(exp(x));
    case ZOO_ACT_EXP:
        return exp(x);
    default:
        return x;
    }
}

/* Units in the last place of the larger of |want| and `floor`. */
static double units(float got, double want, double floor)
{
    double size = fabs(want) > floor ? fabs(want) : floor;
    double ulp = ldexp(1, ilogb(size) - 23);
    return fabs((double)got - want) / ulp;
}

static void act_errors(const kt_pair *k, zoo_act act)
{
    static const char *const names[] = {"none",  "silu",    "gelu", "gelu_tanh", "relu",
                                        "relu2", "sigmoid", "tanh", "softplus",  "exp"};
    /* x (1 + erf) and x (1 + tanh) cancel for negative x: their errors are counted from 0.5 |x| */
    bool cancels = act == ZOO_ACT_GELU || act == ZOO_ACT_GELU_TANH;
    float *x = kt_floats(STEPS), *y = kt_floats(STEPS), *z = kt_floats(STEPS),
          *m = kt_floats(STEPS);
    double worst = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        float reach = i % 4 == 0 ? 1e-3f : i % 4 == 1 ? 1.5f : i % 4 == 2 ? 10.0f : 87.0f;
        x[i] = kt_value(reach);
    }
    k->best->act(act, x, y, STEPS);
    k->scalar->act(act, x, z, STEPS);
    for (uint32_t i = 0; i < STEPS; i++) {
        double floor = cancels ? fmax(0.5 * fabs((double)x[i]), (double)FLT_MIN) : (double)FLT_MIN;
        double e = units(y[i], exact(act, (double)x[i]), floor);
        worst = e > worst ? e : worst;
    }
    kt_check(worst < 4, "act %s %s: %.2f units in the last place", names[act], k->isa, worst);
    kt_check(kt_same(y, z, STEPS), "act %s %s: the bits of scalar", names[act], k->isa);
    float *up = kt_values(STEPS, 3);
    bool equal = true;
    k->best->act_mul(act, x, up, m, STEPS);
    for (uint32_t i = 0; i < STEPS; i++) {
        float product = y[i] * up[i];
        equal &= kt_same(&m[i], &product, 1);
    }
    kt_check(equal, "act_mul %s %s: act, then times up", names[act], k->isa);
    kt_clear();
}

/* Ends of the range, infinities, zeros and what is not a number. */
static void act_ends(const kt_pair *k)
{
    const float x[] = {0.0f,   -0.0f,  INFINITY, -INFINITY, NAN,     88.8f, -103.0f, 1e30f,
                       -1e30f, 1e-38f, -1e-38f,  89.5f,     -104.5f, 20.5f, FLT_MAX, -FLT_MAX};
    bool right = true, equal = true;
    for (uint32_t a = 1; a < ZOO_ACT_COUNT; a++) {
        float *y = kt_floats(ZOO_COUNT(x)), *z = kt_floats(ZOO_COUNT(x));
        k->best->act((zoo_act)a, kt_copy(x, ZOO_COUNT(x)), y, ZOO_COUNT(x));
        k->scalar->act((zoo_act)a, kt_copy(x, ZOO_COUNT(x)), z, ZOO_COUNT(x));
        equal &= kt_same(y, z, ZOO_COUNT(x));
        right &= isnan(y[4]) || a == ZOO_ACT_RELU || a == ZOO_ACT_RELU2;
        kt_clear();
    }
    float e[4], in[4] = {88.8f, -110.0f, 0, 1};
    k->best->act(ZOO_ACT_EXP, in, e, 4);
    right &= isinf(e[0]) && e[1] == 0 && e[2] == 1;
    kt_check(right, "act %s: overflow, underflow, not a number", k->isa);
    kt_check(equal, "act %s: the bits of scalar at the ends", k->isa);
}

/* Kind 0: any bits; 1: products and sums among the denormal numbers; 2: few bits, whose sums are
 * exact or lie midway between two floats; 3: c near the product, so that the sum cancels. */
static void fma_case(uint32_t kind, float *a, float *b, float *c)
{
    uint32_t bits[3] = {kt_random(), kt_random(), kt_random()};
    if (kind == 1) {
        bits[0] = (bits[0] & 0x807fffff) | (40 + kt_below(40)) << 23;
        bits[1] = (bits[1] & 0x807fffff) | (20 + kt_below(40)) << 23;
        bits[2] &= 0x807fffff;
    } else if (kind == 2) {
        bits[0] &= 0xfffff800;
        bits[1] &= 0xfffff800;
        bits[2] &= 0xffff0000;
    }
    memcpy(a, &bits[0], sizeof *a);
    memcpy(b, &bits[1], sizeof *b);
    memcpy(c, &bits[2], sizeof *c);
    if (kind == 3) {
        float product = *a * *b;
        memcpy(&bits[2], &product, sizeof product);
        bits[2] = (bits[2] ^ 0x80000000) + kt_below(5) - 2;
        memcpy(c, &bits[2], sizeof *c);
    }
}

void kt_fma(void)
{
    bool equal = true;
    for (uint32_t i = 0; i < 400000 && FLT_EVAL_METHOD == 0; i++) {
        float a, b, c;
        fma_case(i % 4, &a, &b, &c);
        float in_double = fma_in_double(a, b, c), once = fmaf(a, b, c);
        equal &= kt_same(&in_double, &once, 1);
    }
    kt_check(equal, "fma_in_double: the bits of fmaf");
}

void kt_math(const kt_pair *k)
{
    for (uint32_t a = 1; a < ZOO_ACT_COUNT; a++) {
        act_errors(k, (zoo_act)a);
    }
    act_ends(k);
}
