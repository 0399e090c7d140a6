/*
 * apply.c: chosen experts, grouped: rows that chose the same expert pass its matrices together.
 *
 *   pairs (row, route) sorted by expert, rows ascending -> gather x -> gate, up -> glu -> down ->
 *   each row adds its pairs in ascending order of expert: y = sum w_e d_e
 *
 * Items are (chosen expert, some panels), so matrices of experts that no row chose are not read.
 * Memory: per pair a gathered input, two inner rows and an output, in scratch.
 */
#include "blocks/moe/impl.h"

#include <assert.h>
#include <string.h>

/* One row as gemm reads it: prepared, or copied where rows are read as they are. */
static void put_row(const moe_job *job, const float *x, const zoo_weight *w, unsigned char *out)
{
    const zoo_gemm_slots *slots = &job->ctx->kernels->gemm[w->kind];
    if (slots->prepared_size(w->cols, w->group)) {
        slots->prepare(x, w->cols, 1, w, out);
    } else {
        memcpy(out, x, w->cols * sizeof(float));
    }
}

static size_t row_size(const moe_job *job, const zoo_weight *w)
{
    size_t size = job->ctx->kernels->gemm[w->kind].prepared_size(w->cols, w->group);
    assert(size <= zoo_prepared_bound(w->cols));
    return size ? size : w->cols * sizeof(float);
}

static void gather_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const moe_job *job = arg;
    const zoo_experts *e = job->experts;
    float *tmp = job->buffers.tmp + (size_t)worker * zoo_moe_tmp_width(e);
    for (uint32_t pair = begin; pair < end; pair++) {
        uint32_t route = job->buffers.route[pair];
        const float *x = job->x + (size_t)(route / job->routes->top_k) * e->width_in;
        if (e->weigh_input) {
            job->ctx->kernels->scale(job->routes->weight[route], x, tmp, e->width_in);
            x = tmp;
        }
        put_row(job, x, job->weights->up, job->buffers.x + pair * job->x_size);
    }
}

/* Panels of one matrix for the rows of one group. */
static void run_gemm(const moe_job *job, const moe_group *g, uint32_t chunk, const zoo_weight *w,
                     const float *bias, float *y)
{
    const zoo_gemm_slots *slots = &job->ctx->kernels->gemm[w->kind];
    bool down = y == job->buffers.down;
    size_t size = down ? job->h_size : job->x_size;
    uint32_t n_panels = (w->rows + ZOO_PANEL - 1) / ZOO_PANEL;
    uint32_t end = (chunk + 1) * job->panels;
    bool prepared = slots->prepared_size(w->cols, w->group) != 0;
    zoo_gemm gemm = {.weight = w,
                     .x = (down ? job->buffers.h : job->buffers.x) + g->begin * size,
                     .x_stride = prepared ? size : size / sizeof(float),
                     .y = y + (size_t)g->begin * w->rows,
                     .y_stride = w->rows,
                     .bias = bias ? bias + (size_t)g->expert * w->rows : NULL,
                     .n_rows = g->n,
                     .panel_begin = chunk * job->panels,
                     .panel_end = end < n_panels ? end : n_panels};
    slots->gemm(&gemm);
}

static void in_item(void *arg, uint32_t item, uint32_t worker)
{
    const moe_job *job = arg;
    const moe_group *g = &job->buffers.groups[item / job->n_chunks];
    const zoo_expert_weights *w = job->weights;
    uint32_t chunk = item % job->n_chunks;
    (void)worker;
    run_gemm(job, g, chunk, &w->up[g->expert], w->up_bias, job->buffers.up);
    if (job->experts->gated) {
        run_gemm(job, g, chunk, &w->gate[g->expert], w->gate_bias, job->buffers.gate);
    }
}

static void down_item(void *arg, uint32_t item, uint32_t worker)
{
    const moe_job *job = arg;
    const moe_group *g = &job->buffers.groups[item / job->n_chunks];
    const zoo_expert_weights *w = job->weights;
    (void)worker;
    run_gemm(job, g, item % job->n_chunks, &w->down[g->expert], w->down_bias, job->buffers.down);
}

