/*
 * Attention block against a double-precision rewrite of its formulas, option by option, and its
 * properties: chunks of a prompt, batches, threads give the same bits; scratch stays in its bound.
 */
#include "blocks/gqa/gqa.h"
#include "fake.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 70, WIDTH = 24, OUT = 20 };

/* ---- The formulas again, in double, one row and one head at a time. ---- */

typedef struct oracle {
    const fake *f;
    const zoo_gqa *p;
    const double *x; /* [N, WIDTH] */
    double *q, *k, *v, *out;
} oracle;

static double at(const oracle *o, size_t field, size_t i)
{
    const fake_tensor *t = fake_tensor_at(o->f, field);
    return t ? (double)t->x[i] : 0;
}

#define FIELD(f) offsetof(zoo_gqa_weights, f)

static double linear(const oracle *o, size_t field, size_t bias, const double *x, uint32_t row)
{
    const fake_tensor *t = fake_tensor_at(o->f, field);
    double sum = at(o, bias, row);
    for (uint32_t c = 0; c < t->cols; c++) {
        sum += (double)t->x[(size_t)row * t->cols + c] * x[c];
    }
    return sum;
}

static void norm_one(const oracle *o, uint32_t kind, double eps, double *x, uint32_t n,
                     size_t weight, size_t bias, uint32_t w_at)
{
    bool layer = kind == ZOO_NORM_LAYER || kind == ZOO_NORM_LAYER_PLUS_ONE;
    bool plus = kind == ZOO_NORM_RMS_PLUS_ONE || kind == ZOO_NORM_LAYER_PLUS_ONE;
    double mean = 0, var = 0;
    for (uint32_t i = 0; i < n; i++) {
        mean += layer ? x[i] / n : 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        var += (x[i] - mean) * (x[i] - mean) / n;
    }
    for (uint32_t i = 0; i < n; i++) {
        double w = fake_tensor_at(o->f, weight) ? at(o, weight, w_at + i) + plus : 1;
        x[i] = (x[i] - mean) / sqrt(var + eps) * w + at(o, bias, w_at + i);
    }
}

static void qk_norm(const oracle *o, double *x, uint32_t heads, size_t weight, size_t bias)
{
    const zoo_qk_norm *n = &o->p->options.qk_norm;
    uint32_t d = o->p->shape.head_dim;
    for (uint32_t h = 0; h < (n->span == ZOO_QK_FULL ? 1 : heads); h++) {
        norm_one(o, n->kind, n->eps, x + h * d, n->span == ZOO_QK_FULL ? heads * d : d, weight,
                 bias, n->span == ZOO_QK_OWN ? h * d : 0);
    }
}

static void rotate(const oracle *o, double *x, uint32_t heads, uint32_t pos)
{
    const zoo_rope *r = o->p->options.rope;
    for (uint32_t h = 0; r && h < heads; h++) {
        for (uint32_t i = 0; i < r->n_pairs; i++) {
            uint32_t a = r->interleaved ? 2 * i : i;
            uint32_t b =
                r->interleaved ? 2 * i + 1 : i + (r->pair_offset ? r->pair_offset : r->n_pairs);
            double angle = pos * (double)r->inv_freq[i];
            double c = cos(angle) * r->factor, s = sin(angle) * r->factor * r->sign;
            double u = x[h * o->p->shape.head_dim + a], w = x[h * o->p->shape.head_dim + b];
            x[h * o->p->shape.head_dim + a] = u * c - w * s;
            x[h * o->p->shape.head_dim + b] = w * c + u * s;
        }
    }
}

