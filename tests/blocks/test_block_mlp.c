/*
 * Feed-forward block against its formulas in double, with every option; chunks, batches and threads
 * give the same bits; the maps of fused tensors take every row once.
 */
#include "blocks/mlp/mlp.h"
#include "fake.h"

#include <math.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

enum { N = 40, IN = 21, F = 35, OUT = 18 };

#define FIELD(f) offsetof(zoo_mlp_weights, f)
#define BASE     .width_in = IN, .width = F, .width_out = OUT
#define GATED    BASE, .gated = 1

typedef struct mlp_case {
    const char *name;
    zoo_mlp p;
} mlp_case;

static const mlp_case cases[] = {
    {"gated silu", {GATED, .glu = {.act = ZOO_ACT_SILU}}},
    {"gated gelu, biases", {GATED, .glu = {.act = ZOO_ACT_GELU}, .in_bias = 1, .out_bias = 1}},
    {"plain relu2", {BASE, .glu = {.act = ZOO_ACT_RELU2}, .in_bias = 1}},
    {"plain tanh gelu, transposed", {BASE, .glu = {.act = ZOO_ACT_GELU_TANH}, .transposed = 1}},
    {"fused", {GATED, .glu = {.act = ZOO_ACT_GELU_TANH}, .fused = ZOO_FUSED_HALVES, .in_bias = 1}},
    {"clamped", {GATED, .glu = {.act = ZOO_ACT_SILU, .limit = 0.5f}}},
    {"alpha", {GATED, .glu = {.limit = 0.9f, .alpha = 1.7f, .up_shift = 1}, .in_bias = 1}},
    {"scales", {GATED, .glu = {.act = ZOO_ACT_SILU}, .gate_scale = 1.7f, .down_scale = 0.3f}},
    {"inner norm",
     {GATED, .glu = {.act = ZOO_ACT_RELU2}, .sub_norm = ZOO_NORM_RMS, .sub_norm_eps = 0.1f}},
    {"rounded rows", {GATED, .glu = {.act = ZOO_ACT_RELU2}, .round_input = 1}},
    {"bias and scale", {GATED, .glu = {.act = ZOO_ACT_SILU}, .out_bias = 1, .down_scale = 0.3f}},
};

static double act(uint32_t kind, double x)
{
    switch (kind) {
    case ZOO_ACT_SILU:
        return x / (1 + exp(-x));
    case ZOO_ACT_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case ZOO_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    default:
        return x > 0 ? x * x : 0;
    }
}

static double linear(const fake *f, size_t field, size_t bias, const double *x, uint32_t row)
{
    const fake_tensor *t = fake_tensor_at(f, field), *b = fake_tensor_at(f, bias);
    double sum = b ? (double)b->x[row] : 0;
    for (uint32_t c = 0; c < t->cols; c++) {
        sum += (double)t->x[row * t->cols + c] * x[c];
    }
    return sum;
}

static double inner(const zoo_mlp *p, double gate, double up)
{
    double limit = p->glu.limit;
    if (!p->gated) {
        return act(p->glu.act, up);
    }
    if (limit > 0) {
        gate = fmin(gate, limit);
        up = fmin(fmax(up, -limit), limit);
    }
    if (p->glu.alpha != 0) {
        return gate / (1 + exp(-(double)p->glu.alpha * gate)) * (up + p->glu.up_shift);
    }
    return act(p->glu.act, gate) * up;
}

/* To 8 bits and back, as the option says; halves may round either way. */
static void round_row(double *x, uint32_t n)
{
    double top = 0;
    for (uint32_t i = 0; i < n; i++) {
        top = fmax(top, fabs(x[i]));
    }
    for (uint32_t i = 0; i < n; i++) {
        x[i] = rint(x[i] * 127 / top) * top / 127;
    }
}

static void oracle(const fake *f, const zoo_mlp *p, const double *in, double *y)
{
    double x[IN], h[F], square = 0;
    memcpy(x, in, sizeof x);
    if (p->round_input) {
        round_row(x, IN);
    }
    for (uint32_t r = 0; r < F; r++) {
        double gate = p->gated ? linear(f, FIELD(gate), FIELD(gate_bias), x, r) * p->gate_scale : 0;
        h[r] = inner(p, gate, linear(f, FIELD(up), FIELD(up_bias), x, r));
        square += h[r] * h[r] / F;
    }
    for (uint32_t r = 0; p->sub_norm && r < F; r++) {
        h[r] *= (double)fake_tensor_at(f, FIELD(sub_norm))->x[r] / sqrt(square + p->sub_norm_eps);
    }
    if (p->round_input) {
        round_row(h, F);
    }
    for (uint32_t r = 0; r < OUT; r++) {
        y[r] = linear(f, FIELD(down), FIELD(down_bias), h, r) * p->down_scale;
    }
}

