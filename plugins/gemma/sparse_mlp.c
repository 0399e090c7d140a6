/*
 * sparse_mlp.c: a gated mlp with sparse activations.
 *
 *   z = W_g x;  z = max(z - (mean z + cut * std z), 0) over the row's values
 *   y = W_d( act(z) * (W_u x) )
 *
 * Memory: gate and up rows [n_rows, width], a row of ones.
 */
#include <math.h>

#include "gemma.h"

typedef struct weights {
    zoo_weight gate, up, down;
} weights;

#define MATRIX(f, name, rows, cols)                                                                \
    ZOO_BIND(weights, f, ZOO_BIND_MATRIX, 0, name, gemma_sparse_mlp, rows,                         \
             ZOO_AT(gemma_sparse_mlp, cols), ZOO_NONE)

static const zoo_bind binds[] = {
    MATRIX(gate, "gate_proj.weight", width, hidden),
    MATRIX(up, "up_proj.weight", width, hidden),
    MATRIX(down, "down_proj.weight", hidden, width),
    {.name = NULL},
};

typedef struct buffers {
    float *gate, *up, *ones;
} buffers;

static buffers lay_out(const gemma_sparse_mlp *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    return (buffers){zoo_scratch_layout_floats(layout, n_rows, p->width),
                     zoo_scratch_layout_floats(layout, n_rows, p->width),
                     zoo_scratch_layout_floats(layout, 1, p->width)};
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const gemma_sparse_mlp *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(p->hidden, limits->rows_max) +
           zoo_linear_scratch(p->width, limits->rows_max);
}

typedef struct job {
    const gemma_sparse_mlp *params;
    const zoo_kernels *kernels;
    buffers b;
} job;

static void rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    const zoo_kernels *k = j->kernels;
    uint32_t width = j->params->width;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *z = j->b.gate + (size_t)row * width, *up = j->b.up + (size_t)row * width;
        float mean = k->dot(z, j->b.ones, width) / (float)width;
        k->axpy(-mean, j->b.ones, z, width);
        float deviation = sqrtf(k->dot(z, z, width) / (float)width);
        k->axpy(-j->params->cut * deviation, j->b.ones, z, width);
        k->act(ZOO_ACT_RELU, z, z, width);
        k->act_mul((zoo_act)j->params->act, z, up, z, width);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const gemma_sparse_mlp *p = params;
    const weights *w = own;
    zoo_scratch_layout layout = {.ctx = ctx};
    job j = {p, ctx->kernels, lay_out(p, span->n_rows, &layout)};
    const zoo_proj in[] = {{&w->gate, NULL, j.b.gate, 0}, {&w->up, NULL, j.b.up, 0}};
    const zoo_proj down = {&w->down, NULL, y, 0};
    (void)cache;
    for (uint32_t i = 0; i < p->width; i++) {
        j.b.ones[i] = 1.0f;
    }
    zoo_linear(ctx, in, 2, x, p->hidden, span->n_rows);
    zoo_rows(ctx, span->n_rows, (size_t)p->width * 8, rows, &j);
    zoo_linear(ctx, &down, 1, j.b.gate, p->width, span->n_rows);
}

const zoo_block_ops gemma_sparse_mlp_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "sparse_mlp",
    .binds = binds,
    .scratch = scratch,
    .forward = forward,
    .facts = gemma_sparse_mlp_facts,
};
