/*
 * positions.c: y = x + table[position + offset].
 *
 * The table is stored (tensor weight [rows, width]), or computed: the first half of a row is
 * sin(p f_i), the second cos(p f_i), p = position + offset, f_i = 10000^(-i / (n_freq - 1)), an odd
 * last column 0. f and p f are float32, as the reference computes them.
 *
 * Memory: a row for each thread. What it will not do: positions beyond a stored table; the plan
 * bounds the context by it, and loading refuses a longer one.
 */
#include <math.h>
#include <string.h>

#include "classic.h"

typedef struct weights {
    zoo_table table;
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, table, ZOO_BIND_TABLE, 0, "weight", classic_positions, rows,
             ZOO_AT(classic_positions, width), ZOO_AT(classic_positions, learned)),
    {.name = NULL},
};

static float *lay_out(const classic_positions *p, uint32_t n_threads, zoo_scratch_layout *layout)
{
    return zoo_scratch_layout_floats(layout, n_threads, p->width);
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    zoo_scratch_layout layout = {0};
    (void)lay_out(params, limits->n_threads, &layout);
    return layout.used;
}

static zoo_status prepare(const void *params, void *own, zoo_setup *setup, zoo_error *err)
{
    const classic_positions *p = params;
    (void)own;
    if (p->learned && setup->limits->context_max > p->rows - p->offset) {
        return zoo_fail(err, ZOO_E_LIMIT, "positions: a context of %u, but the model has %u",
                        setup->limits->context_max, p->rows - p->offset);
    }
    return ZOO_OK;
}

typedef struct job {
    const classic_positions *params;
    const weights *weights;
    const zoo_kernels *kernels;
    const zoo_span *span;
    const float *x;
    float *y, *rows; /* rows [n_threads, width] */
} job;

static void compute_row(const classic_positions *p, uint32_t row, float *out)
{
    memset(out, 0, p->width * sizeof *out);
    for (uint32_t i = 0; row != p->padding_row && i < p->n_freq; i++) {
        float angle = (float)row * p->freq[i];
        out[i] = (float)sin((double)angle);
        out[p->n_freq + i] = (float)cos((double)angle);
    }
}

static void add_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    const classic_positions *p = j->params;
    float *row = j->rows + (size_t)worker * p->width;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t at = j->span->pos[i] + p->offset;
        if (p->learned) {
            j->weights->table.read(&j->weights->table, at < p->rows ? at : p->rows - 1, row);
        } else {
            compute_row(p, at, row);
        }
        j->kernels->add(j->x + (size_t)i * p->width, row, j->y + (size_t)i * p->width, p->width);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const classic_positions *p = params;
    zoo_scratch_layout layout = {.ctx = ctx};
    job j = {p, own, ctx->kernels, span, x, y, lay_out(p, ctx->n_threads, &layout)};
    (void)cache;
    zoo_rows(ctx, span->n_rows, (size_t)p->width * (p->learned ? 2 : 64), add_range, &j);
}

static void explain(const void *params, char *text, size_t n)
{
    const classic_positions *p = params;
    (void)snprintf(text, n, "%s positions %u + %u [%u]", p->learned ? "learned" : "sinusoidal",
                   p->rows - p->offset, p->offset, p->width);
}

const zoo_block_ops classic_positions_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "positions",
    .binds = binds,
    .scratch = scratch,
    .prepare = prepare,
    .forward = forward,
    .explain = explain,
    .facts = classic_positions_facts,
};
