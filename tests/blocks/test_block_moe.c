/*
 * Routed experts: every routing rule against a rewrite in double, the whole block against its
 * formulas, and its properties: chunks, batches and threads give the same bits; experts that nobody
 * chose are not read.
 */
#include "blocks/moe/moe.h"
#include "fake.h"

#include <math.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

enum { N = 50, IN = 19, F = 13, E = 12, SHARED = 9, LATENT = 7 };

#define FIELD(f) offsetof(zoo_moe_weights, f)

typedef struct moe_case {
    const char *name;
    zoo_moe p;
} moe_case;

#define ROUTER(...)  .router = {.n_experts = E, __VA_ARGS__}
#define EXPERTS(...) .experts = {.width = F, .gated = 1, .glu = {.act = ZOO_ACT_SILU}, __VA_ARGS__}
#define SHARED_MLP   .shared = {.width = SHARED, .gated = 1, .glu = {.act = ZOO_ACT_SILU}}
#define SOFTMAX      .score = ZOO_SCORE_SOFTMAX
#define SIGMOID      .score = ZOO_SCORE_SIGMOID
#define SUM(eps)     .renorm = ZOO_RENORM_SUM, .renorm_eps = eps

static const moe_case cases[] = {
    {"softmax, top 2", {ROUTER(.top_k = 2, SOFTMAX), EXPERTS(.n = 0)}},
    {"softmax, renormalised, gated shared expert",
     {ROUTER(.top_k = 3, SOFTMAX, SUM(0)), EXPERTS(.n = 0), SHARED_MLP, .shared_gate = 1}},
    {"softmax of the chosen",
     {ROUTER(.top_k = 3, .chosen = ZOO_CHOSEN_SOFTMAX), EXPERTS(.n = 0), .router_bias = 1,
      .storage = ZOO_EXPERTS_STACKED, .fused = ZOO_FUSED_INTERLEAVED, .in_transposed = 1,
      .down_transposed = 1, .expert_bias = 1}},
    {"sigmoid, groups, correction, scale",
     {ROUTER(.top_k = 3, SIGMOID, SUM(1e-20f), .scale = 2.5f, .n_groups = 4, .groups_kept = 2,
             .group_sum2 = 1),
      EXPERTS(.n = 0), SHARED_MLP, .correction_bias = 1}},
    {"softmax, groups by their best, refused ones at 0",
     {ROUTER(.top_k = 4, SOFTMAX, .scale = 1.5f, .n_groups = 3, .groups_kept = 2, .group_zero = 1),
      EXPERTS(.n = 0)}},
    {"sigmoid of the chosen on the input",
     {ROUTER(.top_k = 2, .chosen = ZOO_CHOSEN_SIGMOID), EXPERTS(.weigh_input = 1), SHARED_MLP}},
    {"sparsemixer",
     {ROUTER(.top_k = 2, .score = ZOO_SCORE_SPARSEMIXER, .jitter = 0.15f), EXPERTS(.n = 0)}},
    {"correction and floor",
     {ROUTER(.top_k = 3, SOFTMAX, .renorm = ZOO_RENORM_FLOOR, .renorm_eps = 0.5f), EXPERTS(.n = 0),
      .correction_bias = 1}},
    {"sigmoid of the chosen, average with shared",
     {ROUTER(.top_k = 2, .chosen = ZOO_CHOSEN_SIGMOID, SUM(0)), EXPERTS(.n = 0), SHARED_MLP,
      .shared_scale = 0.5f, .routed_scale = 0.5f}},
    {"p-norm",
     {ROUTER(.top_k = 3, SOFTMAX, .renorm = ZOO_RENORM_P, .renorm_eps = 2), EXPERTS(.n = 0)}},
    {"softcap, scale of each expert",
     {ROUTER(.top_k = 3, SIGMOID, SUM(0), .softcap = 1.5f), EXPERTS(.n = 0),
      .per_expert_scale = 1}},
    {"sqrt of softplus",
     {ROUTER(.top_k = 2, .score = ZOO_SCORE_SQRT_SOFTPLUS, SUM(1e-20f)), EXPERTS(.n = 0)}},
    {"experts that return their input",
     {ROUTER(.top_k = 4, SOFTMAX, .scale = 1.7f), EXPERTS(.n = 8), .correction_bias = 1}},
    {"plain experts in a latent space",
     {ROUTER(.top_k = 3, SIGMOID, SUM(1e-20f)),
      .experts = {.width = F, .glu = {.act = ZOO_ACT_RELU2}}, .latent = LATENT, .latent_bias = 1,
      .shared = {.width = SHARED, .glu = {.act = ZOO_ACT_RELU2}, .out_bias = 1}}},
    {"clamped",
     {ROUTER(.top_k = 2, SOFTMAX),
      .experts = {.width = F, .gated = 1, .glu = {.limit = 0.4f, .alpha = 1.702f, .up_shift = 1}},
      .storage = ZOO_EXPERTS_STACKED}},
    {"all experts", {ROUTER(.top_k = E, SOFTMAX), EXPERTS(.n = 0)}},
};

