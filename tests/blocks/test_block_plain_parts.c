/*
 * test_block_plain_parts.c: the delta rule, experts, several residual streams and narrow caches
 * against their pages of plain.h, as test_block_plain.c does with attention.
 */
#include "blocks/hyper/hyper.h"
#include "blocks/moe/moe.h"
#include "cache/cache.h"
#include "delta.h"
#include "plain_bench.h"

#include <math.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

/* ---- the delta rule ---- */

/* A decay per head, as Qwen3-Next has it, and one per key channel, as Kimi Linear does. */
static const delta_params delta[] = {
    {.width_in = WIDTH,
     .n_k_heads = 2,
     .n_v_heads = 4,
     .k_dim = 6,
     .v_dim = 5,
     .taps = 4,
     .conv_act = ZOO_ACT_SILU,
     .gate_act = ZOO_ACT_SILU,
     .eps = 1e-5f,
     .beta_scale = 1,
     .k_rows = 12,
     .v_rows = 20,
     .channels = 44,
     .n_decays = 4,
     .when = {.parts = 1, .plain = 1, .one_conv = 1, .o_proj = 1}},
    {.width_in = WIDTH,
     .n_k_heads = 4,
     .n_v_heads = 4,
     .k_dim = 6,
     .v_dim = 5,
     .taps = 4,
     .channel_decay = 1,
     .conv_act = ZOO_ACT_SILU,
     .gate_act = ZOO_ACT_SIGMOID,
     .eps = 1e-5f,
     .beta_scale = 1,
     .k_rows = 24,
     .v_rows = 20,
     .channels = 68,
     .n_decays = 24,
     .when = {.parts = 1, .separate = 1, .three_convs = 1, .o_proj = 1}}};

#define DELTA(f) offsetof(delta_weights, f)

/* Three tensors, one behind the other. */
static double *joined(bench *b, const size_t fields[3])
{
    double *out = bench_zeros(b, 100 * WIDTH), *at = out;
    for (size_t i = 0; i < 3; i++) {
        const fake_tensor *t = fake_tensor_at(&b->f, fields[i]);
        memcpy(at, bench_tensor(b, fields[i]), (size_t)t->rows * t->cols * sizeof *at);
        at += (size_t)t->rows * t->cols;
    }
    return out;
}

static void suspect_delta(bench *b, const plain_delta *p)
{
    plain_delta q = *p;
    double *last = bench_zeros(b, 68 * p->taps), *never = bench_zeros(b, p->n_heads);
    q.a_bias = bench_zeros(b, p->n_heads * p->decays);
    plain_delta_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the bias of the decay is missing");
    q = *p;
    for (size_t i = 0; i < 68; i++) {
        last[i * p->taps + p->taps - 1] = 1;
    }
    q.conv = last;
    plain_delta_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the convolution is missing");
    q = *p;
    for (size_t h = 0; h < p->n_heads; h++) {
        never[h] = -INFINITY;
    }
    q.a_log = never;
    plain_delta_run(&q, b->xd, N, b->other);
    bench_suspect(b, "nothing is forgotten");
}

/* forgetful: the block's weights are left as they are; else nothing of its state decays. */
static void compare_delta(bench *b, const delta_params *p, bool forgetful, uint32_t chunk)
{
    static const size_t one[] = {DELTA(q), DELTA(k), DELTA(v)};
    static const size_t three[] = {DELTA(conv_q), DELTA(conv_k), DELTA(conv_v)};
    zoo_error err;
    bench_open(b);
    fake_streams(&b->f, &hybrid_delta_ops, p);
    delta_weights *weights = fake_bind(&b->f, &hybrid_delta_ops, p);
    assert_int_equal(hybrid_delta_check(p, &err), ZOO_OK);
    assert_int_equal(hybrid_delta_prepare(p, weights, &b->f.setup, &err), ZOO_OK);
    if (!forgetful) {
        weights->factor = fake_keep(&b->f, p->n_decays * sizeof(float));
    }
    bench_run(b, &hybrid_delta_ops, p, weights, chunk);
    const plain_delta page = {.width = WIDTH,
                              .n_heads = p->n_v_heads,
                              .n_groups = p->n_k_heads,
                              .key = p->k_dim,
                              .value = p->v_dim,
                              .decays = p->n_decays / p->n_v_heads,
                              .taps = p->taps,
                              .eps = (double)p->eps,
                              .w = joined(b, one),
                              .conv = p->when.one_conv ? bench_tensor(b, DELTA(conv))
                                                       : joined(b, three),
                              .wa = bench_tensor(b, DELTA(a)),
                              .wb = bench_tensor(b, DELTA(b)),
                              .wz = bench_tensor(b, DELTA(z)),
                              .a_log = bench_tensor(b, DELTA(a_log)),
                              .a_bias = bench_tensor(b, DELTA(dt_bias)),
                              .norm = bench_tensor(b, DELTA(norm)),
                              .wo = bench_tensor(b, DELTA(out))};
    plain_delta_run(&page, b->xd, N, b->yd);
    if (!bench_agrees(b)) {
        suspect_delta(b, &page);
    }
    fake_close(&b->f);
}

