/*
 * test_block_plain.c: the fast blocks against the pages of plain.h, whole and in chunks.
 *
 * Where a block is wrong, the test computes what the page would give under each of a list of usual
 * mistakes (a window off by one, rotary halves swapped, a product left out) and names the one that
 * the block made. That it does so is tested, too: the mistakes are planted.
 */
#include "blocks/gqa/gqa.h"
#include "blocks/mla/mla.h"
#include "mamba2.h"
#include "plain_bench.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- attention with grouped heads, over everything or over a window ---- */

static float inv[4] = {1.0f, 0.6f, 0.11f, 0.01f};
static zoo_rope halves = {.n_pairs = 4, .sign = 1, .factor = 1, .inv_freq = inv};
static const zoo_gqa gqa = {.shape.width_in = WIDTH,
                            .shape.width_out = WIDTH,
                            .shape.n_heads = 6,
                            .shape.n_kv_heads = 2,
                            .shape.head_dim = 8,
                            .options.rope = &halves};

typedef void attention_page(const plain_gqa *p, const double *x, size_t n, double *y);

/* Rows (2i, 2i + 1) of each head stand at (i, i + D / 2): the page then turns other pairs. */
static double *other_pairs(bench *b, const double *w, size_t heads, size_t d)
{
    double *out = bench_zeros(b, heads * d * WIDTH);
    for (size_t r = 0; r < heads * d; r++) {
        size_t i = r % d, from = r - i + (i < d / 2 ? 2 * i : 2 * (i - d / 2) + 1);
        memcpy(out + r * WIDTH, w + from * WIDTH, WIDTH * sizeof *out);
    }
    return out;
}

static void suspect_attention(bench *b, const plain_gqa *p, attention_page *page)
{
    double *none = bench_zeros(b, p->head_dim / 2), *back = bench_zeros(b, p->head_dim / 2);
    plain_gqa q = *p;
    for (size_t i = 0; i < p->head_dim / 2; i++) {
        back[i] = -p->frequency[i];
    }
    q.frequency = back;
    page(&q, b->xd, N, b->other);
    bench_suspect(b, "the halves of the rotation are swapped");
    q.frequency = none;
    page(&q, b->xd, N, b->other);
    bench_suspect(b, "nothing is rotated");
    q = *p;
    q.wq = other_pairs(b, p->wq, p->n_heads, p->head_dim);
    q.wk = other_pairs(b, p->wk, p->n_groups, p->head_dim);
    page(&q, b->xd, N, b->other);
    bench_suspect(b, "the rotation takes neighbours for pairs");
    q = *p;
    for (size_t longer = 0; p->window > 1 && longer < 2; longer++) {
        q.window = longer ? p->window + 1 : p->window - 1;
        page(&q, b->xd, N, b->other);
        bench_suspect(b, longer ? "the window is one too long" : "the window is one short");
    }
}

#define GQA(f) offsetof(zoo_gqa_weights, f)

/* How the block with `made` params is to the page with `wanted` ones. */
static void compare_attention(bench *b, const zoo_gqa *made, const zoo_gqa *wanted, uint32_t chunk)
{
    zoo_gqa p = *made;
    zoo_error err;
    assert_int_equal(zoo_gqa_finish(&p, &err), ZOO_OK);
    bench_open(b);
    fake_streams(&b->f, &zoo_gqa_ops, &p);
    void *weights = fake_bind(&b->f, &zoo_gqa_ops, &p);
    bench_run(b, &zoo_gqa_ops, &p, weights, chunk);
    const plain_gqa page = {.width = WIDTH,
                            .n_heads = 6,
                            .n_groups = 2,
                            .head_dim = 8,
                            .window = wanted->shape.window,
                            .frequency = bench_widened(&b->f, inv, 4),
                            .wq = bench_tensor(b, GQA(q)),
                            .wk = bench_tensor(b, GQA(k)),
                            .wv = bench_tensor(b, GQA(v)),
                            .wo = bench_tensor(b, GQA(o))};
    attention_page *run = wanted->shape.window ? plain_window_run : plain_gqa_run;
    run(&page, b->xd, N, b->yd);
    if (!bench_agrees(b)) {
        suspect_attention(b, &page, run);
    }
    fake_close(&b->f);
}

/* ---- latent attention, dense or over chosen keys ---- */

static const zoo_rope small = {.n_pairs = 2, .sign = 1, .factor = 1, .inv_freq = inv};
static const zoo_mla mla = {.width_in = WIDTH,
                            .n_heads = 5,
                            .q_lora = 14,
                            .kv_lora = 18,
                            .nope = 7,
                            .rope_dim = 4,
                            .v_dim = 9,
                            .norm_eps = 1e-5f,
                            .rope = &small};