static double at(const fake *f, size_t field, size_t i)
{
    const fake_tensor *t = fake_tensor_at(f, field);
    return t ? (double)t->x[i] : 0;
}

static double act(uint32_t kind, double x)
{
    return kind == ZOO_ACT_RELU2 ? (x > 0 ? x * x : 0) : x / (1 + exp(-x));
}

static double glu(const zoo_glu *g, bool gated, double gate, double up)
{
    double limit = g->limit;
    if (!gated) {
        return act(g->act, up);
    }
    if (limit > 0) {
        gate = fmin(gate, limit);
        up = fmin(fmax(up, -limit), limit);
    }
    return g->alpha != 0 ? gate / (1 + exp(-(double)g->alpha * gate)) * (up + g->up_shift)
                         : act(g->act, gate) * up;
}

/* W[e] x + b[e] */
static void matvec(const fake *f, size_t w, size_t b, uint32_t e, const double *x, double *y)
{
    const fake_tensor *t = fake_tensor_at(f, w);
    for (uint32_t r = 0; r < t->rows; r++) {
        y[r] = at(f, b, (size_t)e * t->rows + r);
        for (uint32_t c = 0; c < t->cols; c++) {
            y[r] += (double)t->x[((size_t)e * t->rows + r) * t->cols + c] * x[c];
        }
    }
}

typedef struct mlp_fields {
    size_t gate, up, down, gate_bias, up_bias, down_bias;
} mlp_fields;

static void expert(const fake *f, const zoo_glu *g, bool gated, const mlp_fields *w, uint32_t e,
                   const double *x, double *y)
{
    double gate[64] = {0}, up[64];
    matvec(f, w->up, w->up_bias, e, x, up);
    if (gated) {
        matvec(f, w->gate, w->gate_bias, e, x, gate);
    }
    for (uint32_t i = 0; i < 64; i++) {
        up[i] = i < fake_tensor_at(f, w->up)->rows ? glu(g, gated, gate[i], up[i]) : 0;
    }
    matvec(f, w->down, w->down_bias, e, up, y);
}

static uint32_t argmax(const double *x, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return best;
}

static void softmax(double *x, uint32_t n)
{
    double top = x[argmax(x, n)], sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += x[i] = exp(x[i] - top);
    }
    for (uint32_t i = 0; i < n; i++) {
        x[i] /= sum;
    }
}

/* weight[e] of all experts, 0 where not chosen. */
static void sparse_rule(const zoo_router *r, const double *s, double *weight)
{
    double left[E];
    memcpy(left, s, sizeof left);
    for (uint32_t round = 0; round < 2; round++) {
        double p[E];
        uint32_t best = argmax(left, E);
        for (uint32_t e = 0; e < E; e++) {
            double size = fmax(fabs(s[e]), left[best]);
            p[e] = (left[best] - s[e]) / size > 2 * (double)r->jitter ? -INFINITY : left[e];
        }
        softmax(p, E);
        weight[best] = p[best];
        left[best] = -INFINITY;
    }
}