/* ---- experts ---- */

enum { INNER = 9, SHARED = 7, EXPERTS = 11, CHOSEN = 3 };

static const zoo_moe experts = {
    .router = {.n_experts = EXPERTS,
               .top_k = CHOSEN,
               .score = ZOO_SCORE_SIGMOID,
               .renorm = ZOO_RENORM_SUM,
               .scale = 2.5f},
    .experts = {.width = INNER, .gated = 1, .glu = {.act = ZOO_ACT_SILU}},
    .correction_bias = 1,
    .shared = {.width = SHARED, .gated = 1, .glu = {.act = ZOO_ACT_SILU}}};

#define MOE(f) offsetof(zoo_moe_weights, f)

static void suspect_moe(bench *b, const plain_moe *p)
{
    plain_moe q = *p;
    q.bias = bench_zeros(b, p->n_experts);
    plain_moe_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the bias of the choice is missing");
    q = *p;
    q.shared_down = bench_zeros(b, p->width * p->shared_inner);
    plain_moe_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the shared expert is missing");
    q = *p;
    q.gate = p->up;
    q.up = p->gate;
    plain_moe_run(&q, b->xd, N, b->other);
    bench_suspect(b, "gate and up of the experts are exchanged");
    q = *p;
    q.scale = 1;
    plain_moe_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the factor on the experts is missing");
    q = *p;
    q.softmax = !p->softmax;
    plain_moe_run(&q, b->xd, N, b->other);
    bench_suspect(b, p->softmax ? "scores are sigmoids, not a softmax"
                                : "scores are a softmax, not sigmoids");
    for (size_t more = 0; more < 2; more++) {
        q = *p;
        q.n_chosen = more ? p->n_chosen + 1 : p->n_chosen - 1;
        plain_moe_run(&q, b->xd, N, b->other);
        bench_suspect(b, more ? "one expert too many is chosen" : "one expert too few is chosen");
    }
}

/* How the block with `made` params is to the page with `wanted` ones. */
static void compare_moe(bench *b, const zoo_moe *made, const zoo_moe *wanted, uint32_t chunk)
{
    zoo_moe p = *made;
    zoo_error err;
    assert_int_equal(zoo_moe_finish(&p, WIDTH, &err), ZOO_OK);
    bench_open(b);
    zoo_moe_weights *weights = fake_bind(&b->f, &zoo_moe_ops, &p);
    bench_run(b, &zoo_moe_ops, &p, weights, chunk);
    const plain_moe page = {.width = WIDTH,
                            .n_experts = EXPERTS,
                            .n_chosen = wanted->router.top_k,
                            .inner = INNER,
                            .shared_inner = SHARED,
                            .softmax = wanted->router.score == ZOO_SCORE_SOFTMAX,
                            .scale = (double)wanted->router.scale,
                            .router = bench_tensor(b, MOE(router)),
                            .bias = bench_tensor(b, MOE(correction_bias)),
                            .gate = bench_tensor(b, MOE(experts.gate)),
                            .up = bench_tensor(b, MOE(experts.up)),
                            .down = bench_tensor(b, MOE(experts.down)),
                            .shared_gate = bench_tensor(b, MOE(shared.gate)),
                            .shared_up = bench_tensor(b, MOE(shared.up)),
                            .shared_down = bench_tensor(b, MOE(shared.down))};
    plain_moe_run(&page, b->xd, N, b->yd);
    if (!bench_agrees(b)) {
        suspect_moe(b, &page);
    }
    fake_close(&b->f);
}

/* ---- several residual streams ---- */

enum { STREAMS = 4, STREAM = WIDTH / STREAMS };

static const zoo_hyper hyper = {
    .hidden = STREAM, .n = STREAMS, .iters = 3, .eps = 1e-3f, .norm_eps = 1e-5f, .magnitude = 2};

#define HYPER(f) offsetof(zoo_hyper_weights, f)

/* Two blocks that no linear map could stand for. */
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