static void shape(const oracle *o, double *x, uint32_t heads, uint32_t pos, bool query)
{
    const zoo_gqa *p = o->p;
    size_t weight = query ? FIELD(q_norm) : FIELD(k_norm);
    size_t bias = query ? FIELD(q_norm_bias) : FIELD(k_norm_bias);
    if (p->options.qk_norm.kind && !p->options.qk_norm.after_rope) {
        qk_norm(o, x, heads, weight, bias);
    }
    for (uint32_t i = 0; p->options.clip > 0 && i < heads * p->shape.head_dim; i++) {
        x[i] = fmin(fmax(x[i], -(double)p->options.clip), p->options.clip);
    }
    rotate(o, x, heads, pos);
    if (p->options.qk_norm.kind && p->options.qk_norm.after_rope) {
        qk_norm(o, x, heads, weight, bias);
    }
    double scale = query ? p->options.q_scale : p->options.k_scale;
    if (query && p->options.temp_scale != 0) {
        scale *=
            1 + (double)p->options.temp_scale *
                    log(1 + floor(((double)pos + p->options.temp_shift) / p->options.temp_period));
    }
    for (uint32_t i = 0; i < heads * p->shape.head_dim; i++) {
        x[i] *= scale;
    }
}

static double bf16(double x)
{
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint32_t low = bits & 0xffff;
    bits >>= 16;
    bits += low > 0x8000 || (low == 0x8000 && (bits & 1));
    bits <<= 16;
    memcpy(&f, &bits, 4);
    return f;
}

static double score(const oracle *o, uint32_t i, uint32_t j, uint32_t h)
{
    const zoo_gqa *p = o->p;
    uint32_t d = p->shape.head_dim, g = h / (p->shape.n_heads / p->shape.n_kv_heads);
    double s = 0, bias = 0;
    for (uint32_t c = 0; c < d; c++) {
        s += o->q[(size_t)i * p->shape.n_heads * d + h * d + c] *
             o->k[(size_t)j * p->shape.n_kv_heads * d + g * d + c];
    }
    if (p->options.slopes) {
        bias = p->options.slopes_bf16 ? bf16(bf16(p->options.slopes[h]) * bf16(j))
                                      : (double)p->options.slopes[h] * j;
    }
    s = p->options.slopes_scaled ? (s + bias) * p->options.scale : s * p->options.scale;
    s = p->options.softcap > 0 ? p->options.softcap * tanh(s / p->options.softcap) : s;
    return p->options.slopes_scaled ? s : s + bias;
}

static void attend(const oracle *o, uint32_t i, uint32_t h, double *out)
{
    const zoo_gqa *p = o->p;
    uint32_t g = h / (p->shape.n_heads / p->shape.n_kv_heads), dv = p->shape.v_dim;
    double sum = 0, e[N], top = p->options.sinks ? at(o, FIELD(sinks), h) : -1e300;
    for (uint32_t j = 0; j <= i; j++) {
        bool seen = (!p->shape.window || i - j < p->shape.window) &&
                    (!p->shape.chunk || j / p->shape.chunk == i / p->shape.chunk);
        e[j] = seen ? score(o, i, j, h) : -INFINITY;
        top = fmax(top, e[j]);
    }
    memset(out, 0, dv * sizeof *out);
    for (uint32_t j = 0; j <= i; j++) {
        e[j] = exp(e[j] - top);
        sum += e[j];
        for (uint32_t c = 0; c < dv; c++) {
            out[c] += e[j] * o->v[((size_t)j * p->shape.n_kv_heads + g) * dv + c];
        }
    }
    sum += p->options.sinks ? exp(at(o, FIELD(sinks), h) - top) : 0;
    for (uint32_t c = 0; c < dv; c++) {
        out[c] /= sum;
    }
}

static double act(uint32_t kind, double x)
{
    return kind == ZOO_ACT_SOFTPLUS ? log(1 + exp(x)) : 1 / (1 + exp(-x));
}