static void refuse_groups(const zoo_router *r, double *choice)
{
    uint32_t size = E / r->n_groups;
    double score[E], keep[E];
    for (uint32_t g = 0; g < r->n_groups; g++) {
        double part[E];
        memcpy(part, choice + g * size, size * sizeof *part);
        uint32_t best = argmax(part, size);
        score[g] = part[best];
        part[best] = -INFINITY;
        score[g] += r->group_sum2 ? part[argmax(part, size)] : 0;
        keep[g] = 0;
    }
    for (uint32_t i = 0; i < r->groups_kept; i++) {
        uint32_t best = argmax(score, r->n_groups);
        keep[best] = 1;
        score[best] = -INFINITY;
    }
    for (uint32_t e = 0; e < E; e++) {
        choice[e] = keep[e / size] != 0 ? choice[e] : r->group_zero ? 0 : -INFINITY;
    }
}

static void score_all(const zoo_router *r, double *s)
{
    for (uint32_t e = 0; e < E; e++) {
        s[e] = r->softcap > 0 ? r->softcap * tanh(s[e] / r->softcap) : s[e];
        s[e] = r->score == ZOO_SCORE_SIGMOID         ? 1 / (1 + exp(-s[e]))
               : r->score == ZOO_SCORE_SQRT_SOFTPLUS ? sqrt(log(1 + exp(s[e])))
                                                     : s[e];
    }
    if (r->score == ZOO_SCORE_SOFTMAX) {
        softmax(s, E);
    }
}

static void rule(const fake *f, const zoo_moe *p, double *s, double *weight)
{
    const zoo_router *r = &p->router;
    double choice[E], w[E], sum = 0;
    uint32_t idx[E];
    memset(weight, 0, E * sizeof *weight);
    if (r->score == ZOO_SCORE_SPARSEMIXER) {
        sparse_rule(r, s, weight);
        return;
    }
    score_all(r, s);
    for (uint32_t e = 0; e < E; e++) {
        choice[e] = s[e] + at(f, FIELD(correction_bias), e);
    }
    if (r->n_groups > 1) {
        refuse_groups(r, choice);
    }
    for (uint32_t i = 0; i < r->top_k; i++) {
        idx[i] = argmax(choice, E);
        w[i] = s[idx[i]];
        choice[idx[i]] = -INFINITY;
        w[i] = r->chosen == ZOO_CHOSEN_SIGMOID ? 1 / (1 + exp(-w[i])) : w[i];
    }
    if (r->chosen == ZOO_CHOSEN_SOFTMAX) {
        softmax(w, r->top_k);
    }
    for (uint32_t i = 0; i < r->top_k; i++) {
        sum += r->renorm == ZOO_RENORM_P ? pow(w[i], r->renorm_eps) : w[i];
    }
    double div = r->renorm == ZOO_RENORM_SUM     ? sum + (double)r->renorm_eps
                 : r->renorm == ZOO_RENORM_FLOOR ? fmax(sum, r->renorm_eps)
                 : r->renorm == ZOO_RENORM_P     ? pow(sum, 1 / (double)r->renorm_eps)
                                                 : 1;
    for (uint32_t i = 0; i < r->top_k; i++) {
        double each = p->per_expert_scale ? at(f, FIELD(expert_scale), idx[i]) : 1;
        weight[idx[i]] = w[i] / div * (r->scale != 0 ? r->scale : 1) * each;
    }
}

