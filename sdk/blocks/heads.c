/*
 * heads.c: a matrix for each head (heads.h).
 *
 * Items are (head, some rows). Each worker prepares its own rows where the weight kind needs it.
 */
#include "blocks/heads.h"

#include "blocks/ops.h"

enum { TILE = 64 }; /* rows of one item */

typedef struct heads_job {
    const zoo_kernels *kernels;
    const zoo_heads *heads;
    uint32_t n_tiles;
} heads_job;

size_t zoo_heads_size(uint32_t cols)
{
    return TILE * zoo_prepared_bound(cols);
}

static void heads_item(void *arg, uint32_t item, uint32_t worker)
{
    const heads_job *job = arg;
    const zoo_heads *h = job->heads;
    uint32_t head = item / job->n_tiles, row = item % job->n_tiles * TILE;
    uint32_t left = h->n_rows - row;
    const zoo_weight *w = &h->weights[head];
    const zoo_gemm_slots *slots = &job->kernels->gemm[w->kind];
    size_t size = slots->prepared_size(w->cols, w->group);
    const float *x = h->x + row * h->x_row + head * h->x_head;
    zoo_gemm gemm = {.weight = w,
                     .x = x,
                     .x_stride = h->x_row,
                     .y = h->y + row * h->y_row + head * h->y_head,
                     .y_stride = h->y_row,
                     .n_rows = left < TILE ? left : TILE,
                     .panel_end = (w->rows + ZOO_PANEL - 1) / ZOO_PANEL};
    if (size) {
        unsigned char *prepared = h->prepared + worker * h->prepared_size;
        slots->prepare(x, h->x_row, gemm.n_rows, w, prepared);
        gemm.x = prepared;
        gemm.x_stride = size;
    }
    slots->gemm(&gemm);
}

void zoo_heads_run(zoo_ctx *ctx, const zoo_heads *heads)
{
    heads_job job = {ctx->kernels, heads, (heads->n_rows + TILE - 1) / TILE};
    ctx->parallel(ctx, heads->n_heads * job.n_tiles, heads_item, &job);
}
