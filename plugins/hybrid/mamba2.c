/*
 * mamba2.c: the Mamba-2 mixer: a selective state space with one decay a head.
 *
 *   z, xBC, dt = in_proj u [times the segment scales];  x, B, C = act(conv(xBC))
 *   dt = clamp(softplus(dt + dt_bias));  a = -exp(A_log)
 *   S_h = exp(dt a) S_h + B_g (dt x_h)^T;  y_h = S_h^T C_g + D x_h
 *   out_proj( gated norm of y by z, each of the G groups by itself )
 *
 * Rows of a sequence run one after the other through the state of a head, so any cut of a prompt
 * gives the same bits; sequences and heads run side by side. Streams: STATE "conv" [taps - 1,
 * channels], STATE "ssm" [H, N, P]. Source: Dao and Gu, "Transformers are SSMs" (2024).
 */
#include "mamba2.h"

typedef struct mamba2_buffers {
    float *main; /* [n_rows, main_rows]: z, x, B, C before the convolution */
    float *dt;   /* [n_rows, H] */
    float *xbc;  /* [n_rows, channels] */
    float *y;    /* [n_rows, inner] */
} mamba2_buffers;

static mamba2_buffers lay_out(const mamba2_params *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    mamba2_buffers r;
    r.main = zoo_scratch_layout_floats(layout, n_rows, p->main_rows);
    r.dt = zoo_scratch_layout_floats(layout, n_rows, p->n_heads);
    r.xbc = zoo_scratch_layout_floats(layout, n_rows, p->channels);
    r.y = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const mamba2_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, limits->rows_max) +
           zoo_linear_scratch(p->inner, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const mamba2_params *p = params;
    out[0] = hybrid_state("conv", (p->taps - 1) * p->channels);
    out[1] = hybrid_state("ssm", p->inner * p->state_size);
    return 2;
}

typedef struct ssm_job {
    zoo_ctx *ctx;
    const mamba2_params *params;
    const mamba2_weights *weights;
    zoo_cache *cache;
    const zoo_span *span;
    mamba2_buffers buffers;
} ssm_job;

/* The scales of the five segments of one row. */
static void scale_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const ssm_job *job = arg;
    const mamba2_params *p = job->params;
    uint32_t bc = p->n_groups * p->state_size;
    const uint32_t widths[] = {p->inner, p->inner, bc, bc};
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *x = job->buffers.main + (size_t)row * p->main_rows;
        float *dt = job->buffers.dt + (size_t)row * p->n_heads;
        for (uint32_t i = 0; i < ZOO_COUNT(widths); x += widths[i], i++) {
            job->ctx->kernels->scale(p->scale[i], x, x, widths[i]);
        }
        job->ctx->kernels->scale(p->scale[4], dt, dt, p->n_heads);
    }
}

/* One head of one sequence. */
static void ssm_item(void *arg, uint32_t item, uint32_t worker)
{
    const ssm_job *job = arg;
    const mamba2_params *p = job->params;
    const zoo_seq *seq = &job->span->seqs[item / p->n_heads];
    uint32_t h = item % p->n_heads;
    uint32_t group = h / (p->n_heads / p->n_groups);
    const float *xbc = job->buffers.xbc + (size_t)seq->row * p->channels;
    float *state = job->cache->state(job->cache, 1, seq);
    (void)worker;
    zoo_ssm_args args = {.x = xbc + (size_t)h * p->head_dim,
                         .b = xbc + p->inner + (size_t)group * p->state_size,
                         .c = xbc + p->inner + (size_t)(p->n_groups + group) * p->state_size,
                         .dt = job->buffers.dt + (size_t)seq->row * p->n_heads + h,
                         .y =
                             job->buffers.y + (size_t)seq->row * p->inner + (size_t)h * p->head_dim,
                         .state = state + (size_t)h * p->head_dim * p->state_size,
                         .x_stride = p->channels,
                         .b_stride = p->channels,
                         .c_stride = p->channels,
                         .dt_stride = p->n_heads,
                         .y_stride = p->inner,
                         .n_rows = seq->n,
                         .head_dim = p->head_dim,
                         .state_size = p->state_size,
                         .a = job->weights->a[h],
                         .d = job->weights->d[h]};
    job->ctx->kernels->ssm(&args);
}

static void project(const ssm_job *job, const float *x)
{
    const mamba2_params *p = job->params;
    const mamba2_weights *w = job->weights;
    const zoo_proj in[] = {{&w->in, w->in_bias, job->buffers.main, 0},
                           {&w->dt, w->dt_in_bias, job->buffers.dt, 0}};
    uint32_t n_rows = job->span->n_rows;
    zoo_linear(job->ctx, in, 2, x, p->width_in, n_rows);
    if (p->scaled) {
        zoo_rows(job->ctx, n_rows, p->in_rows, scale_rows, (void *)(uintptr_t)job);
    }
    const hybrid_steps steps = {job->buffers.dt,  p->n_heads, w->dt_bias, p->n_heads,
                                ZOO_ACT_SOFTPLUS, p->dt_min,  p->dt_max};
    hybrid_steps_run(job->ctx, &steps, n_rows);
    const hybrid_conv conv = {.x = job->buffers.main + p->inner,
                              .y = job->buffers.xbc,
                              .x_stride = p->main_rows,
                              .y_stride = p->channels,
                              .weight = w->conv,
                              .bias = w->conv_bias,
                              .channels = p->channels,
                              .taps = p->taps,
                              .act = p->act};
    hybrid_conv_run(job->ctx, &conv, job->cache, job->span);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const mamba2_params *p = params;
    const mamba2_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    ssm_job job = {ctx, p, w, cache, span, lay_out(p, span->n_rows, &layout)};
    project(&job, x);
    ctx->parallel(ctx, span->n_seqs * p->n_heads, ssm_item, &job);
    const hybrid_gated_norm norm = {.y = job.buffers.y,
                                    .z = job.buffers.main,
                                    .y_stride = p->inner,
                                    .z_stride = p->main_rows,
                                    .weight = w->norm,
                                    .width = p->inner,
                                    .n_groups = p->n_groups,
                                    .kind = p->norm,
                                    .gate_first = p->gate_first,
                                    .act = ZOO_ACT_SILU,
                                    .eps = p->eps};
    hybrid_gated_norm_run(ctx, &norm, span->n_rows);
    const zoo_proj out = {&w->out, w->out_bias, y, 0};
    zoo_linear(ctx, &out, 1, job.buffers.y, p->inner, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const mamba2_params *p = params;
    (void)snprintf(text, n, "state space: %u heads of %u x %u, %u groups, window of %u rows",
                   p->n_heads, p->head_dim, p->state_size, p->n_groups, p->taps - 1);
}

const zoo_block_ops hybrid_mamba2_ops = {.size = sizeof(zoo_block_ops),
                                         .weights_size = sizeof(mamba2_weights),
                                         .name = "mamba2",
                                         .binds = hybrid_mamba2_binds,
                                         .streams = streams,
                                         .scratch = scratch,
                                         .check = hybrid_mamba2_check,
                                         .prepare = hybrid_mamba2_prepare,
                                         .forward = forward,
                                         .explain = explain,
                                         .facts = hybrid_mamba2_facts};
