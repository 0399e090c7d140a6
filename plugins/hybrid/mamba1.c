/*
 * mamba1.c: the Mamba-1 mixer: a selective state space with a decay for each channel and place.
 *
 *   u, z = in_proj x;  u = act(conv(u));  dt, B, C = x_proj u, each normed where the release does
 *   dt = softplus(dt_proj dt + bias);  S[c, n] = exp(dt_c A[c, n]) S[c, n] + dt_c u_c B_n
 *   y_c = sum_n S[c, n] C_n + D_c u_c;  out_proj( y * silu(z) )
 *
 * With several heads each part of the channels has its own x_proj and dt_proj. Rows of a sequence
 * run one after the other; sequences and tiles of channels run side by side. Streams: STATE "conv"
 * [taps - 1, inner], STATE "scan" [inner, N]. Source: Gu and Dao, "Mamba" (2023).
 */
#include <math.h>

#include "mamba1.h"

enum { TILE = 64 }; /* channels of one item */

typedef struct mamba1_buffers {
    float *raw, *u, *z, *dt, *y; /* [n_rows, inner] */
    float *low;                  /* [heads, n_rows, R + 2 N] */
} mamba1_buffers;

static mamba1_buffers lay_out(const mamba1_params *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    mamba1_buffers r;
    r.raw = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    r.u = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    r.z = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    r.dt = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    r.y = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    r.low = zoo_scratch_layout_floats(layout, n_rows, (size_t)p->heads * p->x_rows);
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const mamba1_params *p = params;
    uint32_t n = limits->rows_max;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, n, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, n) + zoo_linear_scratch(p->inner, n) +
           p->heads * (zoo_linear_scratch(p->head_dim, n) + zoo_linear_scratch(p->rank, n));
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const mamba1_params *p = params;
    out[0] = hybrid_state("conv", (p->taps - 1) * p->inner);
    out[1] = hybrid_state("scan", p->inner * p->state_size);
    return 2;
}

typedef struct scan_job {
    zoo_ctx *ctx;
    const mamba1_params *params;
    const mamba1_weights *weights;
    zoo_cache *cache;
    const zoo_span *span;
    mamba1_buffers buffers;
} scan_job;

/* Norms of dt, B and C in one row of one head. */
static void norm_low(const scan_job *job, float *low)
{
    const mamba1_params *p = job->params;
    const mamba1_weights *w = job->weights;
    const float *const weights[] = {w->dt_norm, w->b_norm, w->c_norm};
    const uint32_t widths[] = {p->rank, p->state_size, p->state_size};
    for (uint32_t i = 0; i < ZOO_COUNT(widths); low += widths[i], i++) {
        zoo_norm_args args = {.x = low,
                              .y = low,
                              .weight = weights[i],
                              .n_rows = 1,
                              .width = widths[i],
                              .eps = p->norm_eps};
        zoo_norm_run(job->ctx->kernels, p->norm, args);
    }
}

static void norm_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const scan_job *job = arg;
    (void)worker;
    for (uint32_t i = begin; i < end; i++) {
        norm_low(job, job->buffers.low + (size_t)i * job->params->x_rows);
    }
}

/* Step sizes, B and C of every head. */
static void choose(scan_job *job)
{
    const mamba1_params *p = job->params;
    const mamba1_weights *w = job->weights;
    uint32_t n = job->span->n_rows;
    for (uint32_t h = 0; h < p->heads; h++) {
        size_t at = (size_t)h * p->head_dim;
        float *low = job->buffers.low + (size_t)h * n * p->x_rows;
        const zoo_proj x = {&w->x[h], NULL, low, 0};
        zoo_linear(job->ctx, &x, 1, job->buffers.u + at, p->inner, n);
        if (p->norm) {
            scan_job part = *job;
            part.buffers.low = low;
            zoo_rows(job->ctx, n, p->x_rows, norm_rows, &part);
        }
        const zoo_proj dt = {&w->dt[h], w->dt_bias + at, job->buffers.dt + at, p->inner};
        zoo_linear(job->ctx, &dt, 1, low, p->x_rows, n);
    }
    zoo_act_rows(job->ctx, ZOO_ACT_SOFTPLUS, job->buffers.dt, job->buffers.dt, n, p->inner);
}

