/*
 * test_block_plain_residuals.c: attention over queries and keys of bounded length, and layers that
 * read earlier residuals, against their pages of plain.h.
 */
#include "clipped.h"
#include "plain_bench.h"
#include "residuals.h"

#include <math.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

/* ---- clipped attention ---- */

enum { RANK = 3, TAPS = 3, EXTENT = 9, INPUTS = 3 };

/* With a window and stored taps, and over all keys with three inputs and the token's own taps. */
static const clipped_params clipped[] = {
    {.gqa.shape = {.width_in = WIDTH, .n_heads = 4, .n_kv_heads = 2, .head_dim = 6, .window = 7},
     .distances = {.rank = RANK, .extent = 7},
     .n_inputs = 1,
     .windowed = 1,
     .qk_limit = 0.8f,
     .r_limit = 0.7f},
    {.gqa.shape = {.width_in = WIDTH / INPUTS,
                   .width_out = WIDTH,
                   .n_heads = 4,
                   .n_kv_heads = 2,
                   .head_dim = 6},
     .distances = {.rank = RANK, .extent = EXTENT, .log_floor = 5, .log_alpha = 0.4f},
     .n_inputs = INPUTS,
     .mix_rows = 2 * TAPS,
     .dynamic = 1,
     .qk_limit = 0.8f,
     .r_limit = 0.7f}};

#define CLIPPED(f) offsetof(clipped_weights, f)

static void suspect_clipped(bench *b, const plain_clipped *p)
{
    plain_clipped q = *p;
    q.limit = q.limit_r = 1e9;
    plain_clipped_run(&q, b->xd, N, b->other);
    bench_suspect(b, "nothing is clipped");
    q = *p;
    q.bank = bench_zeros(b, p->rank * p->extent);
    plain_clipped_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the biases of distances are missing");
    q = *p;
    q.ws = bench_zeros(b, p->n_heads * p->width);
    plain_clipped_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the sinks do not come from the token");
    q = *p;
    q.floor = 0;
    plain_clipped_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the temperature is missing");
}

/* How the block with `made` params is to the page with `wanted` ones. */
static void compare_clipped(bench *b, const clipped_params *made, const clipped_params *wanted,
                            uint32_t chunk)
{
    clipped_params p = *made;
    zoo_error err;
    p.gqa.options =
        (zoo_gqa_options){.gate = ZOO_GATE_ELEMENT, .v_norm = ZOO_NORM_RMS, .v_norm_eps = 1e-5f};
    p.taps = TAPS;
    p.r_rows = p.gqa.shape.n_heads * RANK;
    assert_int_equal(zoo_gqa_finish(&p.gqa, &err), ZOO_OK);
    bench_open(b);
    fake_streams(&b->f, &hybrid_clipped_ops, &p);
    void *weights = fake_bind(&b->f, &hybrid_clipped_ops, &p);
    bench_run(b, &hybrid_clipped_ops, &p, weights, chunk);
    const plain_clipped page = {.width = p.gqa.shape.width_in,
                                .width_out = WIDTH,
                                .inputs = p.n_inputs,
                                .n_heads = p.gqa.shape.n_heads,
                                .n_groups = p.gqa.shape.n_kv_heads,
                                .head_dim = p.gqa.shape.head_dim,
                                .window = p.gqa.shape.window,
                                .taps = TAPS,
                                .rank = RANK,
                                .extent = p.distances.extent,
                                .eps = (double)p.gqa.options.v_norm_eps,
                                .limit = (double)wanted->qk_limit,
                                .limit_r = (double)wanted->r_limit,
                                .floor = (double)wanted->distances.log_floor,
                                .alpha = (double)wanted->distances.log_alpha,
                                .wq = bench_tensor(b, CLIPPED(gqa.q)),
                                .wk = bench_tensor(b, CLIPPED(gqa.k)),
                                .wv = bench_tensor(b, CLIPPED(gqa.v)),
                                .wo = bench_tensor(b, CLIPPED(gqa.o)),
                                .wg = bench_tensor(b, CLIPPED(gqa.gate)),
                                .wr = bench_tensor(b, CLIPPED(r)),
                                .ws = bench_tensor(b, CLIPPED(sink)),
                                .scale_q = bench_tensor(b, CLIPPED(scale_q)),
                                .scale_r = bench_tensor(b, CLIPPED(scale_r)),
                                .bank = bench_tensor(b, CLIPPED(bank)),
                                .mix_k = p.dynamic ? bench_tensor(b, CLIPPED(mix_k)) : NULL,
                                .mix_v = p.dynamic ? bench_tensor(b, CLIPPED(mix_v)) : NULL,
                                .conv_k = bench_tensor(b, CLIPPED(conv_k)),
                                .conv_v = bench_tensor(b, CLIPPED(conv_v))};
    plain_clipped_run(&page, b->xd, N, b->yd);
    if (!bench_agrees(b)) {
        suspect_clipped(b, &page);
    }
    fake_close(&b->f);
}