static void formulas_and_bits(void **state)
{
    static const uint32_t chunks[] = {1, 3, 16}, n[] = {7, 1, N - 8};
    static float x[N * IN], y[N * OUT], z[N * OUT];
    static double xd[N * IN], yd[N * OUT];
    (void)state;
    for (size_t c = 0; c < ZOO_COUNT(cases); c++) {
        zoo_mlp p = cases[c].p;
        zoo_error err;
        assert_int_equal(zoo_mlp_finish(&p, &err), ZOO_OK);
        assert_int_equal(zoo_mlp_ops.check(&p, &err), ZOO_OK);
        fake f;
        fake_open(&f, test_kernels(), 1);
        fake_run run = {&zoo_mlp_ops, &p, fake_bind(&f, &zoo_mlp_ops, &p), IN, OUT, 0, 0, N, N};
        for (uint32_t i = 0; i < N * IN; i++) {
            x[i] = fake_random(&f);
            xd[i] = x[i];
        }
        fake_forward(&f, &run, x, y);
        for (uint32_t i = 0; i < N; i++) {
            oracle(&f, &p, xd + i * IN, yd + i * OUT);
        }
        double nmse = fake_nmse(y, yd, N * OUT);
        if (!(nmse < 1e-11)) {
            fail_msg("%s: nmse %g", cases[c].name, nmse);
        }
        f.ctx.n_threads = f.limits.n_threads = 3;
        for (size_t i = 0; i < ZOO_COUNT(chunks); i++) {
            run.chunk = chunks[i];
            fake_forward(&f, &run, x, z);
            assert_memory_equal(y, z, sizeof y);
        }
        fake_forward_batch(&f, &run, n, 3, x, z);
        assert_memory_equal(y, z, sizeof y);
        fake_close(&f);
    }
}

/* Packed weights, whose rows are prepared first: chunks, threads and a batch give the same bits,
 * near to those of float32. */
static void packed_bits(void **state)
{
    static const zoo_dtype kinds[] = {ZOO_BF16, ZOO_INT8, ZOO_INT4};
    static const double limits[] = {1e-4, 1e-3, 0.2};
    static const uint32_t chunks[] = {1, 3, 16}, n[] = {7, 1, N - 8};
    static float x[N * IN], y[N * OUT], z[N * OUT];
    static double yd[N * OUT];
    (void)state;
    for (size_t k = 0; k < ZOO_COUNT(kinds); k++) {
        for (size_t c = 0; c < ZOO_COUNT(cases); c++) {
            zoo_mlp p = cases[c].p;
            zoo_error err;
            assert_int_equal(zoo_mlp_finish(&p, &err), ZOO_OK);
            fake f;
            fake_open(&f, test_kernels(), 1);
            fake_run run = {&zoo_mlp_ops, &p, fake_bind(&f, &zoo_mlp_ops, &p), IN, OUT, 0, 0, N, N};
            for (uint32_t i = 0; i < N * IN; i++) {
                x[i] = fake_random(&f);
            }
            fake_forward(&f, &run, x, y);
            for (uint32_t i = 0; i < N * OUT; i++) {
                yd[i] = y[i];
            }
            fake_close(&f);
            fake_open(&f, test_kernels(), 1);
            f.weight_kind = kinds[k];
            run.weights = fake_bind(&f, &zoo_mlp_ops, &p);
            run.chunk = N;
            fake_forward(&f, &run, x, y);
            double nmse = fake_nmse(y, yd, N * OUT);
            if (!(nmse < limits[k])) {
                fail_msg("%s, kind %u: nmse %g", cases[c].name, kinds[k], nmse);
            }
            f.ctx.n_threads = f.limits.n_threads = 3;
            for (size_t i = 0; i < ZOO_COUNT(chunks); i++) {
                run.chunk = chunks[i];
                fake_forward(&f, &run, x, z);
                assert_memory_equal(y, z, sizeof y);
            }
            fake_forward_batch(&f, &run, n, 3, x, z);
            assert_memory_equal(y, z, sizeof y);
            fake_close(&f);
        }
    }
}

static void maps_cover(void **state)
{
    (void)state;
    for (uint32_t fused = ZOO_FUSED_HALVES; fused <= ZOO_FUSED_HALVES_UP; fused++) {
        zoo_mlp p = {GATED, .fused = fused};
        uint32_t seen[2 * F] = {0};
        zoo_error err;
        assert_int_equal(zoo_mlp_finish(&p, &err), ZOO_OK);
        for (uint32_t r = 0; r < 2 * F; r++) {
            const zoo_rowmap *m = r < F ? &p.gate_map : &p.up_map;
            uint32_t i = r % F;
            uint32_t from = m->offset + i / m->group * m->stride + i % m->group;
            assert_true(from < m->total && m->total == 2 * F);
            seen[from]++;
        }
        for (uint32_t r = 0; r < 2 * F; r++) {
            assert_int_equal(seen[r], 1);
        }
        bool first = fused != ZOO_FUSED_HALVES_UP;
        assert_int_equal(p.gate_map.offset == 0, first);
        assert_int_equal(p.up_map.offset, first ? (fused == ZOO_FUSED_INTERLEAVED ? 1 : F) : 0);
    }
}

static void refusals(void **state)
{
    const zoo_mlp wrong[] = {
        {.width_in = IN}, {BASE, .fused = ZOO_FUSED_HALVES}, {BASE, .glu = {.act = ZOO_ACT_COUNT}}};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(wrong); i++) {
        zoo_mlp p = wrong[i];
        zoo_error err = {0};
        assert_int_equal(zoo_mlp_finish(&p, &err), ZOO_E_CONFIG);
        assert_true(err.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formulas_and_bits),
                                       cmocka_unit_test(packed_bits), cmocka_unit_test(maps_cover),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
