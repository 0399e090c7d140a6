/*
 * weighed.c: a layer whose residual has a weight for each channel.
 *
 *   h = w_0 * h + attn(n0 h);   h = w_1 * h + sum of the other parts of n1 h
 *
 * Tensors in the layer: input_residual, post_attention_residual [width]. Memory: two buffers of
 * rows.
 */
#include "llama.h"

typedef struct weights {
    const float *first, *second;
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, first, ZOO_BIND_VECTOR, 0, "input_residual", llama_weighed, width, ZOO_NONE,
             ZOO_NONE),
    ZOO_BIND(weights, second, ZOO_BIND_VECTOR, 0, "post_attention_residual", llama_weighed, width,
             ZOO_NONE, ZOO_NONE),
    {.name = NULL},
};

typedef struct job {
    const zoo_kernels *kernels;
    const float *x, *weight, *add;
    float *y;
    uint32_t width;
} job;

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const llama_weighed *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->width);
    return 2 * layout.used;
}

static void add_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        size_t at = (size_t)row * j->width;
        j->kernels->mul(j->x + at, j->weight, j->y + at, j->width);
        j->kernels->add(j->y + at, j->add + at, j->y + at, j->width);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_weighed *p = params;
    const weights *w = bound;
    uint32_t n = span->n_rows;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *sum = zoo_scratch_layout_floats(&layout, n, p->width),
          *one = zoo_scratch_layout_floats(&layout, n, p->width);
    job j = {ctx->kernels, x, w->first, sum, y, p->width};
    (void)cache;
    ctx->part(ctx, 0, x, sum, span);
    zoo_rows(ctx, n, (size_t)p->width * 4, add_range, &j);
    ctx->part(ctx, 1, y, sum, span);
    for (uint32_t i = 2; i < p->n_parts; i++) {
        ctx->part(ctx, i, y, one, span);
        zoo_add_rows(ctx, one, sum, n, p->width);
    }
    j.x = y;
    j.weight = w->second;
    zoo_rows(ctx, n, (size_t)p->width * 4, add_range, &j);
}

const zoo_block_ops llama_weighed_ops = {.size = sizeof(zoo_block_ops),
                                         .weights_size = sizeof(weights),
                                         .name = "weighed",
                                         .binds = binds,
                                         .scratch = scratch,
                                         .forward = forward,
                                         .facts = llama_weighed_facts};