static const zoo_mla_index indexer = {.n_heads = 3, .dim = 10, .top_k = 16, .choice = &indexer};

#define MLA(f) offsetof(zoo_mla_weights, f)

/* The block has Wuk_h^T [latent, nope]. */
static double *turned(bench *b, const double *w, size_t n, size_t rows, size_t cols)
{
    double *out = bench_zeros(b, n * rows * cols);
    for (size_t i = 0; i < n * rows * cols; i++) {
        size_t matrix = i / (rows * cols), r = i / cols % rows, c = i % cols;
        out[matrix * rows * cols + c * rows + r] = w[i];
    }
    return out;
}

static plain_mla mla_page(bench *b, const zoo_mla *p)
{
    plain_mla page = {.width = WIDTH,
                      .n_heads = p->n_heads,
                      .query_rank = p->q_lora,
                      .latent = p->kv_lora,
                      .nope = p->nope,
                      .rope = p->rope_dim,
                      .value = p->v_dim,
                      .eps = (double)p->norm_eps,
                      .frequency = bench_widened(&b->f, inv, 4),
                      .wq_down = bench_tensor(b, MLA(q_a)),
                      .query_norm = bench_tensor(b, MLA(q_norm)),
                      .wq_up = bench_tensor(b, MLA(q)),
                      .wkv_down = bench_tensor(b, MLA(kv_a)),
                      .latent_norm = bench_tensor(b, MLA(kv_norm)),
                      .wv_up = bench_tensor(b, MLA(v_up)),
                      .wo = bench_tensor(b, MLA(o))};
    page.wk_up = turned(b, bench_tensor(b, MLA(k_up)), p->n_heads, p->kv_lora, p->nope);
    if (p->index.n_heads) {
        page.index_heads = p->index.n_heads;
        page.index_dim = p->index.dim;
        page.index_eps = (double)p->index.norm_eps;
        page.index_wq = bench_tensor(b, MLA(index_q));
        page.index_wk = bench_tensor(b, MLA(index_k));
        page.index_norm = bench_tensor(b, MLA(index_norm));
        page.index_bias = bench_tensor(b, MLA(index_norm_bias));
        page.index_weight = bench_tensor(b, MLA(index_w));
        page.index_pool = p->when.pool ? p->index.pool : 0;
        page.index_gate = p->when.pool ? bench_tensor(b, MLA(index_gate)) : NULL;
        page.index_place = p->when.pool ? bench_tensor(b, MLA(index_place)) : NULL;
    }
    return page;
}

static void run_mla_page(const plain_mla *p, const double *x, double *y)
{
    if (p->index_top) {
        plain_dsa_run(p, x, N, y);
    } else {
        plain_mla_run(p, x, N, NULL, y);
    }
}

static void suspect_mla(bench *b, const plain_mla *p)
{
    double *back = bench_zeros(b, p->rope / 2);
    plain_mla q = *p;
    q.wk_up = bench_zeros(b, p->n_heads * p->nope * p->latent);
    run_mla_page(&q, b->xd, b->other);
    bench_suspect(b, "the product with Wuk that queries absorb is missing");
    q = *p;
    q.frequency = back;
    run_mla_page(&q, b->xd, b->other);
    bench_suspect(b, "nothing is rotated");
    for (size_t i = 0; i < p->rope / 2; i++) {
        back[i] = -p->frequency[i];
    }
    run_mla_page(&q, b->xd, b->other);
    bench_suspect(b, "the halves of the rotation are swapped");
    q = *p;
    for (size_t more = 0; p->index_top > 1 && more < 2; more++) {
        q.index_top = more ? p->index_top + 1 : p->index_top - 1;
        run_mla_page(&q, b->xd, b->other);
        bench_suspect(b, more ? "the indexer chooses one key too many"
                              : "the indexer chooses one key too few");
    }
    q.index_top = 0;
    run_mla_page(&q, b->xd, b->other);
    bench_suspect(b, "the indexer's choice is not followed");
}

