/*
 * mla_heads.c: a matrix for each head: y[row, h] = W_h x[row, h].
 *
 * Items are (head, up to MLA_TILE rows); a row's sums are never cut. Each worker prepares its own
 * rows where the weight kind wants that.
 */
#include "mla_impl.h"

typedef struct heads_job {
    const mla_step *step;
    const mla_heads *heads;
    uint32_t n_rows, n_tiles;
} heads_job;

size_t zoo_mla_heads_size(const zoo_mla *p)
{
    uint32_t cols = p->kv_lora > p->nope ? p->kv_lora : p->nope;
    return MLA_TILE * zoo_prepared_bound(cols);
}

static void heads_item(void *arg, uint32_t item, uint32_t worker)
{
    const heads_job *job = arg;
    const mla_heads *h = job->heads;
    const mla_room *room = &job->step->room;
    uint32_t head = item / job->n_tiles, row = item % job->n_tiles * MLA_TILE;
    uint32_t left = job->n_rows - row;
    const zoo_weight *w = &h->weights[head];
    const zoo_gemm_slots *slots = &job->step->ctx->kernels->gemm[w->kind];
    size_t size = slots->prepared_size(w->cols, w->group);
    zoo_gemm gemm = {.weight = w,
                     .x = h->x + row * h->x_row + head * h->x_head,
                     .x_stride = h->x_row,
                     .y = h->y + row * h->y_row + head * h->y_head,
                     .y_stride = h->y_row,
                     .n_rows = left < MLA_TILE ? left : MLA_TILE,
                     .panel_end = (w->rows + ZOO_PANEL - 1) / ZOO_PANEL};
    if (size) {
        unsigned char *prepared = room->prepared + worker * room->prepared_size;
        slots->prepare(gemm.x, h->x_row, gemm.n_rows, w, prepared);
        gemm.x = prepared;
        gemm.x_stride = size;
    }
    slots->gemm(&gemm);
}

void zoo_mla_heads_run(mla_step *step, const mla_heads *heads)
{
    heads_job job = {step, heads, step->span->n_rows, 0};
    job.n_tiles = (job.n_rows + MLA_TILE - 1) / MLA_TILE;
    step->ctx->parallel(step->ctx, step->params->n_heads * job.n_tiles, heads_item, &job);
}