static void project(oracle *o, uint32_t i)
{
    const zoo_gqa *p = o->p;
    uint32_t kn = p->shape.n_kv_heads * p->shape.head_dim,
             vn = p->shape.n_kv_heads * p->shape.v_dim;
    const double *x = o->x + (size_t)i * WIDTH;
    double *q = o->q + (size_t)i * p->derived.q_rows, *k = o->k + (size_t)i * kn,
           *v = o->v + (size_t)i * vn;
    for (uint32_t r = 0; r < p->derived.q_rows; r++) {
        q[r] = linear(o, FIELD(q), FIELD(q_bias), x, r);
    }
    shape(o, q, p->shape.n_heads, i, true);
    if (p->options.shared) {
        return;
    }
    for (uint32_t r = 0; r < kn; r++) {
        k[r] = linear(o, FIELD(k), FIELD(k_bias), x, r);
    }
    for (uint32_t r = 0; r < vn; r++) {
        v[r] = p->options.k_is_v ? k[r] : linear(o, FIELD(v), FIELD(v_bias), x, r);
        v[r] = p->options.clip > 0 ? fmin(fmax(v[r], -(double)p->options.clip), p->options.clip)
                                   : v[r];
    }
    for (uint32_t h = 0; p->options.v_norm && h < p->shape.n_kv_heads; h++) {
        norm_one(o, p->options.v_norm, p->options.v_norm_eps, v + h * p->shape.v_dim,
                 p->shape.v_dim, SIZE_MAX, SIZE_MAX, 0);
    }
    for (uint32_t r = 0; r < vn; r++) {
        v[r] *= p->options.v_scale;
    }
    shape(o, k, p->shape.n_kv_heads, i, false);
}

static void oracle_run(oracle *o, double *y)
{
    const zoo_gqa *p = o->p;
    double out[1024];
    for (uint32_t i = 0; i < N; i++) {
        project(o, i);
    }
    for (uint32_t i = 0; i < N; i++) {
        const double *x = o->x + (size_t)i * WIDTH;
        for (uint32_t h = 0; h < p->shape.n_heads; h++) {
            attend(o, i, h, out + h * p->shape.v_dim);
        }
        for (uint32_t r = 0; p->options.gate && r < p->derived.o_cols; r++) {
            uint32_t g = p->options.gate == ZOO_GATE_HEAD ? r / p->shape.v_dim : r;
            out[r] *= act(p->options.gate_act, linear(o, FIELD(gate), FIELD(gate_bias), x, g));
        }
        if (p->options.sub_norm) {
            norm_one(o, p->options.sub_norm, p->options.sub_norm_eps, out, p->derived.o_cols,
                     FIELD(sub_norm), SIZE_MAX, 0);
        }
        for (uint32_t r = 0; r < OUT; r++) {
            y[i * OUT + r] = linear(o, FIELD(o), FIELD(o_bias), out, r);
        }
    }
}

/* ---- Cases. ---- */

static float slopes[6], inv[8] = {1.0f, 0.6f, 0.3f, 0.11f, 0.05f, 0.01f};
static zoo_rope half = {.n_pairs = 3, .sign = 1, .factor = 1.1f, .inv_freq = inv};
static zoo_rope even = {.n_pairs = 4, .interleaved = 1, .sign = 1, .factor = 1, .inv_freq = inv};
static zoo_rope spread = {.n_pairs = 2, .pair_offset = 4, .sign = -1, .factor = 1, .inv_freq = inv};

typedef struct gqa_case {
    const char *name;
    zoo_gqa p;
} gqa_case;

#define HEADS(kv, d)                                                                               \
    .shape.width_in = WIDTH, .shape.width_out = OUT, .shape.n_heads = 6, .shape.n_kv_heads = kv,   \
    .shape.head_dim = d
#define BASE HEADS(2, 8)
#define MHA  HEADS(0, 8)

