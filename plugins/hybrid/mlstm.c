/*
 * mlstm.c: the matrix memory of xLSTM.
 *
 *   i, f = softcap(W x + b) per head;  l = log sigmoid(f);  m' = max(l + m, i)
 *   C = e^(l + m - m') C + e^(i - m') k v^T;  n = e^(l + m - m') n + e^(i - m') k
 *   h = C^T q / (max(|n . q|, e^-m') + eps), q scaled by dk^-1/2
 *   y = out_proj( sigmoid(o) * layer norm of each head of h )
 *
 * Rows of a sequence run one after the other; sequences and heads run side by side. Streams: STATE
 * "memory" [H, dk, dv], STATE "norm" [H, dk + 1]: n and m. Source: Beck et al., "xLSTM" (2024).
 */
#include <math.h>
#include <string.h>

#include "mlstm.h"

typedef struct mlstm_buffers {
    float *q, *k;     /* [n_rows, qk_rows] */
    float *v, *o, *h; /* [n_rows, v_rows] */
    float *i, *f;     /* [n_rows, H] */
} mlstm_buffers;

static mlstm_buffers lay_out(const mlstm_params *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    mlstm_buffers m;
    m.q = zoo_scratch_layout_floats(layout, n_rows, p->qk_rows);
    m.k = zoo_scratch_layout_floats(layout, n_rows, p->qk_rows);
    m.v = zoo_scratch_layout_floats(layout, n_rows, p->v_rows);
    m.o = zoo_scratch_layout_floats(layout, n_rows, p->v_rows);
    m.h = zoo_scratch_layout_floats(layout, n_rows, p->v_rows);
    m.i = zoo_scratch_layout_floats(layout, n_rows, p->n_heads);
    m.f = zoo_scratch_layout_floats(layout, n_rows, p->n_heads);
    return m;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const mlstm_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, limits->rows_max) +
           zoo_linear_scratch(p->v_rows, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const mlstm_params *p = params;
    out[0] = hybrid_state("memory", p->qk_rows * p->v_dim);
    out[1] = hybrid_state("norm", p->qk_rows + p->n_heads);
    return 2;
}

typedef struct mlstm_job {
    zoo_ctx *ctx;
    const mlstm_params *params;
    zoo_cache *cache;
    const zoo_span *span;
    mlstm_buffers buffers;
} mlstm_job;

/* One row of one head: c [dk, dv], n [dk], m one float; h [dv] gets the output. */
static void memory_row(const mlstm_job *job, uint32_t row, uint32_t head, float *c, float *n)
{
    const mlstm_params *p = job->params;
    const zoo_kernels *k = job->ctx->kernels;
    const float *q = job->buffers.q + (size_t)row * p->qk_rows + (size_t)head * p->k_dim;
    const float *key = job->buffers.k + (size_t)row * p->qk_rows + (size_t)head * p->k_dim;
    const float *v = job->buffers.v + (size_t)row * p->v_rows + (size_t)head * p->v_dim;
    float *h = job->buffers.h + (size_t)row * p->v_rows + (size_t)head * p->v_dim;
    float *m = n + p->k_dim, in = job->buffers.i[(size_t)row * p->n_heads + head];
    float keep = -job->buffers.f[(size_t)row * p->n_heads + head] + *m;
    float top = keep > in ? keep : in;
    float e[3] = {keep - top, in - top, -top};
    k->act(ZOO_ACT_EXP, e, e, 3);
    *m = top;
    k->scale(e[0], c, c, (size_t)p->k_dim * p->v_dim);
    k->scale(e[0], n, n, p->k_dim);
    k->axpy(e[1], key, n, p->k_dim);
    memset(h, 0, p->v_dim * sizeof *h);
    for (uint32_t i = 0; i < p->k_dim; i++) {
        k->axpy(e[1] * key[i], v, c + (size_t)i * p->v_dim, p->v_dim);
        k->axpy(q[i], c + (size_t)i * p->v_dim, h, p->v_dim);
    }
    float seen = fabsf(k->dot(q, n, p->k_dim));
    k->scale(1.0f / ((seen > e[2] ? seen : e[2]) + p->eps), h, h, p->v_dim);
}

static void memory_item(void *arg, uint32_t item, uint32_t worker)
{
    const mlstm_job *job = arg;
    const mlstm_params *p = job->params;
    const zoo_seq *seq = &job->span->seqs[item / p->n_heads];
    uint32_t head = item % p->n_heads;
    float *c = job->cache->state(job->cache, 0, seq) + (size_t)head * p->k_dim * p->v_dim;
    float *n = job->cache->state(job->cache, 1, seq) + (size_t)head * (p->k_dim + 1);
    (void)worker;
    for (uint32_t t = 0; t < seq->n; t++) {
        memory_row(job, seq->row + t, head, c, n);
    }
}

static void project(mlstm_job *job, const mlstm_weights *w, const float *x)
{
    const mlstm_params *p = job->params;
    const zoo_kernels *k = job->ctx->kernels;
    const mlstm_buffers *m = &job->buffers;
    uint32_t n = job->span->n_rows;
    size_t gates = (size_t)n * p->n_heads;
    const zoo_proj in[] = {{&w->q, w->q_bias, m->q, 0}, {&w->k, w->k_bias, m->k, 0},
                           {&w->v, w->v_bias, m->v, 0}, {&w->o, w->o_bias, m->o, 0},
                           {&w->i, w->i_bias, m->i, 0}, {&w->f, w->f_bias, m->f, 0}};
    zoo_linear(job->ctx, in, ZOO_COUNT(in), x, p->width_in, n);
    zoo_scale_rows(job->ctx, 1.0f / sqrtf((float)p->k_dim), m->q, n, p->qk_rows);
    k->softcap(p->cap, m->i, m->i, gates);
    k->softcap(p->cap, m->f, m->f, gates);
    k->scale(-1.0f, m->f, m->f, gates);
    k->act(ZOO_ACT_SOFTPLUS, m->f, m->f, gates);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const mlstm_params *p = params;
    const mlstm_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    mlstm_job job = {ctx, p, cache, span, lay_out(p, span->n_rows, &layout)};
    project(&job, w, x);
    ctx->parallel(ctx, span->n_seqs * p->n_heads, memory_item, &job);
    const hybrid_gated_norm norm = {.y = job.buffers.h,
                                    .z = job.buffers.o,
                                    .y_stride = p->v_rows,
                                    .z_stride = p->v_rows,
                                    .weight = w->norm,
                                    .bias = w->norm_bias,
                                    .width = p->v_rows,
                                    .n_groups = p->n_heads,
                                    .kind = ZOO_NORM_LAYER,
                                    .act = ZOO_ACT_SIGMOID,
                                    .eps = p->norm_eps};
    hybrid_gated_norm_run(ctx, &norm, span->n_rows);
    const zoo_proj out = {&w->out, w->out_bias, y, 0};
    zoo_linear(ctx, &out, 1, job.buffers.h, p->v_rows, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const mlstm_params *p = params;
    (void)snprintf(text, n, "matrix memory: %u heads of %u x %u", p->n_heads, p->k_dim, p->v_dim);
}

const zoo_block_ops hybrid_mlstm_ops = {.size = sizeof(zoo_block_ops),
                                        .weights_size = sizeof(mlstm_weights),
                                        .name = "mlstm",
                                        .binds = hybrid_mlstm_binds,
                                        .streams = streams,
                                        .scratch = scratch,
                                        .forward = forward,
                                        .explain = explain,
                                        .facts = hybrid_mlstm_facts};
