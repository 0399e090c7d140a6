/*
 * ops.c: linear maps, row loops and elementwise helpers over a zoo_ctx.
 *
 * A linear map is split into items of some panels of one matrix and some rows; the sum over inputs
 * is never split. Scratch holds only the prepared rows. It knows nothing of models or layers.
 */
#include "blocks/ops.h"

#include <assert.h>
#include <string.h>

enum {
    ROWS_TILE = 64,     /* rows of one item of a linear map */
    PANELS_MAX = 16,    /* panels of one item */
    KINDS_MAX = 2,      /* prepared forms of one zoo_linear call */
    ITEM_COST = 1 << 14 /* floats below which a parallel item does not pay */
};

size_t zoo_prepared_bound(uint32_t cols)
{
    return ((size_t)cols * 4 + 256 + 63) & ~(size_t)63;
}

size_t zoo_linear_scratch(uint32_t cols, uint32_t n_rows)
{
    return KINDS_MAX * ((size_t)n_rows * zoo_prepared_bound(cols) + 64);
}

typedef struct rows_job {
    zoo_rows_fn *fn;
    void *arg;
    uint32_t n_rows, grain;
} rows_job;

static void rows_item(void *arg, uint32_t item, uint32_t worker)
{
    const rows_job *job = arg;
    uint32_t begin = item * job->grain;
    uint32_t left = job->n_rows - begin;
    job->fn(job->arg, begin, begin + (left < job->grain ? left : job->grain), worker);
}

void zoo_rows(zoo_ctx *ctx, uint32_t n_rows, size_t row_cost, zoo_rows_fn *fn, void *arg)
{
    size_t grain = ITEM_COST / (row_cost + 1) + 1;
    if (ctx->n_threads == 1 || grain >= n_rows) {
        if (n_rows) {
            fn(arg, 0, n_rows, 0);
        }
        return;
    }
    rows_job job = {fn, arg, n_rows, (uint32_t)grain};
    ctx->parallel(ctx, (n_rows + job.grain - 1) / job.grain, rows_item, &job);
}

void zoo_items(zoo_ctx *ctx, uint32_t n_items, size_t item_cost, zoo_task *fn, void *arg)
{
    if (ctx->n_threads > 1 && n_items > 1 && item_cost * n_items > ITEM_COST) {
        ctx->parallel(ctx, n_items, fn, arg);
        return;
    }
    for (uint32_t i = 0; i < n_items; i++) {
        fn(arg, i, 0);
    }
}

/* Rows of one prepared form. */
typedef struct prepare_job {
    const zoo_gemm_slots *slots;
    const zoo_weight *weight;
    const float *x;
    unsigned char *out;
    size_t x_stride, size;
} prepare_job;

static void prepare_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const prepare_job *job = arg;
    (void)worker;
    job->slots->prepare(job->x + begin * job->x_stride, job->x_stride, end - begin, job->weight,
                        job->out + begin * job->size);
}

typedef struct linear_job {
    const zoo_kernels *kernels;
    const zoo_proj *proj;
    uint32_t n_proj, n_rows, n_row_tiles;
    uint32_t panels[ZOO_PROJ_MAX]; /* of one item */
    uint32_t first[ZOO_PROJ_MAX + 1];
    uint32_t n_threads;
    const void *x[ZOO_PROJ_MAX];
    size_t x_stride[ZOO_PROJ_MAX];
    bool prepared[ZOO_PROJ_MAX];
    unsigned char *scratch; /* for the next prepared form, or null: to be taken */
} linear_job;

static void *take_prepared(zoo_ctx *ctx, linear_job *job, size_t n)
{
    unsigned char *at = job->scratch;
    if (!at) {
        return ctx->take(ctx, n);
    }
    job->scratch += (n + 63u) & ~(size_t)63u;
    return at;
}

/* Few rows: consecutive items of a thread get neighbouring panels, so that what a kernel prefetches
 * is what its thread computes next. */
static uint32_t spread_item(const linear_job *job, uint32_t n)
{
    uint32_t n_items = job->first[job->n_proj], threads = job->n_threads;
    uint32_t each = n_items / threads, more = n_items % threads, thread = n % threads;
    return thread * each + (thread < more ? thread : more) + n / threads;
}

