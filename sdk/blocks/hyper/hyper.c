/*
 * hyper.c: a layer over several residual streams (formulas: hyper.h).
 *
 * Parts: 0 attention, 1 feed-forward, each with its norm. Memory: a normed copy of the streams,
 * the block's input and output, mixing numbers of each row.
 */
#include "blocks/hyper/hyper.h"
#include "blocks/rows.h"

#include <string.h>

#define ZOO_ROW_WEIGHTS zoo_hyper_weights
#define ZOO_ROW_PARAMS  zoo_hyper

#define PLACE(f)                                                                                   \
    ZOO_ROW_MATRIX(f.fn, "hc_" #f "_fn", ZOO_BIND_EXACT, rows, flat, ZOO_NONE, ZOO_NONE),          \
        ZOO_ROW_VECTOR(f.base, "hc_" #f "_base", rows, ZOO_NONE, ZOO_NONE),                        \
        ZOO_ROW_VECTOR(f.scale, "hc_" #f "_scale", scales, ZOO_NONE, ZOO_NONE)

static const zoo_bind binds[] = {PLACE(attn), PLACE(ffn), {0}};

typedef struct hyper_buffers {
    float *normed, *logits, *in, *out;
    float *post; /* [n_rows, n] */
    float *comb; /* [n_rows, n, n] */
} hyper_buffers;

typedef struct hyper_step {
    zoo_ctx *ctx;
    const zoo_hyper *params;
    const zoo_hyper_mix *mix;
    float *x;
    hyper_buffers buffers;
} hyper_step;

static hyper_buffers lay_out(const zoo_hyper *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    hyper_buffers r = {.normed = zoo_scratch_layout_floats(layout, n_rows, p->flat),
                       .logits = zoo_scratch_layout_floats(layout, n_rows, p->rows),
                       .in = zoo_scratch_layout_floats(layout, n_rows, p->hidden),
                       .out = zoo_scratch_layout_floats(layout, n_rows, p->hidden),
                       .post = zoo_scratch_layout_floats(layout, n_rows, p->n),
                       .comb = zoo_scratch_layout_floats(layout, n_rows, (size_t)p->n * p->n)};
    return r;
}

static size_t hyper_scratch(const void *params, const zoo_limits *limits)
{
    const zoo_hyper *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + 2 * zoo_linear_scratch(p->flat, limits->rows_max);
}

static void before(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const hyper_step *s = arg;
    const zoo_hyper *p = s->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        const float *logits = s->buffers.logits + (size_t)row * p->rows;
        const float *x = s->x + (size_t)row * p->flat;
        float *in = s->buffers.in + (size_t)row * p->hidden, pre[ZOO_HYPER_MAX];
        zoo_hyper_pre(p, s->mix, logits, pre);
        zoo_hyper_post(p, s->mix, logits, s->buffers.post + (size_t)row * p->n,
                       s->buffers.comb + (size_t)row * p->n * p->n);
        s->ctx->kernels->scale(pre[0], x, in, p->hidden);
        for (uint32_t i = 1; i < p->n; i++) {
            s->ctx->kernels->axpy(pre[i], x + (size_t)i * p->hidden, in, p->hidden);
        }
    }
}

/* Stream k of one row into `to`. */
static void mix_stream(const hyper_step *s, const float *x, const float *comb, uint32_t k,
                       float *to)
{
    const zoo_hyper *p = s->params;
    const zoo_kernels *kernels = s->ctx->kernels;
    if (!p->iters) {
        kernels->scale(1.0f, x + (size_t)k * p->hidden, to, p->hidden);
        return;
    }
    kernels->scale(comb[k], x, to, p->hidden);
    for (uint32_t j = 1; j < p->n; j++) {
        kernels->axpy(comb[j * p->n + k], x + (size_t)j * p->hidden, to, p->hidden);
    }
}

static void after(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const hyper_step *s = arg;
    const zoo_hyper *p = s->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *x = s->x + (size_t)row * p->flat, *mixed = s->buffers.normed + (size_t)row * p->flat;
        const float *post = s->buffers.post + (size_t)row * p->n;
        const float *y = s->buffers.out + (size_t)row * p->hidden;
        for (uint32_t k = 0; k < p->n; k++) {
            float *to = mixed + (size_t)k * p->hidden;
            mix_stream(s, x, s->buffers.comb + (size_t)row * p->n * p->n, k, to);
            s->ctx->kernels->axpy(post[k], y, to, p->hidden);
        }
        s->ctx->kernels->scale(1.0f, mixed, x, p->flat);
    }
}

static void hyper_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                          const float *x, float *y, const zoo_span *span)
{
    const zoo_hyper *p = params;
    const zoo_hyper_weights *w = weights;
    uint32_t n = span->n_rows;
    zoo_scratch_layout layout = {.ctx = ctx};
    hyper_step s = {.ctx = ctx, .params = p, .x = y, .buffers = lay_out(p, n, &layout)};
    (void)cache;
    if (x != y) {
        memcpy(y, x, (size_t)n * p->flat * sizeof(float));
    }
    for (uint32_t i = 0; i < 2; i++) {
        s.mix = i ? &w->ffn : &w->attn;
        zoo_hyper_logits(ctx, p, s.mix, y, s.buffers.normed, s.buffers.logits, n);
        zoo_rows(ctx, n, (size_t)2 * p->flat, before, &s);
        if (ctx->trace) {
            ctx->trace(ctx, i ? "ffn_hc" : "attn_hc", s.buffers.post, n, p->n);
        }
        ctx->part(ctx, i, s.buffers.in, s.buffers.out, span);
        zoo_rows(ctx, n, (size_t)p->n * p->flat, after, &s);
    }
}

static void hyper_explain(const void *params, char *text, size_t n)
{
    const zoo_hyper *p = params;
    (void)snprintf(text, n, "%u residual streams of %u, %s around every block", p->n, p->hidden,
                   p->iters ? "mixed with one another" : "each with a weight of its own");
}

const zoo_block_ops zoo_hyper_ops = {.size = sizeof(zoo_block_ops),
                                     .weights_size = sizeof(zoo_hyper_weights),
                                     .name = "hyper",
                                     .binds = binds,
                                     .scratch = hyper_scratch,
                                     .forward = hyper_forward,
                                     .explain = hyper_explain,
                                     .facts = zoo_hyper_facts};