static const gqa_case cases[] = {
    {"plain", {MHA}},
    {"grouped, biases",
     {BASE, .shape.q_bias = 1, .shape.k_bias = 1, .shape.v_bias = 1, .shape.o_bias = 1,
      .options.rope = &half}},
    {"one key-value head", {HEADS(1, 8), .options.rope = &even}},
    {"window", {BASE, .shape.window = 9, .options.rope = &half}},
    {"window of one", {BASE, .shape.window = 1}},
    {"chunk", {BASE, .shape.chunk = 8, .options.rope = &even}},
    {"softcap and scale",
     {BASE, .options.softcap = 0.7f, .options.scale = 0.9f, .options.rope = &spread}},
    {"sinks", {BASE, .options.sinks = 1, .shape.window = 12}},
    {"slopes", {BASE, .options.slopes = slopes}},
    {"slopes before the scale", {BASE, .options.slopes = slopes, .options.slopes_scaled = 1}},
    {"rounded slopes", {MHA, .options.slopes = slopes, .options.slopes_bf16 = 1}},
    {"rounded slopes, shared keys", {BASE, .options.slopes = slopes, .options.slopes_bf16 = 1}},
    {"rounded slopes before the scale",
     {MHA, .options.slopes = slopes, .options.slopes_bf16 = 1, .options.slopes_scaled = 1}},
    {"norm of heads",
     {BASE, .options.rope = &half, .options.qk_norm = {ZOO_NORM_RMS, 0, 0, 1, 0, 0.01f}}},
    {"norm + 1 after rotation",
     {BASE, .options.rope = &half, .options.qk_norm = {ZOO_NORM_RMS_PLUS_ONE, 0, 1, 1, 0, 0.01f}}},
    {"norm without weights",
     {BASE, .options.rope = &even, .options.qk_norm = {ZOO_NORM_RMS, 0, 1, 0, 0, 0.01f}}},
    {"norm of all heads",
     {BASE, .options.rope = &half, .options.qk_norm = {ZOO_NORM_RMS, ZOO_QK_FULL, 0, 1, 0, 0.01f}}},
    {"layer norm, own weights",
     {BASE, .options.rope = &even,
      .options.qk_norm = {ZOO_NORM_LAYER, ZOO_QK_OWN, 0, 1, 0, 0.01f}}},
    {"layer norm, bias", {BASE, .options.qk_norm = {ZOO_NORM_LAYER, 0, 0, 1, 1, 0.01f}}},
    {"values from keys",
     {BASE, .options.k_is_v = 1, .options.v_norm = ZOO_NORM_RMS, .options.v_norm_eps = 0.1f,
      .options.rope = &half, .options.qk_norm = {ZOO_NORM_RMS, 0, 0, 1, 0, 0.01f}}},
    {"wide values, scales",
     {BASE, .shape.v_dim = 11, .options.v_scale = 0.7f, .options.q_scale = 1.3f,
      .options.k_scale = 0.8f}},
    {"clip and full norm",
     {BASE, .options.clip = 0.4f, .options.rope = &half,
      .options.qk_norm = {ZOO_NORM_RMS, ZOO_QK_FULL, 0, 1, 0, 0.01f}}},
    {"temperature with one",
     {BASE, .options.temp_scale = 0.3f, .options.temp_period = 8, .options.temp_shift = 1}},
    {"temperature",
     {BASE, .options.temp_scale = 0.3f, .options.temp_period = 16, .options.rope = &half}},
    {"gate per head", {BASE, .options.gate = ZOO_GATE_HEAD, .shape.v_dim = 5}},
    {"gate per element, softplus",
     {BASE, .options.gate = ZOO_GATE_ELEMENT, .options.gate_act = ZOO_ACT_SOFTPLUS,
      .options.rope = &half}},
    {"gate in q", {BASE, .options.gate = ZOO_GATE_IN_Q, .shape.q_bias = 1, .options.rope = &half}},
    {"norm before o", {BASE, .options.sub_norm = ZOO_NORM_RMS, .options.sub_norm_eps = 0.02f}},
    {"fused, transposed",
     {BASE, .shape.layout = ZOO_QKV_FUSED, .shape.transposed = 1, .shape.q_bias = 1,
      .shape.v_bias = 1}},
};

typedef struct data {
    float x[N * WIDTH], y[N * OUT], z[N * OUT];
    double xd[N * WIDTH], yd[N * OUT];
    double q[N * 128], k[N * 128], v[N * 128];
} data;

static void fill(fake *f, data *d)
{
    for (size_t i = 0; i < N * WIDTH; i++) {
        d->x[i] = fake_random(f);
        d->xd[i] = d->x[i];
    }
}

static zoo_gqa finished(const gqa_case *c)
{
    zoo_gqa p = c->p;
    zoo_error err;
    assert_int_equal(zoo_gqa_finish(&p, &err), ZOO_OK);
    assert_int_equal(zoo_gqa_ops.check(&p, &err), ZOO_OK);
    return p;
}