/* ---- layers over earlier residuals ---- */

enum { WIDE = WIDTH / 4, KEPT = 2 }; /* a row: the present residual and up to three others */

static const hybrid_residuals layer = {
    .hidden = WIDE, .flat = WIDTH, .n_kept = KEPT, .n_inputs = 1, .mixes = 1};

static void attention(const double *x, size_t width, double *y)
{
    for (size_t i = 0; i < width; i++) {
        y[i] = sin(3 * x[i]) + x[(i + 1) % width];
    }
}

static void feed_forward(const double *x, size_t width, double *y)
{
    for (size_t i = 0; i < width; i++) {
        y[i] = x[i] * x[(i + 2) % width] - 0.5;
    }
}

/* Parts 1 and 3, the convolutions, pass their input on. */
static void run_part(zoo_ctx *ctx, uint32_t index, const float *x, float *y, const zoo_span *span)
{
    (void)ctx;
    for (uint32_t row = 0; row < span->n_rows; row++) {
        double in[WIDE], out[WIDE];
        for (size_t i = 0; i < WIDE; i++) {
            in[i] = out[i] = (double)x[row * WIDE + i];
        }
        if (index % 2 == 0) {
            (index ? feed_forward : attention)(in, WIDE, out);
        }
        for (size_t i = 0; i < WIDE; i++) {
            y[row * WIDE + i] = (float)out[i];
        }
    }
}

static void run_layer_page(const plain_residuals *p, const double *x, double *y)
{
    memcpy(y, x, (size_t)N * WIDTH * sizeof *y);
    for (size_t i = 0; i < N; i++) {
        plain_residuals_run(p, attention, feed_forward, y + i * WIDTH);
    }
}

static void compare_layer(bench *b, const hybrid_residuals *made, const hybrid_residuals *wanted,
                          uint32_t chunk)
{
    bench_open(b);
    b->f.ctx.part = run_part;
    void *weights = fake_bind(&b->f, &hybrid_residuals_ops, made);
    bench_run(b, &hybrid_residuals_ops, made, weights, chunk);
    plain_residuals page = {
        .width = WIDE,
        .n_kept = wanted->n_kept,
        .begins = wanted->begins != 0,
        .w = bench_widened(&b->f, fake_tensor_at(&b->f, 0)->x, WIDE),
        .u = bench_widened(&b->f, fake_tensor_at(&b->f, sizeof(float *))->x, WIDE)};
    run_layer_page(&page, b->xd, b->yd);
    if (!bench_agrees(b)) {
        page.n_kept = made->n_kept;
        page.begins = made->begins != 0;
        run_layer_page(&page, b->xd, b->other);
        bench_suspect(b, made->n_kept == wanted->n_kept ? "the sum begins anew elsewhere"
                                                        : "another number of residuals is read");
    }
    fake_close(&b->f);
}

/* ---- the tests ---- */

static void clipped_is_the_page(void **state)
{
    for (size_t i = 0; i < ZOO_COUNT(clipped) * BENCH_CHUNKS; i++) {
        const clipped_params *p = &clipped[i / BENCH_CHUNKS];
        compare_clipped(*state, p, p, bench_chunks[i % BENCH_CHUNKS]);
        bench_expect(*state, "plain_clipped", "");
    }
}

static void layer_is_the_page(void **state)
{
    for (size_t i = 0; i < (size_t)2 * BENCH_CHUNKS; i++) {
        hybrid_residuals p = layer;
        p.begins = i < BENCH_CHUNKS;
        compare_layer(*state, &p, &p, bench_chunks[i % BENCH_CHUNKS]);
        bench_expect(*state, "plain_residuals", "");
    }
}

static void mistakes_are_named(void **state)
{
    clipped_params wrong = clipped[1];
    hybrid_residuals other = layer;
    wrong.qk_limit = wrong.r_limit = 1e9f;
    compare_clipped(*state, &wrong, &clipped[1], N);
    bench_expect(*state, "no clip", "nothing is clipped");
    wrong = clipped[1];
    wrong.distances.log_floor = 0;
    compare_clipped(*state, &wrong, &clipped[1], N);
    bench_expect(*state, "no temperature", "the temperature is missing");
    other.begins = 1;
    compare_layer(*state, &other, &layer, N);
    bench_expect(*state, "begins", "the sum begins anew elsewhere");
    other = layer;
    other.n_kept = KEPT - 1;
    compare_layer(*state, &other, &layer, N);
    bench_expect(*state, "one fewer", "another number of residuals is read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(clipped_is_the_page),
                                       cmocka_unit_test(layer_is_the_page),
                                       cmocka_unit_test(mistakes_are_named)};
    return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
