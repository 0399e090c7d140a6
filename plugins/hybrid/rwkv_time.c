/*
 * rwkv_time.c: time mixing of RWKV-4: an average of all values so far, weighted per channel.
 *
 *   k, v, r = W of the row mixed with the one before;  u = time_first, w = -exp(time_decay)
 *   out_t = (sum_{i<t} e^{(t-1-i) w + k_i} v_i + e^{u + k_t} v_t) / (the same without v)
 *   y = W_output( sigmoid(r) * out )
 *
 * Sums are relative to the largest exponent so far, so nothing overflows. STATE "shift" [width],
 * STATE "wkv" [3, inner]: numerator, denominator, largest exponent.
 */
#include <math.h>

#include "blocks/rows.h"
#include "rwkv.h"

enum { TILE = 64 };

typedef struct time_weights {
    zoo_weight k, v, r, out;
    const float *mix_k, *mix_v, *mix_r, *rest_k, *rest_v, *rest_r; /* [width] */
    const float *first, *decay_log, *decay;                        /* [inner] */
} time_weights;

#define ZOO_ROW_WEIGHTS time_weights
#define ZOO_ROW_PARAMS  rwkv_params
static const zoo_bind binds[] = {
    ZOO_ROW_MATRIX(k, "key.weight", 0, inner, width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(v, "value.weight", 0, inner, width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(r, "receptance.weight", 0, inner, width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(out, "output.weight", 0, width, inner, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(mix_k, "time_mix_key", width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(mix_v, "time_mix_value", width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(mix_r, "time_mix_receptance", width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(first, "time_first", inner, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(decay_log, "time_decay", inner, ZOO_NONE, ZOO_NONE),
    {0}};

static zoo_status prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const rwkv_params *p = params;
    time_weights *w = weights;
    float *decay = setup->take(setup, p->inner * sizeof *decay);
    w->rest_k = hybrid_rwkv_rest(setup, w->mix_k, p->width);
    w->rest_v = hybrid_rwkv_rest(setup, w->mix_v, p->width);
    w->rest_r = hybrid_rwkv_rest(setup, w->mix_r, p->width);
    if (!decay || !w->rest_k || !w->rest_v || !w->rest_r) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for time mixing");
    }
    for (uint32_t c = 0; c < p->inner; c++) {
        decay[c] = (float)-exp((double)w->decay_log[c]);
    }
    w->decay = decay;
    return ZOO_OK;
}

typedef struct time_buffers {
    float *mixed[3];  /* [n_rows, width]: for k, v, r */
    float *k, *v, *r; /* [n_rows, inner] */
    float *tmp;       /* [n_threads, width] */
} time_buffers;

static time_buffers lay_out(const rwkv_params *p, uint32_t n_rows, uint32_t n_threads,
                            zoo_scratch_layout *layout)
{
    time_buffers m;
    for (uint32_t i = 0; i < 3; i++) {
        m.mixed[i] = zoo_scratch_layout_floats(layout, n_rows, p->width);
    }
    m.k = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    m.v = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    m.r = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    m.tmp = zoo_scratch_layout_floats(layout, n_threads, p->width);
    return m;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const rwkv_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, limits->n_threads, &layout);
    return layout.used + 3 * zoo_linear_scratch(p->width, limits->rows_max) +
           zoo_linear_scratch(p->inner, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    out[0] = hybrid_state("shift", ((const rwkv_params *)params)->width);
    out[1] = hybrid_state("wkv", 3 * ((const rwkv_params *)params)->inner);
    return 2;
}

typedef struct time_job {
    zoo_ctx *ctx;
    const rwkv_params *params;
    const time_weights *weights;
    zoo_cache *cache;
    const zoo_span *span;
    time_buffers buffers;
} time_job;

/* e[i] = exp(a[i] - m), e[TILE + i] = exp(b[i] - m), m the larger of a[i] and b[i], left in a */
static void split_exp(const zoo_kernels *k, float *a, const float *b, float *e, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        float m = a[i] > b[i] ? a[i] : b[i];
        e[i] = a[i] - m;
        e[TILE + i] = b[i] - m;
        a[i] = m;
    }
    k->act(ZOO_ACT_EXP, e, e, n);
    k->act(ZOO_ACT_EXP, e + TILE, e + TILE, n);
}

/* One row of a tile; v becomes the output. */
static void wkv_row(const zoo_kernels *kernels, const float *first, const float *decay,
                    const float *k, float *v, float *const state[3], uint32_t n)
{
    float top[TILE] = {0}, own[TILE] = {0}, e[2 * TILE] = {0};
    for (uint32_t i = 0; i < n; i++) {
        top[i] = state[2][i];
        own[i] = k[i] + first[i];
        state[2][i] += decay[i];
    }
    split_exp(kernels, top, own, e, n);
    for (uint32_t i = 0; i < n; i++) {
        float num = e[i] * state[0][i] + e[TILE + i] * v[i];
        top[i] = num / (e[i] * state[1][i] + e[TILE + i]);
    }
    split_exp(kernels, state[2], k, e, n);
    for (uint32_t i = 0; i < n; i++) {
        state[0][i] = e[i] * state[0][i] + e[TILE + i] * v[i];
        state[1][i] = e[i] * state[1][i] + e[TILE + i];
        v[i] = top[i];
    }
}

static void wkv_item(void *arg, uint32_t item, uint32_t worker)
{
    const time_job *job = arg;
    uint32_t inner = job->params->inner, tiles = (inner + TILE - 1) / TILE;
    const zoo_seq *seq = &job->span->seqs[item / tiles];
    uint32_t c = item % tiles * TILE, n = inner - c < TILE ? inner - c : TILE;
    float *base = job->cache->state(job->cache, 1, seq) + c;
    float *const state[3] = {base, base + inner, base + 2 * (size_t)inner};
    (void)worker;
    for (uint32_t i = 0; i < n && seq->pos == 0; i++) {
        state[2][i] = -1e38f;
    }
    for (uint32_t t = 0; t < seq->n; t++) {
        size_t at = (size_t)(seq->row + t) * inner + c;
        wkv_row(job->ctx->kernels, job->weights->first + c, job->weights->decay + c,
                job->buffers.k + at, job->buffers.v + at, state, n);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const rwkv_params *p = params;
    const time_weights *w = weights;
    uint32_t n = span->n_rows;
    zoo_scratch_layout layout = {.ctx = ctx};
    time_job job = {ctx, p, w, cache, span, lay_out(p, n, ctx->n_threads, &layout)};
    const time_buffers *m = &job.buffers;
    const rwkv_mix mix = {x,
                          p->width,
                          3,
                          0,
                          {w->mix_k, w->mix_v, w->mix_r},
                          {w->rest_k, w->rest_v, w->rest_r},
                          {m->mixed[0], m->mixed[1], m->mixed[2]},
                          m->tmp};
    hybrid_rwkv_mix_run(ctx, &mix, cache, span);
    const zoo_proj in[] = {{&w->k, NULL, m->k, 0}, {&w->v, NULL, m->v, 0}, {&w->r, NULL, m->r, 0}};
    for (uint32_t i = 0; i < 3; i++) {
        zoo_linear(ctx, &in[i], 1, m->mixed[i], p->width, n);
    }
    ctx->parallel(ctx, span->n_seqs * ((p->inner + TILE - 1) / TILE), wkv_item, &job);
    const hybrid_gated_norm gate = {.y = m->v,
                                    .z = m->r,
                                    .y_stride = p->inner,
                                    .z_stride = p->inner,
                                    .width = p->inner,
                                    .n_groups = 1,
                                    .act = ZOO_ACT_SIGMOID};
    hybrid_gated_norm_run(ctx, &gate, n);
    const zoo_proj out = {&w->out, NULL, y, 0};
    zoo_linear(ctx, &out, 1, m->v, p->inner, n);
    zoo_scale_rows(ctx, p->scale, y, n, p->width);
}

const zoo_block_ops hybrid_rwkv_time_ops = {.size = sizeof(zoo_block_ops),
                                            .weights_size = sizeof(time_weights),
                                            .name = "rwkv_time",
                                            .binds = binds,
                                            .streams = streams,
                                            .scratch = scratch,
                                            .prepare = prepare,
                                            .forward = forward,
                                            .facts = hybrid_rwkv_time_facts};
