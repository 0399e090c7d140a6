/*
 * recalled.c: experts whose router is a small network that recalls the router of the layer before.
 *
 *   s = Wd x + b [+ scale * s of the layer before];   m = out gelu(W2 gelu(W1 norm(s) + b1) + b2)
 *   p = softmax(m) over the experts and one that gives nothing;  e = argmax(p + balance)
 *   y = p_e expert_e(x)
 *
 * s lies in a memo of the step, where the next layer finds it. Equal values take the lower expert.
 * Source: ZAYA1 (2025).
 */
#include <string.h>

#include "recalled.h"

typedef struct recalled_buffers {
    float *state, *a, *b; /* [n_rows, rank] */
    float *logits;        /* [n_rows, classes] */
    zoo_routes routes;
} recalled_buffers;

static recalled_buffers lay_out(const recalled_params *p, uint32_t n, zoo_scratch_layout *layout)
{
    recalled_buffers r = {.state = zoo_scratch_layout_floats(layout, n, p->rank),
                          .a = zoo_scratch_layout_floats(layout, n, p->rank),
                          .b = zoo_scratch_layout_floats(layout, n, p->rank),
                          .logits = zoo_scratch_layout_floats(layout, n, p->classes)};
    r.routes = (zoo_routes){.idx = zoo_scratch_layout_take(layout, n * sizeof(uint32_t)),
                            .weight = zoo_scratch_layout_floats(layout, n, 1),
                            .top_k = 1,
                            .n_rows = n};
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const recalled_params *p = params;
    uint32_t n = limits->rows_max;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, n, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, n) + 3 * zoo_linear_scratch(p->rank, n) +
           zoo_moe_apply_scratch(&p->experts, 1, n, limits->n_threads);
}

/* One expert for each row; the empty one is expert 0 with weight 0. */
static void choose(zoo_ctx *ctx, const recalled_params *p, const recalled_weights *w,
                   const recalled_buffers *r)
{
    for (uint32_t row = 0; row < r->routes.n_rows; row++) {
        float *share = r->logits + (size_t)row * p->classes;
        uint32_t best = 0;
        ctx->kernels->softmax(share, share, p->classes);
        for (uint32_t e = 1; e < p->classes; e++) {
            best = share[e] + w->balance[e] > share[best] + w->balance[best] ? e : best;
        }
        bool empty = best == p->experts.n;
        r->routes.idx[row] = empty ? 0 : best;
        r->routes.weight[row] = empty ? 0.0f : share[best];
    }
}

/* s of every row, from that of the layer before, and left for the next one. */
static void recall(zoo_ctx *ctx, const recalled_params *p, const recalled_weights *w, float *state,
                   uint32_t n)
{
    bool fresh;
    float *memory = ctx->memo(ctx, p->memory, (size_t)n * p->rank * sizeof(float), &fresh);
    for (uint32_t row = 0; row < n; row++) {
        float *s = state + (size_t)row * p->rank, *before = memory + (size_t)row * p->rank;
        if (p->recalls) {
            ctx->kernels->mul(before, w->scale, before, p->rank);
            ctx->kernels->add(s, before, s, p->rank);
        }
        memcpy(before, s, p->rank * sizeof(float));
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const recalled_params *p = params;
    const recalled_weights *w = weights;
    uint32_t n = span->n_rows, rank = p->rank;
    zoo_scratch_layout layout = {.ctx = ctx};
    recalled_buffers r = lay_out(p, n, &layout);
    const zoo_proj down = {&w->down, w->down_bias, r.state, 0};
    const zoo_proj first = {&w->first, w->first_bias, r.b, 0};
    const zoo_proj second = {&w->second, w->second_bias, r.a, 0},
                   out = {&w->out, NULL, r.logits, 0};
    (void)cache;
    zoo_linear(ctx, &down, 1, x, p->width_in, n);
    recall(ctx, p, w, r.state, n);
    zoo_norm_rows(ctx, ZOO_NORM_RMS,
                  (zoo_norm_args){.x = r.state,
                                  .y = r.a,
                                  .weight = w->norm,
                                  .x_stride = rank,
                                  .y_stride = rank,
                                  .n_rows = n,
                                  .width = rank,
                                  .eps = p->eps});
    zoo_linear(ctx, &first, 1, r.a, rank, n);
    zoo_act_rows(ctx, ZOO_ACT_GELU, r.b, r.b, n, rank);
    zoo_linear(ctx, &second, 1, r.b, rank, n);
    zoo_act_rows(ctx, ZOO_ACT_GELU, r.a, r.a, n, rank);
    zoo_linear(ctx, &out, 1, r.a, rank, n);
    choose(ctx, p, w, &r);
    zoo_moe_apply(ctx, &p->experts, &w->experts, &r.routes, x, y);
}

static zoo_status prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const recalled_params *p = params;
    const recalled_weights *w = weights;
    (void)setup;
    return zoo_experts_check(&p->experts, &w->experts, err);
}

const zoo_block_ops hybrid_recalled_ops = {.size = sizeof(zoo_block_ops),
                                           .weights_size = sizeof(recalled_weights),
                                           .name = "recalled",
                                           .binds = hybrid_recalled_binds,
                                           .scratch = scratch,
                                           .prepare = prepare,
                                           .forward = forward,
                                           .explain = hybrid_recalled_explain,
                                           .facts = hybrid_recalled_facts};