/* Channels of one tile of one head of one sequence. */
static void scan_item(void *arg, uint32_t item, uint32_t worker)
{
    const scan_job *job = arg;
    const mamba1_params *p = job->params;
    uint32_t tiles = (p->head_dim + TILE - 1) / TILE;
    const zoo_seq *seq = &job->span->seqs[item / (p->heads * tiles)];
    uint32_t head = item / tiles % p->heads, tile = item % tiles * TILE;
    size_t c = (size_t)head * p->head_dim + tile, row = (size_t)seq->row * p->inner + c;
    size_t n_rows = job->span->n_rows;
    const float *low = job->buffers.low + (head * n_rows + seq->row) * p->x_rows + p->rank;
    (void)worker;
    zoo_scan_args args = {.x = job->buffers.u + row,
                          .dt = job->buffers.dt + row,
                          .b = low,
                          .c = low + p->state_size,
                          .a = job->weights->a + c * p->state_size,
                          .d = job->weights->d + c,
                          .y = job->buffers.y + row,
                          .state = job->cache->state(job->cache, 1, seq) + c * p->state_size,
                          .x_stride = p->inner,
                          .dt_stride = p->inner,
                          .b_stride = p->x_rows,
                          .c_stride = p->x_rows,
                          .y_stride = p->inner,
                          .n_rows = seq->n,
                          .channels = p->head_dim - tile < TILE ? p->head_dim - tile : TILE,
                          .state_size = p->state_size};
    job->ctx->kernels->scan(&args);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const mamba1_params *p = params;
    const mamba1_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    scan_job job = {ctx, p, w, cache, span, lay_out(p, span->n_rows, &layout)};
    const zoo_proj in[] = {{&w->u, w->u_bias, job.buffers.raw, 0},
                           {&w->z, w->z_bias, job.buffers.z, 0}};
    zoo_linear(ctx, in, 2, x, p->width_in, span->n_rows);
    const hybrid_conv conv = {.x = job.buffers.raw,
                              .y = job.buffers.u,
                              .x_stride = p->inner,
                              .y_stride = p->inner,
                              .weight = w->conv,
                              .bias = w->conv_bias,
                              .channels = p->inner,
                              .taps = p->taps,
                              .act = p->act};
    hybrid_conv_run(ctx, &conv, cache, span);
    choose(&job);
    uint32_t tiles = (p->head_dim + TILE - 1) / TILE;
    ctx->parallel(ctx, span->n_seqs * p->heads * tiles, scan_item, &job);
    const hybrid_gated_norm gate = {.y = job.buffers.y,
                                    .z = job.buffers.z,
                                    .y_stride = p->inner,
                                    .z_stride = p->inner,
                                    .width = p->inner,
                                    .n_groups = 1,
                                    .act = ZOO_ACT_SILU};
    hybrid_gated_norm_run(ctx, &gate, span->n_rows);
    const zoo_proj out = {&w->out, w->out_bias, y, 0};
    zoo_linear(ctx, &out, 1, job.buffers.y, p->inner, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const mamba1_params *p = params;
    (void)snprintf(text, n, "state space: %u channels of %u places, window of %u rows", p->inner,
                   p->state_size, p->taps - 1);
}

const zoo_block_ops hybrid_mamba1_ops = {.size = sizeof(zoo_block_ops),
                                         .weights_size = sizeof(mamba1_weights),
                                         .name = "mamba1",
                                         .binds = hybrid_mamba1_binds,
                                         .streams = streams,
                                         .scratch = scratch,
                                         .check = hybrid_mamba1_check,
                                         .prepare = hybrid_mamba1_prepare,
                                         .forward = forward,
                                         .explain = explain,
                                         .facts = hybrid_mamba1_facts};
