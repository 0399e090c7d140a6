/*
 * ends.c: where several residual streams begin and end: a token's embedding becomes n equal
 * streams, the last layer's streams one row, sum_i pre_i X_i or their mean (hyper.h).
 */
#include "blocks/hyper/hyper.h"
#include "blocks/rows.h"

#include <string.h>

#define ZOO_ROW_WEIGHTS zoo_hyper_head_weights
#define ZOO_ROW_PARAMS  zoo_hyper

static const zoo_bind head_binds[] = {
    ZOO_ROW_MATRIX(head.fn, "hc_head_fn", ZOO_BIND_EXACT, n, flat, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(head.base, "hc_head_base", n, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(head.scale, "hc_head_scale", scales, ZOO_NONE, ZOO_NONE),
    {0}};

zoo_status zoo_hyper_finish(zoo_hyper *p, zoo_error *err)
{
    if (!p->n || p->n > ZOO_HYPER_MAX || !p->hidden || p->hidden > (1u << 20) || p->iters > 1000) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "%u residual streams of %u with %u rounds (at most %d streams)", p->n,
                        p->hidden, p->iters, ZOO_HYPER_MAX);
    }
    p->flat = p->n * p->hidden;
    p->rows = p->iters ? (2 + p->n) * p->n : 2 * p->n;
    p->scales = p->iters ? 3 : 2;
    return ZOO_OK;
}

static void spread_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                           const float *x, float *y, const zoo_span *span)
{
    const zoo_hyper *p = params;
    (void)ctx;
    (void)weights;
    (void)cache;
    for (uint32_t row = 0; row < span->n_rows; row++) {
        for (uint32_t i = 0; i < p->n; i++) {
            memcpy(y + (size_t)row * p->flat + (size_t)i * p->hidden, x + (size_t)row * p->hidden,
                   p->hidden * sizeof(float));
        }
    }
}

static void spread_facts(const void *params, const zoo_facts *to)
{
    const zoo_hyper *p = params;
    to->text(to, "kind", "copies as residual streams");
    to->number(to, "streams", p->n);
}

static void spread_explain(const void *params, char *text, size_t n)
{
    const zoo_hyper *p = params;
    (void)snprintf(text, n, "%u residual streams begin as equals", p->n);
}

static size_t gather_scratch(const void *params, const zoo_limits *limits)
{
    const zoo_hyper *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->flat);
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->n);
    return layout.used + zoo_linear_scratch(p->flat, limits->rows_max);
}

static void gather_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                           const float *x, float *y, const zoo_span *span)
{
    const zoo_hyper *p = params;
    const zoo_hyper_head_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *normed = zoo_scratch_layout_floats(&layout, span->n_rows, p->flat);
    float *logits = zoo_scratch_layout_floats(&layout, span->n_rows, p->n);
    (void)cache;
    zoo_hyper_logits(ctx, p, &w->head, x, normed, logits, span->n_rows);
    for (uint32_t row = 0; row < span->n_rows; row++) {
        const float *from = x + (size_t)row * p->flat;
        float *to = y + (size_t)row * p->hidden, pre[ZOO_HYPER_MAX];
        zoo_hyper_pre(p, &w->head, logits + (size_t)row * p->n, pre);
        ctx->kernels->scale(pre[0], from, to, p->hidden);
        for (uint32_t i = 1; i < p->n; i++) {
            ctx->kernels->axpy(pre[i], from + (size_t)i * p->hidden, to, p->hidden);
        }
    }
}

static void gather_facts(const void *params, const zoo_facts *to)
{
    const zoo_hyper *p = params;
    to->text(to, "kind", "sum of residual streams");
    to->number(to, "streams", p->n);
}

static void gather_explain(const void *params, char *text, size_t n)
{
    const zoo_hyper *p = params;
    (void)snprintf(text, n, "%u residual streams become one by learned weights", p->n);
}

static void mean_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                         const float *x, float *y, const zoo_span *span)
{
    const zoo_hyper *p = params;
    (void)weights;
    (void)cache;
    for (uint32_t row = 0; row < span->n_rows; row++) {
        const float *from = x + (size_t)row * p->flat;
        float *to = y + (size_t)row * p->hidden;
        ctx->kernels->scale(1.0f / (float)p->n, from, to, p->hidden);
        for (uint32_t i = 1; i < p->n; i++) {
            ctx->kernels->axpy(1.0f / (float)p->n, from + (size_t)i * p->hidden, to, p->hidden);
        }
    }
}

static void mean_facts(const void *params, const zoo_facts *to)
{
    const zoo_hyper *p = params;
    to->text(to, "kind", "mean of residual streams");
    to->number(to, "streams", p->n);
}

static void mean_explain(const void *params, char *text, size_t n)
{
    const zoo_hyper *p = params;
    (void)snprintf(text, n, "%u residual streams are averaged", p->n);
}

const zoo_block_ops zoo_hyper_spread_ops = {.size = sizeof(zoo_block_ops),
                                            .name = "spread",
                                            .forward = spread_forward,
                                            .explain = spread_explain,
                                            .facts = spread_facts};

const zoo_block_ops zoo_hyper_gather_ops = {.size = sizeof(zoo_block_ops),
                                            .weights_size = sizeof(zoo_hyper_head_weights),
                                            .name = "gather",
                                            .binds = head_binds,
                                            .scratch = gather_scratch,
                                            .forward = gather_forward,
                                            .explain = gather_explain,
                                            .facts = gather_facts};

const zoo_block_ops zoo_hyper_mean_ops = {.size = sizeof(zoo_block_ops),
                                          .name = "mean",
                                          .forward = mean_forward,
                                          .explain = mean_explain,
                                          .facts = mean_facts};