/* without_up: the block's weights have no Wuk. */
static void compare_mla(bench *b, const zoo_mla *made, uint32_t top, bool without_up,
                        uint32_t chunk)
{
    zoo_mla p = *made;
    zoo_error err;
    assert_int_equal(zoo_mla_finish(&p, &err), ZOO_OK);
    bench_open(b);
    fake_streams(&b->f, &zoo_mla_ops, &p);
    zoo_mla_weights *weights = fake_bind(&b->f, &zoo_mla_ops, &p);
    if (without_up) {
        zoo_weight *up = fake_keep(&b->f, p.n_heads * sizeof *up);
        const float *nothing = fake_keep(&b->f, (size_t)p.kv_lora * p.nope * sizeof(float));
        for (uint32_t h = 0; h < p.n_heads; h++) {
            up[h] = fake_pack(&b->f, nothing, p.kv_lora, p.nope);
        }
        weights->k_up = up;
    }
    bench_run(b, &zoo_mla_ops, &p, weights, chunk);
    plain_mla page = mla_page(b, &p);
    page.index_top = top;
    run_mla_page(&page, b->xd, b->yd);
    if (!bench_agrees(b)) {
        suspect_mla(b, &page);
    }
    fake_close(&b->f);
}

/* ---- the state space ---- */

static const mamba2_params mamba2 = {.width_in = WIDTH,
                                     .n_heads = 6,
                                     .head_dim = 4,
                                     .state_size = 5,
                                     .n_groups = 2,
                                     .taps = 4,
                                     .conv_bias = 1,
                                     .dt_max = INFINITY,
                                     .norm = ZOO_NORM_RMS,
                                     .gate_first = 1,
                                     .eps = 1e-5f,
                                     .act = ZOO_ACT_SILU,
                                     .inner = 24,
                                     .channels = 44,
                                     .main_rows = 68,
                                     .in_rows = 74};

#define MAMBA2(f) offsetof(mamba2_weights, f)

static void suspect_mamba2(bench *b, const plain_mamba2 *p)
{
    plain_mamba2 q = *p;
    q.dt_bias = bench_zeros(b, p->n_heads);
    plain_mamba2_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the bias of the step sizes is missing");
    q = *p;
    q.d = bench_zeros(b, p->n_heads);
    plain_mamba2_run(&q, b->xd, N, b->other);
    bench_suspect(b, "D x is missing");
    q = *p;
    q.conv_bias = bench_zeros(b, 44);
    plain_mamba2_run(&q, b->xd, N, b->other);
    bench_suspect(b, "the bias of the convolution is missing");
}

/* without_d: the block's weights have no D. */
static void compare_mamba2(bench *b, bool without_d, uint32_t chunk)
{
    const mamba2_params *p = &mamba2;
    zoo_error err;
    bench_open(b);
    fake_streams(&b->f, &hybrid_mamba2_ops, p);
    mamba2_weights *weights = fake_bind(&b->f, &hybrid_mamba2_ops, p);
    assert_int_equal(hybrid_mamba2_prepare(p, weights, &b->f.setup, &err), ZOO_OK);
    if (without_d) {
        weights->d = fake_keep(&b->f, p->n_heads * sizeof(float));
    }
    bench_run(b, &hybrid_mamba2_ops, p, weights, chunk);
    double *w_in = bench_zeros(b, 74 * WIDTH);
    memcpy(w_in, bench_tensor(b, MAMBA2(in)), 68 * WIDTH * sizeof *w_in);
    memcpy(w_in + 68 * WIDTH, bench_tensor(b, MAMBA2(dt)), 6 * WIDTH * sizeof *w_in);
    const plain_mamba2 page = {.width = WIDTH,
                               .n_heads = 6,
                               .head_dim = 4,
                               .places = 5,
                               .n_groups = 2,
                               .taps = 4,
                               .eps = (double)p->eps,
                               .w_in = w_in,
                               .conv = bench_tensor(b, MAMBA2(conv)),
                               .conv_bias = bench_tensor(b, MAMBA2(conv_bias)),
                               .dt_bias = bench_tensor(b, MAMBA2(dt_bias)),
                               .a_log = bench_tensor(b, MAMBA2(a_log)),
                               .d = bench_tensor(b, MAMBA2(d)),
                               .norm = bench_tensor(b, MAMBA2(norm)),
                               .w_out = bench_tensor(b, MAMBA2(out))};
    plain_mamba2_run(&page, b->xd, N, b->yd);
    if (!bench_agrees(b)) {
        suspect_mamba2(b, &page);
    }
    fake_close(&b->f);
}

/* ---- the tests ---- */

static void gqa_is_the_page(void **state)
{
    for (size_t i = 0; i < ZOO_COUNT(bench_chunks); i++) {
        compare_attention(*state, &gqa, &gqa, bench_chunks[i]);
        bench_expect(*state, "plain_gqa", "");
    }
}

static void window_is_the_page(void **state)
{
    static const uint32_t windows[] = {9, 1, 2, N, N + 5};
    for (size_t i = 0; i < ZOO_COUNT(windows) * ZOO_COUNT(bench_chunks); i++) {
        zoo_gqa p = gqa;
        p.shape.window = windows[i / ZOO_COUNT(bench_chunks)];
        compare_attention(*state, &p, &p, bench_chunks[i % ZOO_COUNT(bench_chunks)]);
        bench_expect(*state, "plain_window", "");
    }
}