static void matches_formulas(void **state)
{
    data *d = *state;
    zoo_alibi_slopes(6, 8, slopes);
    for (size_t c = 0; c < ZOO_COUNT(cases); c++) {
        zoo_gqa p = finished(&cases[c]);
        fake f;
        fake_open(&f, test_kernels(), 2);
        fake_streams(&f, &zoo_gqa_ops, &p);
        fake_run run = {&zoo_gqa_ops, &p, fake_bind(&f, &zoo_gqa_ops, &p), WIDTH, OUT, 0, 0, N, N};
        fill(&f, d);
        fake_forward(&f, &run, d->x, d->y);
        oracle o = {&f, &p, d->xd, d->q, d->k, d->v, NULL};
        oracle_run(&o, d->yd);
        double nmse = fake_nmse(d->y, d->yd, N * OUT);
        if (!(nmse < 1e-11)) {
            fail_msg("%s: nmse %g", cases[c].name, nmse);
        }
        fake_close(&f);
    }
}

/* Chunks of 1, 3 and 16, three threads in another order, and a batch: the same bits. */
static void same_bits(void **state)
{
    static const uint32_t chunks[] = {1, 3, 16};
    data *d = *state;
    for (size_t c = 0; c < ZOO_COUNT(cases); c++) {
        zoo_gqa p = finished(&cases[c]);
        fake f;
        fake_open(&f, test_kernels(), 1);
        fake_streams(&f, &zoo_gqa_ops, &p);
        fake_run run = {&zoo_gqa_ops, &p, fake_bind(&f, &zoo_gqa_ops, &p), WIDTH, OUT, 0, 0, N, N};
        fill(&f, d);
        fake_forward(&f, &run, d->x, d->y);
        f.ctx.n_threads = f.limits.n_threads = 3;
        for (size_t i = 0; i < ZOO_COUNT(chunks); i++) {
            run.chunk = chunks[i];
            run.slot = 1 + (uint32_t)i;
            fake_forward(&f, &run, d->x, d->z);
            if (memcmp(d->y, d->z, sizeof d->y) != 0) {
                fail_msg("%s: chunks of %u differ", cases[c].name, chunks[i]);
            }
        }
        /* Rows 0..N-1 as three sequences: each equals its own single run. */
        static const uint32_t n[] = {20, 1, N - 21};
        float single[N * OUT];
        uint32_t row = 0;
        for (uint32_t s = 0; s < 3; row += n[s++]) {
            run.slot = s;
            run.n = run.chunk = n[s];
            fake_forward(&f, &run, d->x + row * WIDTH, single + row * OUT);
        }
        fake_forward_batch(&f, &run, n, 3, d->x, d->z);
        if (memcmp(single, d->z, sizeof single) != 0) {
            fail_msg("%s: a batch differs", cases[c].name);
        }
        fake_close(&f);
    }
}

/* A part that shares another's cache computes queries alone and declares no stream. */
static void shared_cache(void **state)
{
    data *d = *state;
    gqa_case c = {"shared", {BASE, .shape.window = 9, .options.rope = &half}};
    zoo_gqa own = finished(&c);
    c.p.options.shared = 1;
    zoo_gqa p = finished(&c);
    zoo_stream streams[ZOO_STREAMS_MAX];
    assert_int_equal(zoo_gqa_ops.streams(&p, streams), 0);
    assert_int_equal(zoo_gqa_ops.streams(&own, streams), 2);
    assert_int_equal(streams[0].kind, ZOO_RING);
    assert_int_equal(streams[0].window, 9);
    fake f;
    fake_open(&f, test_kernels(), 2);
    fake_streams(&f, &zoo_gqa_ops, &own);
    fill(&f, d);
    fake_run first = {
        &zoo_gqa_ops, &own, fake_bind(&f, &zoo_gqa_ops, &own), WIDTH, OUT, 0, 0, N, N};
    fake_forward(&f, &first, d->x, d->z);
    oracle o = {&f, &own, d->xd, d->q, d->k, d->v, NULL};
    oracle_run(&o, d->yd);
    fake_run run = {&zoo_gqa_ops, &p, fake_bind(&f, &zoo_gqa_ops, &p), WIDTH, OUT, 0, 0, N, N};
    assert_null(fake_tensor_at(&f, FIELD(k)));
    fake_forward(&f, &run, d->x, d->y);
    o.p = &p;
    oracle_run(&o, d->yd);
    assert_true(fake_nmse(d->y, d->yd, N * OUT) < 1e-11);
    fake_close(&f);
}

