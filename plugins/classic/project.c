/*
 * project.c: y = act(W x + b), between an embedding of another width and the layers, or between
 * these and the head. Bias and activation are optional.
 *
 * Tensors: weight [rows, cols], bias [rows]. Memory: what zoo_linear takes.
 */
#include "classic.h"

typedef struct weights {
    zoo_weight matrix;
    const float *bias;
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, matrix, ZOO_BIND_MATRIX, 0, "weight", classic_project, rows,
             ZOO_AT(classic_project, cols), ZOO_NONE),
    ZOO_BIND(weights, bias, ZOO_BIND_VECTOR, 0, "bias", classic_project, rows, ZOO_NONE,
             ZOO_AT(classic_project, bias)),
    {.name = NULL},
};

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const classic_project *p = params;
    return zoo_linear_scratch(p->cols, limits->rows_max);
}

typedef struct job {
    const classic_project *params;
    const zoo_kernels *kernels;
    float *y;
} job;

static void activate(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    float *y = j->y + (size_t)begin * j->params->rows;
    (void)worker;
    j->kernels->act((zoo_act)j->params->act, y, y, (size_t)(end - begin) * j->params->rows);
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const classic_project *p = params;
    const weights *w = own;
    const zoo_proj proj = {&w->matrix, w->bias, y, 0};
    job j = {p, ctx->kernels, y};
    (void)cache;
    zoo_linear(ctx, &proj, 1, x, p->cols, span->n_rows);
    if (p->activated) {
        zoo_rows(ctx, span->n_rows, (size_t)p->rows * 8, activate, &j);
    }
}

static void explain(const void *params, char *text, size_t n)
{
    const classic_project *p = params;
    (void)snprintf(text, n, "linear %u -> %u%s%s", p->cols, p->rows, p->activated ? ", " : "",
                   p->activated ? zoo_act_name(p->act) : "");
}

const zoo_block_ops classic_project_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "project",
    .binds = binds,
    .scratch = scratch,
    .forward = forward,
    .explain = explain,
    .facts = classic_project_facts,
};