static void linear_item(void *arg, uint32_t n, uint32_t worker)
{
    const linear_job *job = arg;
    uint32_t i = 0, item = job->n_row_tiles == 1 ? spread_item(job, n) : n;
    (void)worker;
    while (item >= job->first[i + 1]) {
        i++;
    }
    const zoo_proj *p = &job->proj[i];
    uint32_t n_panels = (p->weight->rows + ZOO_PANEL - 1) / ZOO_PANEL;
    uint32_t chunk = (item - job->first[i]) / job->n_row_tiles;
    uint32_t row = (item - job->first[i]) % job->n_row_tiles * ROWS_TILE;
    uint32_t rows_left = job->n_rows - row;
    uint32_t end = (chunk + 1) * job->panels[i];
    size_t y_stride = p->y_stride ? p->y_stride : p->weight->rows;
    size_t x_bytes = job->x_stride[i] * (job->prepared[i] ? 1 : sizeof(float));
    zoo_gemm gemm = {.weight = p->weight,
                     .x = (const unsigned char *)job->x[i] + row * x_bytes,
                     .x_stride = job->x_stride[i],
                     .y = p->y + row * y_stride,
                     .y_stride = y_stride,
                     .bias = p->bias,
                     .n_rows = rows_left < ROWS_TILE ? rows_left : ROWS_TILE,
                     .panel_begin = chunk * job->panels[i],
                     .panel_end = end < n_panels ? end : n_panels};
    job->kernels->gemm[p->weight->kind].gemm(&gemm);
}

/* Gives matrix i its prepared rows: those of an earlier matrix that reads the same, or new ones. */
static void linear_prepare(zoo_ctx *ctx, linear_job *job, uint32_t i, const float *x,
                           size_t x_stride)
{
    const zoo_weight *w = job->proj[i].weight;
    const zoo_gemm_slots *slots = &ctx->kernels->gemm[w->kind];
    size_t size = slots->prepared_size(w->cols, w->group);
    job->x[i] = x;
    job->x_stride[i] = size ? size : x_stride;
    job->prepared[i] = size != 0;
    if (!size) {
        return;
    }
    assert(size <= zoo_prepared_bound(w->cols));
    for (uint32_t j = 0; j < i; j++) {
        const zoo_weight *other = job->proj[j].weight;
        if (other->rows && other->kind == w->kind && other->group == w->group &&
            other->order == w->order) {
            job->x[i] = job->x[j];
            return;
        }
    }
    prepare_job prepare = {slots,    w,   x, take_prepared(ctx, job, job->n_rows * size),
                           x_stride, size};
    job->x[i] = prepare.out;
    zoo_rows(ctx, job->n_rows, (size_t)w->cols * 4, prepare_rows, &prepare);
}

void zoo_linear_in(zoo_ctx *ctx, const zoo_proj *proj, uint32_t n_proj, const float *x,
                   size_t x_stride, uint32_t n_rows, void *scratch)
{
    linear_job job = {.kernels = ctx->kernels,
                      .n_threads = ctx->n_threads,
                      .proj = proj,
                      .n_proj = n_proj,
                      .n_rows = n_rows,
                      .scratch = scratch};
    uint32_t n_panels = 0;
    assert(n_proj <= ZOO_PROJ_MAX);
    job.n_row_tiles = (n_rows + ROWS_TILE - 1) / ROWS_TILE;
    for (uint32_t i = 0; i < n_proj; i++) {
        n_panels += (proj[i].weight->rows + ZOO_PANEL - 1) / ZOO_PANEL;
    }
    uint32_t target = n_panels * job.n_row_tiles / (ctx->n_threads * 4) + 1;
    for (uint32_t i = 0; i < n_proj; i++) {
        uint32_t panels = (proj[i].weight->rows + ZOO_PANEL - 1) / ZOO_PANEL;
        job.panels[i] = target < PANELS_MAX ? target : PANELS_MAX;
        job.first[i + 1] =
            job.first[i] + (panels + job.panels[i] - 1) / job.panels[i] * job.n_row_tiles;
        if (panels) {
            linear_prepare(ctx, &job, i, x, x_stride);
        }
    }
    size_t row_tile = n_rows < ROWS_TILE ? n_rows : ROWS_TILE;
    size_t cost = (size_t)job.panels[0] * ZOO_PANEL * proj[0].weight->cols * row_tile;
    zoo_items(ctx, job.first[n_proj], cost, linear_item, &job);
}