/* Counts the rows of a fused tensor that the maps take. */
static void count_rows(const zoo_rowmap *m, uint32_t rows, uint32_t *seen)
{
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t from = m->offset + r / m->group * m->stride + r % m->group;
        assert_true(from < m->total);
        seen[from]++;
    }
}

/* The maps of a fused tensor take every row once. */
static void maps_cover(void **state)
{
    static const gqa_case fused[] = {
        {"rows", {BASE, .shape.layout = ZOO_QKV_FUSED, .shape.v_dim = 5}},
        {"groups", {BASE, .shape.layout = ZOO_QKV_GROUPED, .shape.v_dim = 5}},
        {"heads", {MHA, .shape.layout = ZOO_QKV_GROUPED}},
        {"quarters", {MHA, .shape.layout = ZOO_QKV_QUARTERS}},
        {"gate", {BASE, .options.gate = ZOO_GATE_IN_Q}}};
    (void)state;
    for (size_t c = 0; c < ZOO_COUNT(fused); c++) {
        zoo_gqa p = finished(&fused[c]);
        uint32_t seen[256] = {0};
        count_rows(&p.shape.q_map, p.derived.q_rows, seen);
        if (p.options.gate) {
            count_rows(&p.derived.gate_map, p.derived.gate_rows, seen);
        } else {
            count_rows(&p.shape.k_map, p.derived.k_rows, seen);
            count_rows(&p.shape.v_map, p.derived.v_rows, seen);
        }
        for (uint32_t r = 0; r < p.shape.q_map.total; r++) {
            assert_int_equal(seen[r], 1);
        }
    }
    /* Two groups of three query heads of 8, a key of 8, a value of 5;
     * quarters in the order q, v, k. */
    zoo_gqa groups = finished(&fused[1]), quarters = finished(&fused[3]);
    assert_true(groups.shape.q_map.stride == 37 && groups.shape.k_map.offset == 24 &&
                groups.shape.v_map.offset == 32);
    assert_true(quarters.shape.v_map.offset == 12 && quarters.shape.k_map.offset == 24);
    assert_int_equal(quarters.shape.q_map.stride, 36);
}

static void refusals(void **state)
{
    (void)state;
    const zoo_gqa wrong[] = {{HEADS(4, 8)},
                             {BASE, .shape.window = 3, .shape.chunk = 4},
                             {BASE, .options.k_is_v = 1, .shape.v_dim = 5},
                             {HEADS(2, 4), .options.rope = &even},
                             {HEADS(2, 1 << 23)},
                             {HEADS(12, 8)},
                             {BASE, .options.temp_scale = 1},
                             {BASE, .options.gate = ZOO_GATE_IN_Q, .shape.layout = ZOO_QKV_FUSED},
                             {BASE, .options.qk_norm = {ZOO_NORM_LAYER, ZOO_QK_OWN, 0, 1, 1, 0.1f}},
                             {BASE, .options.gate = 9},
                             {HEADS(2, 0)}};
    for (size_t i = 0; i < ZOO_COUNT(wrong); i++) {
        zoo_gqa p = wrong[i];
        zoo_error err = {0};
        assert_int_equal(zoo_gqa_finish(&p, &err), ZOO_E_CONFIG);
        assert_true(err.text[0] != '\0');
    }
    zoo_gqa bare = {BASE};
    zoo_error err;
    assert_int_equal(zoo_gqa_ops.check(&bare, &err), ZOO_E_INTERNAL);
}

static int setup(void **state)
{
    *state = malloc(sizeof(data));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(matches_formulas),
                                       cmocka_unit_test(same_bits), cmocka_unit_test(shared_cache),
                                       cmocka_unit_test(maps_cover), cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
