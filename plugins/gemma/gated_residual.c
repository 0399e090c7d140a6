/*
 * gated_residual.c: a layer whose residual and branches are weighed by a gate for each channel.
 *
 *   b = sigmoid(g / T),   a = sqrt(max(sigmoid(-g / T) (1 + b), 0.001))
 *   h = a_0 h + b_0 rms( attn(n0 h) );   h = a_1 h + b_1 rms( (1 + w) ffn(n1 h) )
 *
 * so that a^2 + b^2 = 1 where the limit does not act. a and b are made once, after loading.
 *
 * Tensors in the layer: post_attention_residual_gate.gate, post_feedforward_residual_gate.gate,
 * post_feedforward_layernorm.weight, each [hidden]. Memory: one buffer of rows. Source: the
 * reference's decoder layer.
 */
#include <math.h>

#include "gemma.h"

static const float limit = 1e-3f;

typedef struct side {
    const float *gate;           /* as stored */
    const float *keep, *through; /* a and b */
} side;

typedef struct weights {
    side attn, ffn;
    const float *norm; /* as stored; 1 + w after loading */
} weights;

#define VECTOR(f, name)                                                                            \
    ZOO_BIND(weights, f, ZOO_BIND_VECTOR, 0, name, gemma_gated, hidden, ZOO_NONE, ZOO_NONE)

static const zoo_bind binds[] = {
    VECTOR(attn.gate, "post_attention_residual_gate.gate"),
    VECTOR(ffn.gate, "post_feedforward_residual_gate.gate"),
    VECTOR(norm, "post_feedforward_layernorm.weight"),
    {.name = NULL},
};

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static zoo_status make_side(const gemma_gated *p, side *s, zoo_setup *setup, zoo_error *err)
{
    float *keep = setup->take(setup, p->hidden * sizeof *keep);
    float *through = setup->take(setup, p->hidden * sizeof *through);
    if (!keep || !through) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the gates of a residual");
    }
    for (uint32_t i = 0; i < p->hidden; i++) {
        float w = s->gate[i] / p->temperature;
        through[i] = sigmoid(w);
        keep[i] = sqrtf(fmaxf(sigmoid(-w) * (1.0f + through[i]), limit));
    }
    s->keep = keep;
    s->through = through;
    return ZOO_OK;
}

static zoo_status prepare(const void *params, void *bound, zoo_setup *setup, zoo_error *err)
{
    const gemma_gated *p = params;
    weights *w = bound;
    float *norm = setup->take(setup, p->hidden * sizeof *norm);
    if (!norm) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a norm");
    }
    for (uint32_t i = 0; i < p->hidden; i++) {
        norm[i] = 1.0f + w->norm[i];
    }
    w->norm = norm;
    ZOO_TRY(make_side(p, &w->attn, setup, err));
    return make_side(p, &w->ffn, setup, err);
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const gemma_gated *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->hidden);
    return layout.used;
}

typedef struct job {
    const zoo_kernels *kernels;
    const float *x;
    float *branch, *y;
    const float *factor; /* of the branch before its norm, or null */
    const side *side;
    uint32_t width;
} job;

static void factor_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *branch = j->branch + (size_t)row * j->width;
        j->kernels->mul(branch, j->factor, branch, j->width);
    }
}

static void weigh_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        size_t at = (size_t)row * j->width;
        j->kernels->mul(j->branch + at, j->side->through, j->branch + at, j->width);
        j->kernels->mul(j->x + at, j->side->keep, j->y + at, j->width);
        j->kernels->add(j->y + at, j->branch + at, j->y + at, j->width);
    }
}

/* y = a x + b rms(factor branch) */
static void add_branch(zoo_ctx *ctx, const gemma_gated *p, job *j, const char *name,
                       uint32_t n_rows)
{
    const zoo_norm_args norm = {.x = j->branch,
                                .y = j->branch,
                                .x_stride = p->hidden,
                                .y_stride = p->hidden,
                                .n_rows = n_rows,
                                .width = p->hidden,
                                .eps = p->eps};
    if (j->factor) {
        zoo_rows(ctx, n_rows, (size_t)p->hidden * 2, factor_range, j);
    }
    zoo_norm_rows(ctx, ZOO_NORM_RMS, norm);
    zoo_trace_rows(ctx, name, j->branch, n_rows, p->hidden);
    zoo_rows(ctx, n_rows, (size_t)p->hidden * 4, weigh_range, j);
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const gemma_gated *p = params;
    const weights *w = bound;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *branch = zoo_scratch_layout_floats(&layout, span->n_rows, p->hidden);
    job attn = {ctx->kernels, x, branch, y, NULL, &w->attn, p->hidden};
    job ffn = {ctx->kernels, y, branch, y, w->norm, &w->ffn, p->hidden};
    (void)cache;
    ctx->part(ctx, 0, x, branch, span);
    add_branch(ctx, p, &attn, "post_attention_layernorm", span->n_rows);
    zoo_trace_rows(ctx, "post_attention_residual_gate", y, span->n_rows, p->hidden);
    ctx->part(ctx, 1, y, branch, span);
    add_branch(ctx, p, &ffn, "post_feedforward_layernorm", span->n_rows);
    zoo_trace_rows(ctx, "post_feedforward_residual_gate", y, span->n_rows, p->hidden);
}

const zoo_block_ops gemma_gated_ops = {.size = sizeof(zoo_block_ops),
                                       .weights_size = sizeof(weights),
                                       .name = "gated residual",
                                       .binds = binds,
                                       .scratch = scratch,
                                       .prepare = prepare,
                                       .forward = forward,
                                       .facts = gemma_gated_facts};
