/*
 * layer3n.c: a layer over several residual streams h_0 .. h_{P-1}, of which one, a, is active.
 *
 *   m(u) = tanh( R (rms(u) w / H) )                          the router, [P]
 *   p_r = h_r + sum_c (C_pred m(h_a))[r P + c] h_c           predict
 *   x = n0(p_a);  lau = x + n_l(W_right W_left x)
 *   g = (p_a + n1 attn(x) + lau) / sqrt(2)                   attn: part 0
 *   o = g + n3 mlp(n2 g)                                     mlp(n2): part 1, normed
 *   h_p = p_p + (1 + (C_corr m(o))[p]) (o - p_a)             correct
 *   f = n_i( W_p( act(W_g (h_a [s])) * input[l] ) );  h_p += f for p >= 1
 *
 * Memory: predictions [n_rows, P H], a few rows. Source, names: the reference's modeling file.
 */
#include <math.h>
#include <string.h>

#include "layer3n.h"

typedef struct buffers {
    float *x, *t, *g;           /* [n_rows, H] */
    float *modes, *coefs, *low; /* [n_rows, P], [n_rows, P P], [n_rows, max(rank, width)] */
} buffers;

static buffers lay_out(const gemma_layer3n *p, uint32_t n, zoo_scratch_layout *layout)
{
    uint32_t low = p->rank > p->width ? p->rank : p->width;
    return (buffers){zoo_scratch_layout_floats(layout, n, p->hidden),
                     zoo_scratch_layout_floats(layout, n, p->hidden),
                     zoo_scratch_layout_floats(layout, n, p->hidden),
                     zoo_scratch_layout_floats(layout, n, p->n_streams),
                     zoo_scratch_layout_floats(layout, n, p->n_coefs),
                     zoo_scratch_layout_floats(layout, n, low)};
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const gemma_layer3n *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + 8 * zoo_linear_scratch(p->hidden, limits->rows_max) +
           4 * zoo_linear_scratch(p->rank + p->width, limits->rows_max);
}

typedef struct run {
    zoo_ctx *ctx;
    const gemma_layer3n *p;
    const gemma_layer3n_weights *w;
    buffers b;
    uint32_t n;
    float *y;    /* [n, P H]: predictions, then the corrected streams */
    size_t wide; /* P H */
} run;

static void norm(const run *r, const char *name, const float *weight, const float *x,
                 size_t x_stride, float *y)
{
    const zoo_norm_args args = {.x = x,
                                .y = y,
                                .weight = weight,
                                .x_stride = x_stride,
                                .y_stride = r->p->hidden,
                                .n_rows = r->n,
                                .width = r->p->hidden,
                                .eps = r->p->eps};
    zoo_norm_rows(r->ctx, ZOO_NORM_RMS, args);
    zoo_trace_rows(r->ctx, name, y, r->n, r->p->hidden);
}

static void linear(const run *r, const char *name, const zoo_weight *w, const float *x,
                   uint32_t width, float *y)
{
    const zoo_proj projection = {w, NULL, y, 0};
    zoo_linear(r->ctx, &projection, 1, x, width, r->n);
    zoo_trace_rows(r->ctx, name, y, r->n, w->rows);
}

/* modes = m(u) for rows of u with this stride. */
static void route(const run *r, const float *u, size_t stride)
{
    const gemma_layer3n *p = r->p;
    norm(r, NULL, r->w->router_norm, u, stride, r->b.t);
    zoo_scale_rows(r->ctx, 1.0f / (float)p->hidden, r->b.t, r->n, p->hidden);
    linear(r, NULL, &r->w->router, r->b.t, p->hidden, r->b.modes);
    zoo_act_rows(r->ctx, ZOO_ACT_TANH, r->b.modes, r->b.modes, r->n, p->n_streams);
}

static void predict(const run *r, const float *h)
{
    const gemma_layer3n *p = r->p;
    route(r, h + (size_t)p->active * p->hidden, r->wide);
    linear(r, NULL, &r->w->predict, r->b.modes, p->n_streams, r->b.coefs);
    for (uint32_t row = 0; row < r->n; row++) {
        const float *from = h + row * r->wide, *coefs = r->b.coefs + (size_t)row * p->n_coefs;
        float *to = r->y + row * r->wide;
        memcpy(to, from, r->wide * sizeof(float));
        for (uint32_t i = 0; i < p->n_coefs; i++) {
            r->ctx->kernels->axpy(coefs[i], from + (size_t)(i % p->n_streams) * p->hidden,
                                  to + (size_t)(i / p->n_streams) * p->hidden, p->hidden);
        }
    }
}

