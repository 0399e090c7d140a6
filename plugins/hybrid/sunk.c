/*
 * sunk.c: the block of experts whose shared ones take part in the choice's weights (sunk.h).
 *
 * Memory: logits and routes of the step's rows, and what grouped experts take.
 */
#include <math.h>
#include <string.h>

#include "sunk.h"

typedef struct sunk_buffers {
    float *logits; /* [n_rows, n_routed + n_shared] */
    zoo_routes routes;
} sunk_buffers;

static sunk_buffers lay_out(const sunk_params *p, uint32_t n, zoo_scratch_layout *layout)
{
    size_t n_routes = (size_t)n * p->router.top_k;
    sunk_buffers r = {.logits = zoo_scratch_layout_floats(layout, n, p->router.n_experts)};
    r.routes = (zoo_routes){.idx = zoo_scratch_layout_take(layout, n_routes * sizeof(uint32_t)),
                            .weight = zoo_scratch_layout_floats(layout, n_routes, 1),
                            .top_k = p->router.top_k,
                            .n_rows = n};
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const sunk_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, limits->rows_max) +
           zoo_moe_route_scratch(&p->router, limits->n_threads) +
           zoo_moe_apply_scratch(&p->experts, p->router.top_k, limits->rows_max, limits->n_threads);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const sunk_params *p = params;
    const sunk_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    sunk_buffers r = lay_out(p, span->n_rows, &layout);
    const zoo_proj router = {&w->router, NULL, r.logits, 0};
    const zoo_route_args args = {&p->router, r.logits, w->correction, w->factor, NULL};
    (void)cache;
    zoo_linear(ctx, &router, 1, x, p->width_in, span->n_rows);
    zoo_moe_route(ctx, &args, &r.routes);
    zoo_moe_apply(ctx, &p->experts, &w->experts, &r.routes, x, y);
}

/* One array of the matrices of routed and shared experts. */
static const zoo_weight *join(const sunk_params *p, const zoo_weight *routed,
                              const zoo_weight *shared, zoo_setup *setup)
{
    zoo_weight *all = setup->take(setup, p->experts.n * sizeof *all);
    if (all) {
        memcpy(all, routed, p->n_routed * sizeof *all);
        memcpy(all + p->n_routed, shared, p->n_shared * sizeof *all);
    }
    return all;
}

static zoo_status prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const sunk_params *p = params;
    sunk_weights *w = weights;
    float *correction = setup->take(setup, p->experts.n * sizeof *correction);
    float *factor = setup->take(setup, p->experts.n * sizeof *factor);
    w->experts.gate = join(p, w->routed.gate, w->shared.gate, setup);
    w->experts.up = join(p, w->routed.up, w->shared.up, setup);
    w->experts.down = join(p, w->routed.down, w->shared.down, setup);
    if (!correction || !factor || !w->experts.gate || !w->experts.up || !w->experts.down) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the list of experts");
    }
    for (uint32_t e = 0; e < p->experts.n; e++) {
        correction[e] = e < p->n_routed ? w->correction[e] : INFINITY;
        factor[e] = w->global[0];
    }
    w->correction = correction;
    w->factor = factor;
    return zoo_experts_check(&p->experts, &w->experts, err);
}

const zoo_block_ops hybrid_sunk_ops = {.size = sizeof(zoo_block_ops),
                                       .weights_size = sizeof(sunk_weights),
                                       .name = "sunk",
                                       .binds = hybrid_sunk_binds,
                                       .scratch = scratch,
                                       .prepare = prepare,
                                       .forward = forward,
                                       .explain = hybrid_sunk_explain,
                                       .facts = hybrid_sunk_facts};