static void oracle(const fake *f, const zoo_moe *p, const double *x, double *y)
{
    static const mlp_fields routed = {FIELD(experts.gate),    FIELD(experts.up),
                                      FIELD(experts.down),    FIELD(experts.gate_bias),
                                      FIELD(experts.up_bias), FIELD(experts.down_bias)};
    static const mlp_fields shared = {FIELD(shared.gate),    FIELD(shared.up),
                                      FIELD(shared.down),    FIELD(shared.gate_bias),
                                      FIELD(shared.up_bias), FIELD(shared.down_bias)};
    double s[E], weight[E], in[IN], out[IN], sum[IN] = {0};
    matvec(f, FIELD(router), FIELD(router_bias), 0, x, s);
    rule(f, p, s, weight);
    memcpy(in, x, sizeof in);
    if (p->latent) {
        matvec(f, FIELD(latent_down), FIELD(latent_down_bias), 0, x, in);
    }
    for (uint32_t e = 0; e < E; e++) {
        double scaled[IN], factor = p->experts.weigh_input ? 1 : weight[e];
        for (uint32_t i = 0; i < IN; i++) {
            scaled[i] = in[i] * (p->experts.weigh_input ? weight[e] : 1);
        }
        memcpy(out, in, sizeof out);
        if (weight[e] != 0 && e < p->experts.n) {
            expert(f, &p->experts.glu, p->experts.gated, &routed, e, scaled, out);
        }
        for (uint32_t i = 0; i < p->experts.width_out && weight[e] != 0; i++) {
            sum[i] += factor * out[i];
        }
    }
    memcpy(y, sum, sizeof sum);
    if (p->latent) {
        matvec(f, FIELD(latent_up), FIELD(latent_up_bias), 0, sum, y);
    }
    if (p->shared.width) {
        expert(f, &p->shared.glu, p->shared.gated, &shared, 0, x, out);
    }
    double gate = p->shared_scale;
    if (p->shared_gate) {
        matvec(f, FIELD(shared_gate), SIZE_MAX, 0, x, s);
        gate /= 1 + exp(-s[0]);
    }
    for (uint32_t i = 0; i < IN; i++) {
        y[i] = y[i] * p->routed_scale + (p->shared.width ? gate * out[i] : 0);
    }
}