/* x = n0(p_a); g = x + n_l(W_right W_left x). */
static void low_rank(const run *r)
{
    norm(r, "input_layernorm", r->w->layer_norm, r->y + (size_t)r->p->active * r->p->hidden,
         r->wide, r->b.x);
    linear(r, NULL, &r->w->left, r->b.x, r->p->hidden, r->b.low);
    linear(r, NULL, &r->w->right, r->b.low, r->p->rank, r->b.t);
    norm(r, NULL, r->w->laurel_norm, r->b.t, r->p->hidden, r->b.g);
    zoo_add_rows(r->ctx, r->b.x, r->b.g, r->n, r->p->hidden);
    zoo_trace_rows(r->ctx, "laurel", r->b.g, r->n, r->p->hidden);
}

static void activate(const run *r, const zoo_span *span)
{
    const gemma_layer3n *p = r->p;
    low_rank(r);
    r->ctx->part(r->ctx, 0, r->b.x, r->b.t, span);
    norm(r, "post_attention_layernorm", r->w->attn_norm, r->b.t, p->hidden, r->b.t);
    for (uint32_t row = 0; row < r->n; row++) {
        size_t at = (size_t)row * p->hidden;
        r->ctx->kernels->add(r->b.t + at, r->y + row * r->wide + (size_t)p->active * p->hidden,
                             r->b.t + at, p->hidden);
    }
    zoo_add_rows(r->ctx, r->b.t, r->b.g, r->n, p->hidden);
    zoo_scale_rows(r->ctx, (float)sqrt(0.5), r->b.g, r->n, p->hidden);
    r->ctx->part(r->ctx, 1, r->b.g, r->b.t, span);
    norm(r, "post_feedforward_layernorm", r->w->ffn_norm, r->b.t, p->hidden, r->b.t);
    zoo_add_rows(r->ctx, r->b.t, r->b.g, r->n, p->hidden);
}

static void correct(const run *r)
{
    const gemma_layer3n *p = r->p;
    const zoo_kernels *k = r->ctx->kernels;
    route(r, r->b.g, p->hidden);
    linear(r, NULL, &r->w->correct, r->b.modes, p->n_streams, r->b.coefs);
    for (uint32_t row = 0; row < r->n; row++) {
        float *to = r->y + row * r->wide, *change = r->b.g + (size_t)row * p->hidden;
        k->axpy(-1.0f, to + (size_t)p->active * p->hidden, change, p->hidden);
        for (uint32_t i = 0; i < p->n_streams; i++) {
            k->axpy(1.0f + r->b.coefs[(size_t)row * p->n_streams + i], change,
                    to + (size_t)i * p->hidden, p->hidden);
        }
    }
}

static void add_input(const run *r)
{
    const gemma_layer3n *p = r->p;
    const zoo_kernels *k = r->ctx->kernels;
    const float *inputs = gemma_per_layer_inputs(r->ctx, p->inputs, r->n);
    for (uint32_t row = 0; row < r->n; row++) {
        float *f = r->b.x + (size_t)row * p->hidden;
        memcpy(f, r->y + row * r->wide + (size_t)p->active * p->hidden, p->hidden * sizeof(float));
        if (p->scaled) {
            k->mul(f, r->w->output_scale, f, p->hidden);
        }
    }
    linear(r, "per_layer_input_gate", &r->w->gate, r->b.x, p->hidden, r->b.low);
    for (uint32_t row = 0; row < r->n; row++) {
        float *gate = r->b.low + (size_t)row * p->width;
        k->act_mul((zoo_act)p->act, gate,
                   inputs + (size_t)row * p->inputs->total + (size_t)p->index * p->width, gate,
                   p->width);
    }
    linear(r, "per_layer_projection", &r->w->projection, r->b.low, p->width, r->b.t);
    norm(r, "post_per_layer_input_norm", r->w->input_norm, r->b.t, p->hidden, r->b.t);
    for (uint32_t row = 0; row < r->n; row++) {
        for (uint32_t i = 1; i < p->n_streams; i++) {
            float *to = r->y + row * r->wide + (size_t)i * p->hidden;
            k->add(to, r->b.t + (size_t)row * p->hidden, to, p->hidden);
        }
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const gemma_layer3n *p = params;
    zoo_scratch_layout layout = {.ctx = ctx};
    uint32_t n = span->n_rows;
    run r = {ctx, p, own, lay_out(p, n, &layout), n, y, (size_t)p->n_streams * p->hidden};
    (void)cache;
    predict(&r, x);
    activate(&r, span);
    correct(&r);
    add_input(&r);
}

const zoo_block_ops gemma_layer3n_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(gemma_layer3n_weights),
    .name = "layer3n",
    .binds = gemma_layer3n_binds,
    .scratch = scratch,
    .forward = forward,
    .facts = gemma_layer3n_facts,
};
