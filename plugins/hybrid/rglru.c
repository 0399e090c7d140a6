/*
 * rglru.c: a gated linear recurrence of single channels.
 *
 *   u = conv(linear_x x);  r = sigmoid(Wr u + br), i = sigmoid(Wi u + bi), block-diagonal by heads
 *   a = exp(-8 softplus(p) r);  h = a h + sqrt(1 - a^2) (i u), at position 0 without the root
 *   y = linear_out( h * gelu(linear_y x) )
 *
 * Rows of a sequence run one after the other; sequences and tiles of channels run side by side. The
 * root is taken here, as no kernel has it (it is exact, so equal everywhere). Streams: STATE "conv"
 * [taps - 1, width], STATE "lru" [width]. Source: De et al., "Griffin" (2024).
 */
#include <math.h>
#include <string.h>

#include "rglru.h"

enum { TILE = 128 };

typedef struct rglru_buffers {
    float *y, *raw, *u;      /* [n_rows, width] */
    float *r, *i, *a_square; /* [n_rows, width] */
} rglru_buffers;

static rglru_buffers lay_out(const rglru_params *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    rglru_buffers m;
    float **const all[] = {&m.y, &m.raw, &m.u, &m.r, &m.i, &m.a_square};
    for (size_t k = 0; k < ZOO_COUNT(all); k++) {
        *all[k] = zoo_scratch_layout_floats(layout, n_rows, p->width);
    }
    return m;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const rglru_params *p = params;
    uint32_t n = limits->rows_max;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, n, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, n) + zoo_linear_scratch(p->width, n) +
           p->n_heads * zoo_linear_scratch(p->block, n);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const rglru_params *p = params;
    out[0] = hybrid_state("conv", (p->taps - 1) * p->width);
    out[1] = hybrid_state("lru", p->width);
    return 2;
}

typedef struct rglru_job {
    zoo_ctx *ctx;
    const rglru_params *params;
    const rglru_weights *weights;
    zoo_cache *cache;
    const zoo_span *span;
    rglru_buffers buffers;
} rglru_job;

/* Decay a in r and gated input in u, row by row. */
static void gate_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const rglru_job *job = arg;
    const zoo_kernels *k = job->ctx->kernels;
    uint32_t width = job->params->width;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        size_t at = (size_t)row * width;
        float *r = job->buffers.r + at, *a2 = job->buffers.a_square + at, *u = job->buffers.u + at;
        k->act(ZOO_ACT_SIGMOID, job->buffers.i + at, job->buffers.i + at, width);
        k->act(ZOO_ACT_SIGMOID, r, r, width);
        k->mul(r, job->weights->decay, r, width);
        k->scale(2.0f, r, a2, width);
        k->act(ZOO_ACT_EXP, a2, a2, width);
        k->act(ZOO_ACT_EXP, r, r, width);
        k->mul(u, job->buffers.i + at, u, width);
        for (uint32_t c = 0; c < width && job->span->pos[row]; c++) {
            u[c] *= sqrtf(1.0f - a2[c]);
        }
    }
}

/* A tile of channels of one sequence; leaves the states of all rows in u. */
static void recur_item(void *arg, uint32_t item, uint32_t worker)
{
    const rglru_job *job = arg;
    uint32_t width = job->params->width, tiles = (width + TILE - 1) / TILE;
    const zoo_seq *seq = &job->span->seqs[item / tiles];
    uint32_t c = item % tiles * TILE, n = width - c < TILE ? width - c : TILE;
    float *state = job->cache->state(job->cache, 1, seq) + c;
    (void)worker;
    for (uint32_t t = 0; t < seq->n; t++) {
        size_t at = (size_t)(seq->row + t) * width + c;
        job->ctx->kernels->mul(job->buffers.r + at, state, state, n);
        job->ctx->kernels->add(state, job->buffers.u + at, state, n);
        memcpy(job->buffers.u + at, state, n * sizeof *state);
    }
}

static void project(rglru_job *job, const float *x)
{
    const rglru_params *p = job->params;
    const rglru_weights *w = job->weights;
    const rglru_buffers *m = &job->buffers;
    uint32_t n = job->span->n_rows;
    const zoo_proj in[] = {{&w->x, w->x_bias, m->raw, 0}, {&w->y, w->y_bias, m->y, 0}};
    zoo_linear(job->ctx, in, 2, x, p->width_in, n);
    const hybrid_conv conv = {.x = m->raw,
                              .y = m->u,
                              .x_stride = p->width,
                              .y_stride = p->width,
                              .weight = w->conv,
                              .bias = w->conv_bias,
                              .channels = p->width,
                              .taps = p->taps};
    hybrid_conv_run(job->ctx, &conv, job->cache, job->span);
    for (uint32_t h = 0; h < p->n_heads; h++) {
        size_t at = (size_t)h * p->block;
        const zoo_proj gates[] = {{&w->r[h], w->r_bias + at, m->r + at, p->width},
                                  {&w->i[h], w->i_bias + at, m->i + at, p->width}};
        zoo_linear(job->ctx, gates, 2, m->u + at, p->width, n);
    }
    zoo_rows(job->ctx, n, (size_t)p->width * 8, gate_rows, job);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const rglru_params *p = params;
    const rglru_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    rglru_job job = {ctx, p, w, cache, span, lay_out(p, span->n_rows, &layout)};
    project(&job, x);
    ctx->parallel(ctx, span->n_seqs * ((p->width + TILE - 1) / TILE), recur_item, &job);
    const hybrid_gated_norm gate = {.y = job.buffers.u,
                                    .z = job.buffers.y,
                                    .y_stride = p->width,
                                    .z_stride = p->width,
                                    .width = p->width,
                                    .n_groups = 1,
                                    .act = p->act};
    hybrid_gated_norm_run(ctx, &gate, span->n_rows);
    const zoo_proj out = {&w->out, w->out_bias, y, 0};
    zoo_linear(ctx, &out, 1, job.buffers.u, p->width, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const rglru_params *p = params;
    (void)snprintf(text, n, "linear recurrence of %u channels, window of %u rows", p->width,
                   p->taps - 1);
}

const zoo_block_ops hybrid_rglru_ops = {.size = sizeof(zoo_block_ops),
                                        .weights_size = sizeof(rglru_weights),
                                        .name = "rglru",
                                        .binds = hybrid_rglru_binds,
                                        .streams = streams,
                                        .scratch = scratch,
                                        .prepare = hybrid_rglru_prepare,
                                        .forward = forward,
                                        .explain = explain,
                                        .facts = hybrid_rglru_facts};