static void run_part(zoo_ctx *ctx, uint32_t index, const float *x, float *y, const zoo_span *span)
{
    (void)ctx;
    for (uint32_t row = 0; row < span->n_rows; row++) {
        double in[STREAM], out[STREAM];
        for (size_t i = 0; i < STREAM; i++) {
            in[i] = (double)x[row * STREAM + i];
        }
        (index ? feed_forward : attention)(in, STREAM, out);
        for (size_t i = 0; i < STREAM; i++) {
            y[row * STREAM + i] = (float)out[i];
        }
    }
}

static void run_hyper_page(const plain_hyper *p, const plain_mix w[2], const double *x, double *y)
{
    memcpy(y, x, (size_t)N * WIDTH * sizeof *y);
    for (size_t i = 0; i < N; i++) {
        plain_hyper_run(p, &w[0], attention, y + i * WIDTH);
        plain_hyper_run(p, &w[1], feed_forward, y + i * WIDTH);
    }
}

static void suspect_hyper(bench *b, const plain_hyper *p, const plain_mix w[2])
{
    plain_hyper q = *p;
    q.magnitude = 1;
    run_hyper_page(&q, w, b->xd, b->other);
    bench_suspect(b, "the factor on a block's output is missing");
    for (size_t more = 0; more < 2; more++) {
        q = *p;
        q.rounds = more ? p->rounds + 1 : p->rounds - 1;
        run_hyper_page(&q, w, b->xd, b->other);
        bench_suspect(b, more ? "the mixing matrix is balanced once too often"
                              : "the mixing matrix is balanced once too few");
    }
    q = *p;
    const plain_mix swapped[] = {w[1], w[0]};
    run_hyper_page(&q, swapped, b->xd, b->other);
    bench_suspect(b, "the weights of attention and feed-forward are exchanged");
}

static void compare_hyper(bench *b, const zoo_hyper *made, const zoo_hyper *wanted, uint32_t chunk)
{
    zoo_hyper p = *made;
    zoo_error err;
    assert_int_equal(zoo_hyper_finish(&p, &err), ZOO_OK);
    bench_open(b);
    b->f.ctx.part = run_part;
    void *weights = fake_bind(&b->f, &zoo_hyper_ops, &p);
    bench_run(b, &zoo_hyper_ops, &p, weights, chunk);
    const plain_hyper page = {.width = STREAM,
                              .n_streams = STREAMS,
                              .rounds = wanted->iters,
                              .eps = (double)wanted->eps,
                              .norm_eps = (double)wanted->norm_eps,
                              .magnitude = (double)wanted->magnitude};
    const plain_mix w[] = {{bench_tensor(b, HYPER(attn.fn)), bench_tensor(b, HYPER(attn.scale)),
                            bench_tensor(b, HYPER(attn.base))},
                           {bench_tensor(b, HYPER(ffn.fn)), bench_tensor(b, HYPER(ffn.scale)),
                            bench_tensor(b, HYPER(ffn.base))}};
    run_hyper_page(&page, w, b->xd, b->yd);
    if (!bench_agrees(b)) {
        suspect_hyper(b, &page, w);
    }
    fake_close(&b->f);
}

/* ---- narrow caches ---- */

enum { HEAD = 64, ROWS = N * WIDTH / HEAD };

