/*
 * streams_ends.c: the mixing of streams before a block, and where they end: the last layer's
 * streams become one row (formulas: streams.h). They begin as in blocks/hyper.
 */
#include <string.h>

#include "blocks/rows.h"
#include "streams.h"

hybrid_mix_rows hybrid_mix_take(const hybrid_streams *p, uint32_t n_rows,
                                zoo_scratch_layout *layout)
{
    return (hybrid_mix_rows){.normed = zoo_scratch_layout_floats(layout, n_rows, p->flat),
                             .gate = zoo_scratch_layout_floats(layout, n_rows, p->flat),
                             .low = zoo_scratch_layout_floats(layout, n_rows, p->rank),
                             .inject = zoo_scratch_layout_floats(layout, n_rows, p->n)};
}

size_t hybrid_mix_scratch(const hybrid_streams *p, uint32_t n_rows)
{
    return 2 * (zoo_linear_scratch(p->flat, n_rows) + zoo_linear_scratch(p->rank, n_rows));
}

void hybrid_group_norm(zoo_ctx *ctx, const hybrid_streams *p, const float *weight, const float *x,
                       float *y, uint32_t n_rows)
{
    for (uint32_t i = 0; i < p->n; i++) {
        size_t at = (size_t)i * p->hidden;
        zoo_norm_rows(ctx, ZOO_NORM_RMS_PLUS_ONE,
                      (zoo_norm_args){.x = x + at,
                                      .y = y + at,
                                      .weight = weight + at,
                                      .x_stride = p->flat,
                                      .y_stride = p->flat,
                                      .n_rows = n_rows,
                                      .width = p->hidden,
                                      .eps = p->eps});
    }
}

typedef struct mix_job {
    const zoo_kernels *kernels;
    const hybrid_streams *params;
    const hybrid_mix_rows *rows;
    float *x;
} mix_job;

static void mean_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const mix_job *job = arg;
    const hybrid_streams *p = job->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *gate = job->rows->gate + (size_t)row * p->flat;
        float *x = job->x + (size_t)row * p->hidden;
        job->kernels->act_mul(ZOO_ACT_SIGMOID, gate, job->rows->normed + (size_t)row * p->flat,
                              gate, p->flat);
        memcpy(x, gate, p->hidden * sizeof *x);
        for (uint32_t i = 1; i < p->n; i++) {
            job->kernels->add(x, gate + (size_t)i * p->hidden, x, p->hidden);
        }
        job->kernels->scale(1.0f / (float)p->n, x, x, p->hidden);
    }
}

void hybrid_mix_run(zoo_ctx *ctx, const hybrid_streams *p, const hybrid_mix *w,
                    const hybrid_mix_rows *rows, const float *streams, float *x, uint32_t n_rows)
{
    const zoo_proj in[] = {{&w->down, NULL, rows->low, 0}, {&w->inject, NULL, rows->inject, 0}};
    const zoo_proj up = {&w->up, NULL, rows->gate, 0};
    mix_job job = {ctx->kernels, p, rows, x};
    float part = 1.0f / (float)p->n;
    hybrid_group_norm(ctx, p, w->norm, streams, rows->normed, n_rows);
    zoo_linear(ctx, in, 2, rows->normed, p->flat, n_rows);
    zoo_scale_rows(ctx, part, rows->low, n_rows, p->rank);
    zoo_act_rows(ctx, ZOO_ACT_SILU, rows->low, rows->low, n_rows, p->rank);
    zoo_linear(ctx, &up, 1, rows->low, p->rank, n_rows);
    zoo_rows(ctx, n_rows, (size_t)4 * p->flat, mean_rows, &job);
    if (w->inject.rows) {
        zoo_scale_rows(ctx, part, rows->inject, n_rows, p->n);
        zoo_act_rows(ctx, ZOO_ACT_SIGMOID, rows->inject, rows->inject, n_rows, p->n);
        zoo_scale_rows(ctx, 2.0f, rows->inject, n_rows, p->n);
    }
}

#define ZOO_ROW_WEIGHTS hybrid_mix
#define ZOO_ROW_PARAMS  hybrid_streams

static const zoo_bind gather_binds[] = {
    ZOO_ROW_VECTOR(norm, "hc_norm.weight", flat, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(down, "input_mix_weight_down.weight", 0, rank, flat, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(up, "input_mix_weight_up.weight", 0, flat, rank, ZOO_NONE, ZOO_NONE),
    {0}};

static size_t gather_scratch(const void *params, const zoo_limits *limits)
{
    zoo_scratch_layout layout = {0};
    (void)hybrid_mix_take(params, limits->rows_max, &layout);
    return layout.used + hybrid_mix_scratch(params, limits->rows_max);
}

static void gather_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                           const float *x, float *y, const zoo_span *span)
{
    zoo_scratch_layout layout = {.ctx = ctx};
    const hybrid_mix_rows rows = hybrid_mix_take(params, span->n_rows, &layout);
    (void)cache;
    hybrid_mix_run(ctx, params, weights, &rows, x, y, span->n_rows);
}

static void gather_explain(const void *params, char *text, size_t n)
{
    const hybrid_streams *p = params;
    (void)snprintf(text, n, "%u residual streams become one, each element with a gate", p->n);
}

void hybrid_gather_facts(const void *params, const zoo_facts *to)
{
    const hybrid_streams *p = params;
    to->text(to, "kind", "mean of residual streams");
    to->number(to, "streams", p->n);
    to->number(to, "gate_rank", p->rank);
}

const zoo_block_ops hybrid_gather_ops = {.size = sizeof(zoo_block_ops),
                                         .weights_size = sizeof(hybrid_mix),
                                         .name = "gather",
                                         .binds = gather_binds,
                                         .scratch = gather_scratch,
                                         .forward = gather_forward,
                                         .explain = gather_explain,
                                         .facts = hybrid_gather_facts};