static void formulas_and_bits(void **state)
{
    static const uint32_t chunks[] = {1, 3, 16}, n[] = {11, 1, N - 12};
    static float x[N * IN], y[N * IN], z[N * IN];
    static double xd[N * IN], yd[N * IN];
    (void)state;
    for (size_t c = 0; c < ZOO_COUNT(cases); c++) {
        zoo_moe p = cases[c].p;
        zoo_error err;
        if (zoo_moe_finish(&p, IN, &err) != ZOO_OK) {
            fail_msg("%s: %s", cases[c].name, err.text);
        }
        assert_int_equal(zoo_moe_ops.check(&p, &err), ZOO_OK);
        fake f;
        fake_open(&f, test_kernels(), 1);
        void *weights = fake_bind(&f, &zoo_moe_ops, &p);
        assert_int_equal(zoo_moe_ops.prepare(&p, weights, &f.setup, &err), ZOO_OK);
        fake_run run = {&zoo_moe_ops, &p, weights, IN, IN, 0, 0, N, N};
        for (uint32_t i = 0; i < N * IN; i++) {
            x[i] = fake_random(&f) * 2;
            xd[i] = x[i];
        }
        fake_forward(&f, &run, x, y);
        for (uint32_t i = 0; i < N; i++) {
            oracle(&f, &p, xd + i * IN, yd + i * IN);
        }
        double nmse = fake_nmse(y, yd, N * IN);
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
    static float x[N * IN], y[N * IN], z[N * IN];
    static double yd[N * IN];
    (void)state;
    for (size_t k = 0; k < ZOO_COUNT(kinds); k++) {
        for (size_t c = 0; c < ZOO_COUNT(cases); c++) {
            zoo_moe p = cases[c].p;
            zoo_error err;
            assert_int_equal(zoo_moe_finish(&p, IN, &err), ZOO_OK);
            fake f;
            fake_open(&f, test_kernels(), 1);
            fake_run run = {&zoo_moe_ops, &p, fake_bind(&f, &zoo_moe_ops, &p), IN, IN, 0, 0, N, N};
            for (uint32_t i = 0; i < N * IN; i++) {
                x[i] = fake_random(&f);
            }
            fake_forward(&f, &run, x, y);
            for (uint32_t i = 0; i < N * IN; i++) {
                yd[i] = y[i];
            }
            fake_close(&f);
            fake_open(&f, test_kernels(), 1);
            f.weight_kind = kinds[k];
            run.weights = fake_bind(&f, &zoo_moe_ops, &p);
            run.chunk = N;
            fake_forward(&f, &run, x, y);
            double nmse = fake_nmse(y, yd, N * IN);
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

/* A step of one row must not touch the matrices of experts that it did not choose. */
static void reads_chosen_only(void **state)
{
    zoo_moe p = {ROUTER(.top_k = 2, SOFTMAX), EXPERTS(.n = 0)};
    zoo_error err;
    (void)state;
    assert_int_equal(zoo_moe_finish(&p, IN, &err), ZOO_OK);
    fake f;
    fake_open(&f, test_kernels(), 1);
    zoo_moe_weights *w = fake_bind(&f, &zoo_moe_ops, &p);
    float x[IN], y[IN], z[IN], logits[E];
    double xd[IN], ld[E];
    for (uint32_t i = 0; i < IN; i++) {
        x[i] = fake_random(&f) * 2;
        xd[i] = x[i];
    }
    fake_run run = {&zoo_moe_ops, &p, w, IN, IN, 0, 0, 1, 1};
    fake_forward(&f, &run, x, y);
    matvec(&f, FIELD(router), SIZE_MAX, 0, xd, ld);
    for (uint32_t e = 0; e < E; e++) {
        logits[e] = (float)ld[e];
    }
    uint32_t chosen[2];
    test_kernels()->topk(logits, E, 2, chosen);
    for (uint32_t e = 0; e < E; e++) {
        if (e != chosen[0] && e != chosen[1]) {
            union {
                const zoo_weight *in;
                zoo_weight *out;
            } gate = {w->experts.gate}, up = {w->experts.up}, down = {w->experts.down};
            gate.out[e].data = up.out[e].data = down.out[e].data = NULL;
        }
    }
    fake_forward(&f, &run, x, z);
    assert_memory_equal(y, z, sizeof y);
    fake_close(&f);
}

/* Equal scores choose the lower index, and routes come out ascending. */
static void ties_and_order(void **state)
{
    const zoo_router router = {.n_experts = 6, .top_k = 3, .score = ZOO_SCORE_SOFTMAX};
    float logits[] = {0.5f, 2, 1, 2, 0.5f, 1}, weight[3];
    uint32_t idx[3];
    const uint32_t fixed[] = {5, 0, 2};
    zoo_route_args args = {.router = &router, .logits = logits};
    zoo_routes routes = {idx, weight, 3, 1};
    fake f;
    (void)state;
    fake_open(&f, test_kernels(), 1);
    zoo_moe_route(&f.ctx, &args, &routes);
    assert_true(idx[0] == 1 && idx[1] == 2 && idx[2] == 3);
    assert_true(weight[0] == weight[2] && weight[1] < weight[0]);
    float again[] = {0.5f, 2, 1, 2, 0.5f, 1};
    args.logits = again;
    args.fixed = fixed;
    zoo_moe_route(&f.ctx, &args, &routes);
    assert_true(idx[0] == 0 && idx[1] == 2 && idx[2] == 5);
    assert_true(weight[1] == weight[2] && weight[0] < weight[1]);
    fake_close(&f);
}

static void refusals(void **state)
{
    const zoo_moe wrong[] = {
        {ROUTER(.top_k = E + 1), EXPERTS(.n = 0)},
        {ROUTER(.top_k = 0), EXPERTS(.n = 0)},
        {ROUTER(.top_k = 2, .n_groups = 5, .groups_kept = 1), EXPERTS(.n = 0)},
        {ROUTER(.top_k = 4, .n_groups = 4, .groups_kept = 1), EXPERTS(.n = 0)},
        {ROUTER(.top_k = 2), EXPERTS(.n = E + 1)},
        {ROUTER(.top_k = 2), .experts = {.width = F}, .fused = ZOO_FUSED_HALVES},
        {ROUTER(.top_k = 2, .renorm = ZOO_RENORM_P), EXPERTS(.n = 0)}};
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(wrong); i++) {
        zoo_moe p = wrong[i];
        zoo_error err = {0};
        assert_int_equal(zoo_moe_finish(&p, IN, &err), ZOO_E_CONFIG);
        assert_true(err.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas_and_bits), cmocka_unit_test(packed_bits),
        cmocka_unit_test(reads_chosen_only), cmocka_unit_test(ties_and_order),
        cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