/* What a cache of that kind gives back for b->x, as rows of two heads, to b->y. */
static void store_rows(bench *b, const zoo_cache_ops *kind)
{
    const zoo_stream rows = {
        .name = "k", .kind = ZOO_ROWS, .width = 2 * HEAD, .heads = 2, .dtype_min = ZOO_INT4};
    const zoo_cache_options options = {
        .kinds.kind = kind, .limits = {.rows_max = ROWS, .seqs_max = 1, .context_max = ROWS}};
    zoo_cache_pool *pool;
    zoo_cache *cache;
    zoo_error err;
    zoo_seq seq = {.n = ROWS / 2};
    assert_int_equal(zoo_cache_pool_new(&options, &pool, &err), ZOO_OK);
    zoo_cache_pool_kernels(pool, test_kernels());
    assert_int_equal(zoo_cache_pool_add(pool, &rows, 1, &cache, &err), ZOO_OK);
    assert_int_equal(zoo_cache_pool_fix(pool, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_open(pool, ROWS, &seq.slot, &err), ZOO_OK);
    assert_int_equal(zoo_cache_seq_extend(pool, seq.slot, 0, seq.n, &err), ZOO_OK);
    cache->put(cache, 0, &seq, 0, seq.n, b->x, (size_t)2 * HEAD);
    for (uint32_t i = 0; i < ROWS / 2 * 2; i++) {
        cache->read(cache, 0, &seq, i % 2, i / 2, 1, b->y + (size_t)i * HEAD);
    }
    zoo_cache_pool_free(pool);
}

/* rotated: as the page has it; else codes are those of the row itself. */
static void run_cache_page(unsigned bits, bool rotated, const double *x, double *y)
{
    memcpy(y, x, (size_t)N * WIDTH * sizeof *y);
    for (size_t i = 0; i < ROWS / 2 * 2; i++) {
        double *row = y + i * HEAD;
        if (!rotated) {
            plain_hadamard(row, HEAD);
        }
        plain_narrow_cache(row, HEAD, bits);
        if (!rotated) {
            plain_hadamard(row, HEAD);
        }
        for (size_t c = 0; c < HEAD && !rotated; c++) {
            row[c] /= HEAD;
        }
    }
}

static void compare_cache(bench *b, const char *kind, unsigned bits)
{
    bench_open(b);
    for (size_t i = 0; i < (size_t)N * WIDTH; i++) {
        b->x[i] *= i % HEAD == 5 ? 20 : 1; /* one large channel */
        b->y[i] = b->x[i];
        b->xd[i] = (double)b->x[i];
    }
    store_rows(b, zoo_cache_kind(kind));
    run_cache_page(bits, true, b->xd, b->yd);
    if (!bench_agrees(b)) {
        run_cache_page(bits, false, b->xd, b->other);
        bench_suspect(b, "rows are not rotated");
        run_cache_page(12 - bits, true, b->xd, b->other);
        bench_suspect(b, bits == 8 ? "rows are kept in 4 bits" : "rows are kept in 8 bits");
    }
    fake_close(&b->f);
}

/* ---- the tests ---- */

static void delta_is_the_page(void **state)
{
    for (size_t i = 0; i < ZOO_COUNT(delta) * BENCH_CHUNKS; i++) {
        compare_delta(*state, &delta[i / BENCH_CHUNKS], true, bench_chunks[i % BENCH_CHUNKS]);
        bench_expect(*state, "plain_delta", "");
    }
}

static void moe_is_the_page(void **state)
{
    for (size_t i = 0; i < BENCH_CHUNKS; i++) {
        zoo_moe p = experts;
        compare_moe(*state, &p, &p, bench_chunks[i]);
        bench_expect(*state, "plain_moe", "");
        p.router.score = ZOO_SCORE_SOFTMAX;
        compare_moe(*state, &p, &p, bench_chunks[i]);
        bench_expect(*state, "plain_moe", "");
    }
}

static void hyper_is_the_page(void **state)
{
    for (size_t i = 0; i < BENCH_CHUNKS; i++) {
        compare_hyper(*state, &hyper, &hyper, bench_chunks[i]);
        bench_expect(*state, "plain_hyper", "");
    }
}

static void narrow_cache_is_the_page(void **state)
{
    compare_cache(*state, "int8", 8);
    bench_expect(*state, "plain_narrow_cache", "");
    compare_cache(*state, "int4", 4);
    bench_expect(*state, "plain_narrow_cache", "");
}

static void mistakes_are_named(void **state)
{
    zoo_moe wrong = experts;
    zoo_hyper other = hyper;
    compare_delta(*state, &delta[0], false, N);
    bench_expect(*state, "no decay", "nothing is forgotten");
    wrong.router.top_k = CHOSEN + 1;
    compare_moe(*state, &wrong, &experts, N);
    bench_expect(*state, "4 of 3", "one expert too many is chosen");
    wrong.router.top_k = CHOSEN;
    wrong.router.scale = 0;
    compare_moe(*state, &wrong, &experts, N);
    bench_expect(*state, "no scale", "the factor on the experts is missing");
    wrong.router.scale = experts.router.scale;
    wrong.router.score = ZOO_SCORE_SOFTMAX;
    compare_moe(*state, &wrong, &experts, N);
    bench_expect(*state, "softmax", "scores are a softmax, not sigmoids");
    other.iters = hyper.iters - 1;
    compare_hyper(*state, &other, &hyper, N);
    bench_expect(*state, "2 of 3 rounds", "the mixing matrix is balanced once too few");
    compare_cache(*state, "int4", 8);
    bench_expect(*state, "int4 for int8", "rows are kept in 4 bits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delta_is_the_page), cmocka_unit_test(moe_is_the_page),
        cmocka_unit_test(hyper_is_the_page), cmocka_unit_test(narrow_cache_is_the_page),
        cmocka_unit_test(mistakes_are_named)};
    return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