static void mla_is_the_page(void **state)
{
    for (size_t i = 0; i < ZOO_COUNT(bench_chunks); i++) {
        compare_mla(*state, &mla, 0, false, bench_chunks[i]);
        bench_expect(*state, "plain_mla", "");
    }
}

static void dsa_is_the_page(void **state)
{
    static const uint32_t tops[] = {16, 1, N - 1, N};
    for (size_t i = 0; i < ZOO_COUNT(tops) * ZOO_COUNT(bench_chunks); i++) {
        zoo_mla p = mla;
        p.index = indexer;
        p.index.top_k = tops[i / ZOO_COUNT(bench_chunks)];
        compare_mla(*state, &p, p.index.top_k, false, bench_chunks[i % ZOO_COUNT(bench_chunks)]);
        bench_expect(*state, "plain_dsa", "");
    }
}

static void pools_are_the_page(void **state)
{
    static const uint32_t tops[] = {16, 4, 64};
    for (size_t i = 0; i < ZOO_COUNT(tops) * ZOO_COUNT(bench_chunks); i++) {
        zoo_mla p = mla;
        p.index = indexer;
        p.index.top_k = tops[i / ZOO_COUNT(bench_chunks)];
        p.index.pool = 4;
        compare_mla(*state, &p, p.index.top_k, false, bench_chunks[i % ZOO_COUNT(bench_chunks)]);
        bench_expect(*state, "plain_dsa with pools", "");
    }
}

static void mamba2_is_the_page(void **state)
{
    for (size_t i = 0; i < ZOO_COUNT(bench_chunks); i++) {
        compare_mamba2(*state, false, bench_chunks[i]);
        bench_expect(*state, "plain_mamba2", "");
    }
}

static void attention_mistakes_are_named(void **state)
{
    zoo_gqa right = gqa, wrong = gqa;
    zoo_rope back = halves, neighbours = halves;
    back.sign = -1;
    neighbours.interleaved = 1;
    wrong.options.rope = &back;
    compare_attention(*state, &wrong, &right, N);
    bench_expect(*state, "swapped halves", "the halves of the rotation are swapped");
    wrong.options.rope = &neighbours;
    compare_attention(*state, &wrong, &right, N);
    bench_expect(*state, "pairs", "the rotation takes neighbours for pairs");
    wrong.options.rope = NULL;
    compare_attention(*state, &wrong, &right, N);
    bench_expect(*state, "no rotation", "nothing is rotated");
    wrong.options.rope = right.options.rope;
    right.shape.window = 9;
    wrong.shape.window = 10;
    compare_attention(*state, &wrong, &right, N);
    bench_expect(*state, "window of 10", "the window is one too long");
    wrong.shape.window = 8;
    compare_attention(*state, &wrong, &right, N);
    bench_expect(*state, "window of 8", "the window is one short");
}

static void latent_mistakes_are_named(void **state)
{
    zoo_mla p = mla;
    zoo_rope back = small;
    back.sign = -1;
    compare_mla(*state, &p, 0, true, N);
    bench_expect(*state, "no Wuk", "the product with Wuk that queries absorb is missing");
    p.rope = &back;
    compare_mla(*state, &p, 0, false, N);
    bench_expect(*state, "swapped halves", "the halves of the rotation are swapped");
    p.rope = &small;
    p.index = indexer;
    compare_mla(*state, &p, 15, false, N);
    bench_expect(*state, "16 of 15", "the indexer chooses one key too many");
    compare_mla(*state, &p, 17, false, N);
    bench_expect(*state, "16 of 17", "the indexer chooses one key too few");
    p.index.top_k = N;
    compare_mla(*state, &p, 16, false, N);
    bench_expect(*state, "all keys", "the indexer's choice is not followed");
}

static void state_mistakes_are_named(void **state)
{
    compare_mamba2(*state, true, N);
    bench_expect(*state, "no D", "D x is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gqa_is_the_page),
                                       cmocka_unit_test(window_is_the_page),
                                       cmocka_unit_test(mla_is_the_page),
                                       cmocka_unit_test(dsa_is_the_page),
                                       cmocka_unit_test(pools_are_the_page),
                                       cmocka_unit_test(mamba2_is_the_page),
                                       cmocka_unit_test(attention_mistakes_are_named),
                                       cmocka_unit_test(latent_mistakes_are_named),
                                       cmocka_unit_test(state_mistakes_are_named)};
    return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
