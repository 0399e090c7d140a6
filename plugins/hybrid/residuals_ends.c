/*
 * residuals_ends.c: the attention over residuals itself, and where a model with it begins and ends:
 * a token's embedding gets room for those that will be kept, the last layer's rows become one
 * (formulas and tensors: residuals.h). Memory: two numbers for each residual and row.
 */
#include <math.h>
#include <string.h>

#include "blocks/rows.h"
#include "residuals.h"

static const float eps = 1e-6f; /* of the class, whatever the config says */

typedef struct mix_job {
    const zoo_kernels *kernels;
    const hybrid_residual_mix *mix;
} mix_job;

static const float *source(const hybrid_residual_mix *m, uint32_t row, uint32_t i)
{
    return i < m->n_kept ? m->rows + row * m->stride + ((size_t)i + 1) * m->hidden
                         : m->last + row * m->last_stride;
}

static void mix_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const mix_job *job = arg;
    const hybrid_residual_mix *m = job->mix;
    uint32_t n = m->n_kept + 1;
    float width = (float)m->hidden;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *score = m->scores + (size_t)row * 2 * n, *size = score + n;
        float *y = m->y + (size_t)row * m->hidden;
        for (uint32_t i = 0; i < n; i++) {
            const float *x = source(m, row, i);
            size[i] = 1.0f / sqrtf(job->kernels->dot(x, x, m->hidden) / width + eps);
            score[i] = size[i] * job->kernels->dot(m->query, x, m->hidden) / sqrtf(width);
        }
        job->kernels->softmax(score, score, n);
        memset(y, 0, m->hidden * sizeof *y);
        for (uint32_t i = 0; i < n; i++) {
            job->kernels->axpy(score[i] * size[i], source(m, row, i), y, m->hidden);
        }
    }
}

void hybrid_residual_mix_run(zoo_ctx *ctx, const hybrid_residual_mix *mix, uint32_t n_rows)
{
    mix_job job = {ctx->kernels, mix};
    zoo_rows(ctx, n_rows, (size_t)mix->hidden * 3 * (mix->n_kept + 1), mix_range, &job);
}

static void first_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                          const float *x, float *y, const zoo_span *span)
{
    const hybrid_residuals *p = params;
    (void)ctx;
    (void)weights;
    (void)cache;
    memset(y, 0, (size_t)span->n_rows * p->flat * sizeof *y);
    for (uint32_t row = 0; row < span->n_rows; row++) {
        memcpy(y + (size_t)row * p->flat, x + (size_t)row * p->hidden, p->hidden * sizeof *y);
    }
}

static void first_facts(const void *params, const zoo_facts *to)
{
    const hybrid_residuals *p = params;
    to->text(to, "kind", "room for residuals");
    to->number(to, "kept", p->flat / p->hidden - 1);
}

typedef struct last_weights {
    const float *query;
} last_weights;

#define ZOO_ROW_WEIGHTS last_weights
#define ZOO_ROW_PARAMS  hybrid_residuals

static const zoo_bind last_binds[] = {ZOO_ROW_VECTOR(query, "query", hidden, ZOO_NONE, ZOO_NONE),
                                      {0}};

static size_t last_scratch(const void *params, const zoo_limits *limits)
{
    const hybrid_residuals *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, 2 * (p->n_kept + 1));
    return layout.used;
}

static void last_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                         const float *x, float *y, const zoo_span *span)
{
    const hybrid_residuals *p = params;
    const last_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *scores = zoo_scratch_layout_floats(&layout, span->n_rows, 2 * (p->n_kept + 1));
    const hybrid_residual_mix mix = {w->query, x,       x,         y,        scores,
                                     p->flat,  p->flat, p->hidden, p->n_kept};
    (void)cache;
    hybrid_residual_mix_run(ctx, &mix, span->n_rows);
}

static void last_explain(const void *params, char *text, size_t n)
{
    const hybrid_residuals *p = params;
    (void)snprintf(text, n, "an attention over the last residual and %u earlier ones", p->n_kept);
}

static void last_facts(const void *params, const zoo_facts *to)
{
    const hybrid_residuals *p = params;
    to->text(to, "kind", "attention over residuals");
    to->number(to, "kept", p->n_kept);
}

const zoo_block_ops hybrid_residuals_first_ops = {.size = sizeof(zoo_block_ops),
                                                  .name = "residuals_first",
                                                  .forward = first_forward,
                                                  .facts = first_facts};

const zoo_block_ops hybrid_residuals_last_ops = {.size = sizeof(zoo_block_ops),
                                                 .weights_size = sizeof(last_weights),
                                                 .name = "residuals_last",
                                                 .binds = last_binds,
                                                 .scratch = last_scratch,
                                                 .forward = last_forward,
                                                 .explain = last_explain,
                                                 .facts = last_facts};
