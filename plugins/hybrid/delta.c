/*
 * delta.c: the gated delta rule, with a decay for each head or for each key channel.
 *
 *   q, k, v = act(conv(W x));  q = q / |q| / sqrt(dk), k = k / |k|;  beta = sigmoid(b)
 *   g = -e^A softplus(a + bias), or bound * sigmoid(e^A (a + bias))
 *   S = diag(e^g) S;  S = S + k (beta (v - S^T k))^T;  o = S^T q
 *   y = out_proj( norm(o) w * act(z) ), the norm over each value head by itself
 *
 * |u| = sqrt(sum u^2 + 1e-6). Rows of a sequence run one after the other, so any cut of a prompt
 * gives the same bits; sequences and heads run side by side. Streams: STATE "conv" [taps - 1,
 * channels], STATE "delta" [Hv, dk, dv]. Sources: Yang et al., "Gated Delta Networks" (2024);
 * Kimi Linear (2025).
 */
#include <math.h>

#include "delta.h"

typedef struct delta_buffers {
    float *raw, *mixed;   /* [n_rows, channels] before and after the convolution */
    float *z, *o;         /* [n_rows, v_rows] */
    float *beta;          /* [n_rows, Hv] */
    float *g;             /* [n_rows, n_decays] */
    float *a_low, *z_low; /* [n_rows, rank] */
} delta_buffers;

static delta_buffers lay_out(const delta_params *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    delta_buffers r;
    r.raw = zoo_scratch_layout_floats(layout, n_rows, p->channels);
    r.mixed = zoo_scratch_layout_floats(layout, n_rows, p->channels);
    r.z = zoo_scratch_layout_floats(layout, n_rows, p->v_rows);
    r.o = zoo_scratch_layout_floats(layout, n_rows, p->v_rows);
    r.beta = zoo_scratch_layout_floats(layout, n_rows, p->n_v_heads);
    r.g = zoo_scratch_layout_floats(layout, n_rows, p->n_decays);
    r.a_low = zoo_scratch_layout_floats(layout, n_rows, p->rank);
    r.z_low = zoo_scratch_layout_floats(layout, n_rows, p->rank);
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const delta_params *p = params;
    uint32_t n = limits->rows_max;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, n, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, n) + zoo_linear_scratch(p->v_rows, n) +
           2 * zoo_linear_scratch(p->rank, n);
}

typedef struct delta_job {
    zoo_ctx *ctx;
    const delta_params *params;
    const delta_weights *weights;
    zoo_cache *cache;
    const zoo_span *span;
    delta_buffers buffers;
} delta_job;

/* Queries and keys to length 1, log decays: everything of a row before the state. */
static void shape_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const delta_job *job = arg;
    const delta_params *p = job->params;
    const zoo_kernels *k = job->ctx->kernels;
    float one = 1.0f / sqrtf((float)p->k_dim);
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *q = job->buffers.mixed + (size_t)row * p->channels;
        float *g = job->buffers.g + (size_t)row * p->n_decays;
        const zoo_norm_args unit = {.x = q,
                                    .y = q,
                                    .x_stride = p->k_dim,
                                    .y_stride = p->k_dim,
                                    .n_rows = 2 * p->n_k_heads,
                                    .width = p->k_dim,
                                    .eps = 1e-6f / (float)p->k_dim};
        k->rms_norm(&unit);
        k->scale(one * one, q, q, p->k_rows);
        k->scale(one, q + p->k_rows, q + p->k_rows, p->k_rows);
        k->add(g, job->weights->dt_bias, g, p->n_decays);
        if (p->lower_bound != 0) {
            k->mul(g, job->weights->factor, g, p->n_decays);
            k->act(ZOO_ACT_SIGMOID, g, g, p->n_decays);
            k->scale(p->lower_bound, g, g, p->n_decays);
        } else {
            k->act(ZOO_ACT_SOFTPLUS, g, g, p->n_decays);
            k->mul(g, job->weights->factor, g, p->n_decays);
        }
    }
}

