/*
 * project.c: y = W x, between an embedding of another width and the layers.
 *
 * Tensors: weight [rows, cols]. Memory: what zoo_linear takes.
 */
#include "classic.h"

typedef struct weights {
    zoo_weight matrix;
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, matrix, ZOO_BIND_MATRIX, 0, "weight", classic_project, rows,
             ZOO_AT(classic_project, cols), ZOO_NONE),
    {.name = NULL},
};

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const classic_project *p = params;
    return zoo_linear_scratch(p->cols, limits->rows_max);
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const classic_project *p = params;
    const weights *w = own;
    const zoo_proj proj = {&w->matrix, NULL, y, 0};
    (void)cache;
    zoo_linear(ctx, &proj, 1, x, p->cols, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const classic_project *p = params;
    (void)snprintf(text, n, "linear %u -> %u", p->cols, p->rows);
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
