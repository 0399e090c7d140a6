/*
 * xielu.c: a feed-forward part without a gate whose activation has learned coefficients.
 *
 *   y = Wd( act(Wu x) ),  act(u) = ap max(u, 0)^2 + an (e^v - 1 - v) + beta u,  v = min(u, 0)
 *   ap = softplus(alpha_p),  an = beta + softplus(alpha_n)
 *
 * Tensors below the block's module: up_proj.weight [width, hidden], down_proj.weight [hidden,
 * width], act_fn.alpha_p, act_fn.alpha_n, act_fn.beta [1]. Memory: [n_rows, width] and one row for
 * each thread twice. Source: Huang and Schlag, "Deriving Activation Functions Using Integration"
 * (2024). The reference's eps, which keeps v from 0 by 1e-6, changes no more than that and is left
 * out.
 */
#include <math.h>
#include <string.h>

#include "blocks/ops.h"
#include "llama.h"

typedef struct weights {
    zoo_weight up, down;
    const float *alpha_p, *alpha_n, *beta;
    const float *minus_one; /* [width] */
    float positive, negative, linear;
} weights;

/* clang-format off */
static const zoo_bind binds[] = {
    ZOO_BIND(weights, up, ZOO_BIND_MATRIX, 0, "up_proj.weight", llama_xielu, width,
             ZOO_AT(llama_xielu, hidden), ZOO_NONE),
    ZOO_BIND(weights, down, ZOO_BIND_MATRIX, 0, "down_proj.weight", llama_xielu, hidden,
             ZOO_AT(llama_xielu, width), ZOO_NONE),
    ZOO_BIND(weights, alpha_p, ZOO_BIND_VECTOR, 0, "act_fn.alpha_p", llama_xielu, one,
             ZOO_NONE, ZOO_NONE),
    ZOO_BIND(weights, alpha_n, ZOO_BIND_VECTOR, 0, "act_fn.alpha_n", llama_xielu, one,
             ZOO_NONE, ZOO_NONE),
    ZOO_BIND(weights, beta, ZOO_BIND_VECTOR, 0, "act_fn.beta", llama_xielu, one,
             ZOO_NONE, ZOO_NONE),
    {.name = NULL}};
/* clang-format on */

static float softplus(float x)
{
    return x > 20.0f ? x : (float)log1p(exp((double)x));
}

static zoo_status prepare(const void *params, void *bound, zoo_setup *setup, zoo_error *err)
{
    const llama_xielu *p = params;
    weights *w = bound;
    float *ones = setup->take(setup, p->width * sizeof *ones);
    if (!ones) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for an activation");
    }
    for (uint32_t i = 0; i < p->width; i++) {
        ones[i] = -1.0f;
    }
    w->minus_one = ones;
    w->linear = w->beta[0];
    w->positive = softplus(w->alpha_p[0]);
    w->negative = w->linear + softplus(w->alpha_n[0]);
    return ZOO_OK;
}

typedef struct xielu_buffers {
    float *inner;       /* [n_rows, width] */
    float *low, *curve; /* [n_threads, width] */
} xielu_buffers;

static xielu_buffers lay_out(const llama_xielu *p, uint32_t n_rows, uint32_t n_threads,
                             zoo_scratch_layout *from)
{
    xielu_buffers r;
    r.inner = zoo_scratch_layout_floats(from, n_rows, p->width);
    r.low = zoo_scratch_layout_floats(from, n_threads, p->width);
    r.curve = zoo_scratch_layout_floats(from, n_threads, p->width);
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const llama_xielu *p = params;
    zoo_scratch_layout from = {0};
    (void)lay_out(p, limits->rows_max, limits->n_threads, &from);
    return from.used + zoo_linear_scratch(p->hidden, limits->rows_max) +
           zoo_linear_scratch(p->width, limits->rows_max);
}

typedef struct job {
    const zoo_kernels *kernels;
    const llama_xielu *params;
    const weights *weights;
    xielu_buffers buffers;
} job;

static void act_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    const weights *w = j->weights;
    const zoo_kernels *k = j->kernels;
    uint32_t n = j->params->width;
    float *low = j->buffers.low + (size_t)worker * n,
          *curve = j->buffers.curve + (size_t)worker * n;
    for (uint32_t row = begin; row < end; row++) {
        float *u = j->buffers.inner + (size_t)row * n;
        k->clamp(-INFINITY, 0.0f, u, low, n);
        k->act(ZOO_ACT_EXP, low, curve, n);
        k->add(curve, w->minus_one, curve, n);
        k->axpy(-1.0f, low, curve, n);
        k->act(ZOO_ACT_RELU2, u, low, n);
        k->scale(w->linear, u, u, n);
        k->axpy(w->negative, curve, u, n);
        k->axpy(w->positive, low, u, n);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_xielu *p = params;
    const weights *w = bound;
    zoo_scratch_layout from = {.ctx = ctx};
    job j = {ctx->kernels, p, w, lay_out(p, span->n_rows, ctx->n_threads, &from)};
    const zoo_proj up = {.weight = &w->up, .y = j.buffers.inner};
    const zoo_proj down = {.weight = &w->down, .y = y};
    (void)cache;
    zoo_linear(ctx, &up, 1, x, p->hidden, span->n_rows);
    zoo_rows(ctx, span->n_rows, (size_t)p->width * 8, act_rows, &j);
    zoo_linear(ctx, &down, 1, j.buffers.inner, p->width, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const llama_xielu *p = params;
    (void)snprintf(text, n, "plain feed-forward %u -> %u -> %u, learned activation", p->hidden,
                   p->width, p->hidden);
}

static void facts(const void *params, const zoo_facts *to)
{
    const llama_xielu *p = params;
    to->text(to, "kind", "feed-forward");
    to->number(to, "inner", p->width);
    to->text(to, "activation", "xielu");
}

const zoo_block_ops llama_xielu_ops = {.size = sizeof(zoo_block_ops),
                                       .weights_size = sizeof(weights),
                                       .name = "xielu",
                                       .binds = binds,
                                       .scratch = scratch,
                                       .prepare = prepare,
                                       .forward = forward,
                                       .explain = explain,
                                       .facts = facts};

zoo_status llama_xielu_part(const zoo_config *c, zoo_setup *setup, uint32_t hidden, zoo_part *out,
                            zoo_error *err)
{
    llama_xielu *p = setup->take(setup, sizeof *p);
    if (!p) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (llama_xielu){
        .hidden = hidden, .width = c->whole(c, "intermediate_size", 4 * hidden), .one = 1};
    if (strcmp(c->text(c, "hidden_act", "xielu"), "xielu") == 0) {
        *out = (zoo_part){
            .ops = &llama_xielu_ops, .params = p, .name = "mlp", .in_scale = 1, .out_scale = 1};
    }
    return ZOO_OK;
}