/* One value head of one sequence. */
static void delta_item(void *arg, uint32_t item, uint32_t worker)
{
    const delta_job *job = arg;
    const delta_params *p = job->params;
    const zoo_seq *seq = &job->span->seqs[item / p->n_v_heads];
    uint32_t h = item % p->n_v_heads;
    uint32_t key = h / (p->n_v_heads / p->n_k_heads);
    uint32_t g_dim = p->n_decays / p->n_v_heads;
    const float *q = job->buffers.mixed + (size_t)seq->row * p->channels;
    size_t of_head = (size_t)h * p->v_dim;
    (void)worker;
    zoo_delta_args args = {.q = q + (size_t)key * p->k_dim,
                           .k = q + p->k_rows + (size_t)key * p->k_dim,
                           .v = q + (size_t)2 * p->k_rows + of_head,
                           .g = job->buffers.g + (size_t)seq->row * p->n_decays + (size_t)h * g_dim,
                           .beta = job->buffers.beta + (size_t)seq->row * p->n_v_heads + h,
                           .o = job->buffers.o + (size_t)seq->row * p->v_rows + of_head,
                           .state = job->cache->state(job->cache, 1, seq) + of_head * p->k_dim,
                           .q_stride = p->channels,
                           .k_stride = p->channels,
                           .v_stride = p->channels,
                           .g_stride = p->n_decays,
                           .beta_stride = p->n_v_heads,
                           .o_stride = p->v_rows,
                           .n_rows = seq->n,
                           .k_dim = p->k_dim,
                           .v_dim = p->v_dim,
                           .g_dim = g_dim};
    job->ctx->kernels->delta(&args);
}

static void project(delta_job *job, const float *x)
{
    const delta_params *p = job->params;
    const delta_weights *w = job->weights;
    const delta_buffers *r = &job->buffers;
    uint32_t n = job->span->n_rows;
    const zoo_proj in[] = {{&w->q, NULL, r->raw, p->channels},
                           {&w->k, NULL, r->raw + p->k_rows, p->channels},
                           {&w->v, NULL, r->raw + (size_t)2 * p->k_rows, p->channels},
                           {&w->z, NULL, r->z, 0},
                           {&w->b, NULL, r->beta, 0},
                           {&w->a, NULL, r->g, 0},
                           {&w->a_down, NULL, r->a_low, 0},
                           {&w->z_down, NULL, r->z_low, 0}};
    zoo_linear(job->ctx, in, ZOO_COUNT(in), x, p->width_in, n);
    if (p->rank) {
        const zoo_proj decay = {&w->a_up, NULL, r->g, 0}, gate = {&w->z_up, NULL, r->z, 0};
        zoo_linear(job->ctx, &decay, 1, r->a_low, p->rank, n);
        zoo_linear(job->ctx, &gate, 1, r->z_low, p->rank, n);
    }
    const hybrid_conv conv = {.x = r->raw,
                              .y = r->mixed,
                              .x_stride = p->channels,
                              .y_stride = p->channels,
                              .weight = w->conv,
                              .channels = p->channels,
                              .taps = p->taps,
                              .act = p->conv_act};
    hybrid_conv_run(job->ctx, &conv, job->cache, job->span);
    zoo_act_rows(job->ctx, ZOO_ACT_SIGMOID, r->beta, r->beta, n, p->n_v_heads);
    zoo_scale_rows(job->ctx, p->beta_scale, r->beta, n, p->n_v_heads);
    zoo_rows(job->ctx, n, (size_t)p->k_rows * 4, shape_rows, job);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const delta_params *p = params;
    const delta_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    delta_job job = {ctx, p, w, cache, span, lay_out(p, span->n_rows, &layout)};
    project(&job, x);
    ctx->parallel(ctx, span->n_seqs * p->n_v_heads, delta_item, &job);
    const hybrid_gated_norm norm = {.y = job.buffers.o,
                                    .z = job.buffers.z,
                                    .y_stride = p->v_rows,
                                    .z_stride = p->v_rows,
                                    .weight = w->norm,
                                    .width = p->v_rows,
                                    .n_groups = p->n_v_heads,
                                    .kind = ZOO_NORM_RMS,
                                    .same_weight = 1,
                                    .act = p->gate_act,
                                    .eps = p->eps};
    hybrid_gated_norm_run(ctx, &norm, span->n_rows);
    const zoo_proj out = {&w->out, NULL, y, 0};
    zoo_linear(ctx, &out, 1, job.buffers.o, p->v_rows, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const delta_params *p = params;
    (void)snprintf(text, n, "delta rule: %u heads of %u x %u, a decay for each %s", p->n_v_heads,
                   p->k_dim, p->v_dim, p->channel_decay ? "channel" : "head");
}

const zoo_block_ops hybrid_delta_ops = {.size = sizeof(zoo_block_ops),
                                        .weights_size = sizeof(delta_weights),
                                        .name = "delta",
                                        .binds = hybrid_delta_binds,
                                        .streams = hybrid_delta_streams,
                                        .scratch = scratch,
                                        .check = hybrid_delta_check,
                                        .prepare = hybrid_delta_prepare,
                                        .forward = forward,
                                        .explain = explain,
                                        .facts = hybrid_delta_facts};
