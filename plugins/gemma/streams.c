/*
 * streams.c: from one residual stream to several and back.
 *
 *   begin: h_0 = x;  h_i = W_i x * rms(x) / rms(W_i x)
 *   end:   out = mean(h_0, W'_i h_i * rms(h_0) / rms(W'_i h_i))
 *
 * A row holds its streams side by side, [n_streams, H]. Tensors: altup_projections.<i>,
 * altup_unembed_projections.<i> [H, H].
 */
#include <math.h>
#include <string.h>

#include "gemma.h"

typedef struct weights {
    const zoo_weight *projections; /* [n_streams - 1] */
} weights;

#define PROJECTIONS(name_)                                                                         \
    {                                                                                              \
        {.name = name_ ".%u.weight",                                                               \
         .kind = ZOO_BIND_EXPERTS,                                                                 \
         .field = (uint32_t)offsetof(weights, projections),                                        \
         .rows = ZOO_AT(gemma_streams, hidden),                                                    \
         .cols = ZOO_AT(gemma_streams, hidden),                                                    \
         .experts = ZOO_AT(gemma_streams, n_others),                                               \
         .map = ZOO_NONE,                                                                          \
         .when = ZOO_NONE},                                                                        \
            {.name = NULL},                                                                        \
    }

static const zoo_bind begin_binds[] = PROJECTIONS("altup_projections");
static const zoo_bind end_binds[] = PROJECTIONS("altup_unembed_projections");

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const gemma_streams *p = params;
    return zoo_linear_scratch(p->hidden, limits->rows_max) +
           ((size_t)limits->rows_max * p->hidden + 64) * sizeof(float);
}

/* Scales y to the root mean square of x. */
static void match(const zoo_kernels *k, const float *x, float *y, uint32_t n)
{
    float want = sqrtf(k->dot(x, x, n) / (float)n);
    float have = k->dot(y, y, n) / (float)n;
    k->scale(want / sqrtf(have > 1e-5f ? have : 1e-5f), y, y, n);
}

static void begin(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                  const float *x, float *y, const zoo_span *span)
{
    const gemma_streams *p = params;
    const weights *w = own;
    size_t wide = (size_t)p->n_streams * p->hidden;
    (void)cache;
    for (uint32_t i = 0; i < p->n_others; i++) {
        const zoo_proj projection = {&w->projections[i], NULL, y + (size_t)(i + 1) * p->hidden,
                                     wide};
        zoo_linear(ctx, &projection, 1, x, p->hidden, span->n_rows);
    }
    for (uint32_t row = 0; row < span->n_rows; row++) {
        const float *from = x + (size_t)row * p->hidden;
        memcpy(y + row * wide, from, p->hidden * sizeof(float));
        for (uint32_t i = 1; i < p->n_streams; i++) {
            match(ctx->kernels, from, y + row * wide + (size_t)i * p->hidden, p->hidden);
        }
    }
}

static void end(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache, const float *x,
                float *y, const zoo_span *span)
{
    const gemma_streams *p = params;
    const weights *w = own;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *t = zoo_scratch_layout_floats(&layout, span->n_rows, p->hidden);
    size_t wide = (size_t)p->n_streams * p->hidden;
    (void)cache;
    for (uint32_t row = 0; row < span->n_rows; row++) {
        memcpy(y + (size_t)row * p->hidden, x + row * wide, p->hidden * sizeof(float));
    }
    for (uint32_t i = 0; i < p->n_others; i++) {
        const zoo_proj projection = {&w->projections[i], NULL, t, 0};
        zoo_linear(ctx, &projection, 1, x + (size_t)(i + 1) * p->hidden, wide, span->n_rows);
        for (uint32_t row = 0; row < span->n_rows; row++) {
            match(ctx->kernels, x + row * wide, t + (size_t)row * p->hidden, p->hidden);
        }
        zoo_add_rows(ctx, t, y, span->n_rows, p->hidden);
    }
    zoo_scale_rows(ctx, 1.0f / (float)p->n_streams, y, span->n_rows, p->hidden);
}

const zoo_block_ops gemma_streams_begin_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "streams_begin",
    .binds = begin_binds,
    .scratch = scratch,
    .forward = begin,
};

const zoo_block_ops gemma_streams_end_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "streams_end",
    .binds = end_binds,
    .scratch = scratch,
    .forward = end,
};
