/*
 * first_row.c: y = x + table[0]: embeddings of segments or tasks; text alone has the first.
 *
 * Tensors: weight [rows, width]. Memory: the row, kept with the weights.
 */
#include "classic.h"

typedef struct weights {
    zoo_table table;
    float *row; /* [width] */
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, table, ZOO_BIND_TABLE, 0, "weight", classic_first_row, rows,
             ZOO_AT(classic_first_row, width), ZOO_NONE),
    {.name = NULL},
};

static zoo_status prepare(const void *params, void *own, zoo_setup *setup, zoo_error *err)
{
    const classic_first_row *p = params;
    weights *w = own;
    w->row = setup->take(setup, p->width * sizeof(float));
    if (!w->row) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a row of %u", p->width);
    }
    w->table.read(&w->table, 0, w->row);
    return ZOO_OK;
}

typedef struct job {
    const zoo_kernels *kernels;
    const float *row, *x;
    float *y;
    uint32_t width;
} job;

static void add_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    (void)worker;
    for (uint32_t i = begin; i < end; i++) {
        size_t at = (size_t)i * j->width;
        j->kernels->add(j->x + at, j->row, j->y + at, j->width);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const classic_first_row *p = params;
    const weights *w = own;
    job j = {ctx->kernels, w->row, x, y, p->width};
    (void)cache;
    zoo_rows(ctx, span->n_rows, p->width, add_range, &j);
}

static void explain(const void *params, char *text, size_t n)
{
    const classic_first_row *p = params;
    (void)snprintf(text, n, "first of %u rows [%u], added to every token", p->rows, p->width);
}

const zoo_block_ops classic_first_row_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "first_row",
    .binds = binds,
    .prepare = prepare,
    .forward = forward,
    .explain = explain,
    .facts = classic_first_row_facts,
};
