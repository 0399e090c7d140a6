/*
 * experts4.c: routed experts whose router reads the residual stream itself.
 *
 *   logits = W_r( rms(h) * scale / sqrt(H) )
 *   w = softmax over all, the top k renormalised, times per_expert_scale
 *   y = sum w_e expert_e( pre_feedforward_layernorm_2(h) )
 *
 * Tensors stand beside each other in the layer: router.*, experts.*, pre_feedforward_layernorm_2.
 */
#include <math.h>

#include "gemma.h"

typedef struct weights {
    zoo_weight router;
    const float *scale, *expert_scale, *norm;
    zoo_expert_weights experts;
} weights;

#define STACK(f, name_, rows_, cols_, map_)                                                        \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_EXPERTS, .field = (uint32_t)offsetof(weights, experts.f),  \
        .rows = ZOO_AT(gemma_experts4, rows_), .cols = ZOO_AT(gemma_experts4, cols_),              \
        .experts = ZOO_AT(gemma_experts4, n_experts), .map = map_, .when = ZOO_NONE                \
    }

static const zoo_bind binds[] = {
    ZOO_BIND(weights, router, ZOO_BIND_MATRIX, ZOO_BIND_EXACT, "router.proj.weight", gemma_experts4,
             n_experts, ZOO_AT(gemma_experts4, hidden), ZOO_NONE),
    ZOO_BIND(weights, scale, ZOO_BIND_VECTOR, 0, "router.scale", gemma_experts4, hidden, ZOO_NONE,
             ZOO_NONE),
    ZOO_BIND(weights, expert_scale, ZOO_BIND_VECTOR, 0, "router.per_expert_scale", gemma_experts4,
             n_experts, ZOO_NONE, ZOO_NONE),
    ZOO_BIND(weights, norm, ZOO_BIND_VECTOR, 0, "pre_feedforward_layernorm_2.weight",
             gemma_experts4, hidden, ZOO_NONE, ZOO_NONE),
    STACK(gate, "experts.gate_up_proj", width, hidden, ZOO_AT(gemma_experts4, gate_map)),
    STACK(up, "experts.gate_up_proj", width, hidden, ZOO_AT(gemma_experts4, up_map)),
    STACK(down, "experts.down_proj", hidden, width, ZOO_NONE),
    {.name = NULL},
};

typedef struct buffers {
    float *normed, *logits;
    zoo_routes routes;
} buffers;

static buffers lay_out(const gemma_experts4 *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    buffers b = {.normed = zoo_scratch_layout_floats(layout, n_rows, p->hidden),
                 .logits = zoo_scratch_layout_floats(layout, n_rows, p->n_experts),
                 .routes = {.top_k = p->router.top_k, .n_rows = n_rows}};
    b.routes.idx =
        zoo_scratch_layout_take(layout, (size_t)n_rows * p->router.top_k * sizeof(uint32_t));
    b.routes.weight = zoo_scratch_layout_floats(layout, n_rows, p->router.top_k);
    return b;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const gemma_experts4 *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(p->hidden, limits->rows_max) +
           zoo_moe_route_scratch(&p->router, limits->n_threads) +
           zoo_moe_apply_scratch(&p->experts, p->router.top_k, limits->rows_max, limits->n_threads);
}

static void norm(zoo_ctx *ctx, const gemma_experts4 *p, const float *weight, const float *x,
                 float *y, uint32_t n)
{
    const zoo_norm_args args = {.x = x,
                                .y = y,
                                .weight = weight,
                                .x_stride = p->hidden,
                                .y_stride = p->hidden,
                                .n_rows = n,
                                .width = p->hidden,
                                .eps = p->eps};
    zoo_norm_rows(ctx, ZOO_NORM_RMS, args);
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const gemma_experts4 *p = params;
    const weights *w = own;
    zoo_scratch_layout layout = {.ctx = ctx};
    buffers b = lay_out(p, span->n_rows, &layout);
    const zoo_proj router = {&w->router, NULL, b.logits, 0};
    const zoo_route_args route = {&p->router, b.logits, NULL, w->expert_scale, NULL};
    (void)cache;
    norm(ctx, p, w->scale, x, b.normed, span->n_rows);
    zoo_scale_rows(ctx, 1.0f / sqrtf((float)p->hidden), b.normed, span->n_rows, p->hidden);
    zoo_linear(ctx, &router, 1, b.normed, p->hidden, span->n_rows);
    zoo_moe_route(ctx, &route, &b.routes);
    norm(ctx, p, w->norm, x, b.normed, span->n_rows);
    zoo_trace_rows(ctx, "pre_feedforward_layernorm_2", b.normed, span->n_rows, p->hidden);
    zoo_moe_apply(ctx, &p->experts, &w->experts, &b.routes, b.normed, y);
}

const zoo_block_ops gemma_experts4_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "experts4",
    .binds = binds,
    .scratch = scratch,
    .forward = forward,
    .facts = gemma_experts4_facts,
};
