/*
 * differential.c: differential attention: what two heads agree on is taken out.
 *
 *   a_h = softmax(scale q_h k_g) [v_j | v_(j + G / 2)],  g the key head of h, j = g mod G / 2
 *   lambda = exp(lq1 . lk1) - exp(lq2 . lk2) + lambda_0,  lambda_0 = 0.8 - 0.6 exp(-0.3 layer)
 *   o_h = (1 - lambda_0) rms( a_h - lambda a_(h + H / 2) ),  h < H / 2;   y = Wo [o_1 .. ] + bo
 *
 * The scores are computed for each half of the values, so that the cache holds every value once.
 * Memory: outputs of both passes and their difference, [n_rows, H d] floats each. Source: Ye et
 * al., "Differential Transformer" (2024).
 */
#include <math.h>

#include "blocks/rows.h"
#include "llama.h"

typedef struct weights {
    zoo_gqa_weights gqa;
    const float *q1, *k1, *q2, *k2;
} weights;

/* clang-format off */
static const zoo_bind binds[] = {
#include "blocks/gqa/binds.inc"
#undef ZOO_ROW_WEIGHTS
#undef ZOO_ROW_PARAMS
#define ZOO_ROW_WEIGHTS weights
#define ZOO_ROW_PARAMS llama_differential
    ZOO_ROW_VECTOR(q1, "lambda_q1", gqa.shape.head_dim, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(k1, "lambda_k1", gqa.shape.head_dim, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(q2, "lambda_q2", gqa.shape.head_dim, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(k2, "lambda_k2", gqa.shape.head_dim, ZOO_NONE, ZOO_NONE),
    {0}};
/* clang-format on */

typedef struct job {
    const llama_differential *p;
    const zoo_kernels *kernels;
    const float *half[2]; /* [n_rows, H, d] */
    float *out;           /* [n_rows, H / 2, 2 d] */
    float lambda;
} job;

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const llama_differential *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->gqa.derived.o_cols);
    return zoo_gqa_scratch(params, limits) + 2 * layout.used;
}

static void combine_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    const zoo_gqa *p = &j->p->gqa;
    uint32_t d = p->shape.head_dim, pairs = p->shape.n_heads / 2;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *out = j->out + (size_t)row * p->derived.o_cols;
        for (uint32_t at = 0; at < 2 * pairs; at++) {
            const float *a =
                j->half[at % 2] + (size_t)row * p->derived.o_cols + (size_t)(at / 2) * d;
            float *y = out + (size_t)at * d;
            j->kernels->scale(1.0f, a, y, d);
            j->kernels->axpy(-j->lambda, a + (size_t)pairs * d, y, d);
        }
        const zoo_norm_args norm = {.x = out,
                                    .y = out,
                                    .x_stride = (size_t)2 * d,
                                    .y_stride = (size_t)2 * d,
                                    .n_rows = pairs,
                                    .width = 2 * d,
                                    .eps = j->p->eps};
        zoo_norm_run(j->kernels, ZOO_NORM_RMS, norm);
        j->kernels->scale(1.0f - j->p->start, out, out, p->derived.o_cols);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_differential *p = params;
    const weights *w = bound;
    uint32_t n = span->n_rows, d = p->gqa.shape.head_dim;
    gqa_step step = zoo_gqa_begin(ctx, &p->gqa, &w->gqa, cache, span);
    zoo_scratch_layout layout = {.ctx = ctx};
    job j = {.p = p, .kernels = ctx->kernels, .half = {step.buffers.out, NULL}};
    j.lambda = expf(ctx->kernels->dot(w->q1, w->k1, d)) - expf(ctx->kernels->dot(w->q2, w->k2, d)) +
               p->start;
    zoo_gqa_project(&step, x);
    step.v_heads = p->gqa.shape.n_kv_heads / 2;
    zoo_gqa_attend(&step);
    step.buffers.out = zoo_scratch_layout_floats(&layout, n, p->gqa.derived.o_cols);
    j.half[1] = step.buffers.out;
    step.v_first = step.v_heads;
    zoo_gqa_attend(&step);
    j.out = zoo_scratch_layout_floats(&layout, n, p->gqa.derived.o_cols);
    zoo_rows(ctx, n, (size_t)p->gqa.derived.o_cols * 4, combine_range, &j);
    const zoo_proj out = {&w->gqa.o, w->gqa.o_bias, y, 0};
    zoo_linear(ctx, &out, 1, j.out, p->gqa.derived.o_cols, n);
}

static void explain(const void *params, char *text, size_t n)
{
    const llama_differential *p = params;
    (void)snprintf(text, n, "%u pairs of heads over %u key-value heads of %u, all positions",
                   p->gqa.shape.n_heads / 2, p->gqa.shape.n_kv_heads, p->gqa.shape.head_dim);
}

const zoo_block_ops llama_differential_ops = {.size = sizeof(zoo_block_ops),
                                              .weights_size = sizeof(weights),
                                              .name = "differential",
                                              .binds = binds,
                                              .streams = zoo_gqa_streams,
                                              .scratch = scratch,
                                              .check = zoo_gqa_check,
                                              .forward = forward,
                                              .explain = explain,
                                              .facts = llama_differential_facts};