static void inner_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const moe_job *job = arg;
    const zoo_experts *e = job->experts;
    const zoo_kernels *k = job->ctx->kernels;
    float *tmp = job->buffers.tmp + (size_t)worker * zoo_moe_tmp_width(e);
    for (uint32_t pair = begin; pair < end; pair++) {
        float *gate = job->buffers.gate + (size_t)pair * e->width;
        if (e->gated) {
            zoo_glu_run(k, &e->glu, gate, job->buffers.up + (size_t)pair * e->width, tmp, e->width);
        } else {
            k->act((zoo_act)e->glu.act, gate, gate, e->width);
        }
        put_row(job, gate, job->weights->down, job->buffers.h + pair * job->h_size);
    }
}

static void norm_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const moe_job *job = arg;
    const zoo_experts *e = job->experts;
    float *first = job->buffers.down + (size_t)begin * e->width_out;
    zoo_norm_args norm = {.x = first,
                          .y = first,
                          .x_stride = e->width_out,
                          .y_stride = e->width_out,
                          .n_rows = end - begin,
                          .width = e->width_out,
                          .eps = e->out_eps};
    (void)worker;
    for (uint32_t pair = begin; pair < end; pair++) {
        float *d = job->buffers.down + (size_t)pair * e->width_out;
        job->ctx->kernels->mul(d, job->weights->out_norm, d, e->width_out);
    }
    zoo_norm_run(job->ctx->kernels, ZOO_NORM_RMS, norm);
}

static void sum_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const moe_job *job = arg;
    const zoo_experts *e = job->experts;
    const zoo_routes *r = job->routes;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *y = job->y + (size_t)row * e->width_out;
        memset(y, 0, e->width_out * sizeof(float));
        for (uint32_t i = row * r->top_k; i < (row + 1) * r->top_k; i++) {
            bool real = r->idx[i] < e->n;
            const float *d = real ? job->buffers.down + (size_t)job->buffers.place[i] * e->width_out
                                  : job->x + (size_t)row * e->width_in;
            float w = real && e->weigh_input ? 1.0f : r->weight[i];
            job->ctx->kernels->axpy(w, d, y, e->width_out);
        }
    }
}

/* Chooses how `rows` outputs are split and runs fn over (group, chunk). */
static void run_items(moe_job *job, uint32_t rows, zoo_task *fn)
{
    uint32_t n_panels = (rows + ZOO_PANEL - 1) / ZOO_PANEL;
    uint32_t target = n_panels * job->n_groups / (job->ctx->n_threads * 4) + 1;
    job->panels = target < 8 ? target : 8;
    job->n_chunks = (n_panels + job->panels - 1) / job->panels;
    job->ctx->parallel(job->ctx, job->n_groups * job->n_chunks, fn, job);
}

void zoo_moe_apply(zoo_ctx *ctx, const zoo_experts *experts, const zoo_expert_weights *weights,
                   const zoo_routes *routes, const float *x, float *y)
{
    zoo_scratch_layout layout = {.ctx = ctx};
    moe_job job = {
        .ctx = ctx, .experts = experts, .weights = weights, .routes = routes, .x = x, .y = y};
    job.buffers = zoo_moe_layout(experts, routes->top_k, routes->n_rows, ctx->n_threads, &layout);
    job.x_size = row_size(&job, weights->up);
    job.h_size = row_size(&job, weights->down);
    uint32_t pairs = zoo_moe_sort(&job);
    if (pairs) {
        zoo_rows(ctx, pairs, (size_t)experts->width_in * 2, gather_range, &job);
        run_items(&job, experts->width, in_item);
        zoo_rows(ctx, pairs, (size_t)experts->width * 4, inner_range, &job);
        run_items(&job, experts->width_out, down_item);
    }
    if (pairs && experts->out_norm) {
        zoo_rows(ctx, pairs, (size_t)experts->width_out * 4, norm_range, &job);
    }
    zoo_rows(ctx, routes->n_rows, (size_t)experts->width_out * routes->top_k, sum_range, &job);
}
