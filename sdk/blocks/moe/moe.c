/*
 * moe.c: the block of routed experts: router, routes, grouped experts, latent space, shared expert.
 *
 * Memory: logits, routes and outputs of the step's rows in scratch, what the pieces take besides.
 * Tensor names and the rule: moe.h.
 */
#include "blocks/moe/impl.h"

typedef struct moe_buffers {
    float *logits; /* [n_rows, n_experts] */
    zoo_routes routes;
    float *latent_in, *latent_out; /* [n_rows, latent] */
    float *shared;                 /* [n_rows, width_out] */
    float *shared_gate;            /* [n_rows] */
    uint32_t *fixed;               /* [n_rows, top_k] experts by token */
    float *ids;                    /* [top_k] */
} moe_buffers;

static moe_buffers moe_layout(const zoo_moe *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    moe_buffers b = {0};
    size_t n_routes = (size_t)n_rows * p->router.top_k;
    b.logits = zoo_scratch_layout_floats(layout, n_rows, p->router.n_experts);
    b.routes.idx = zoo_scratch_layout_take(layout, n_routes * sizeof(uint32_t));
    b.routes.weight = zoo_scratch_layout_floats(layout, n_routes, 1);
    b.routes.top_k = p->router.top_k;
    b.routes.n_rows = n_rows;
    if (p->latent) {
        b.latent_in = zoo_scratch_layout_floats(layout, n_rows, p->latent);
        b.latent_out = zoo_scratch_layout_floats(layout, n_rows, p->latent);
    }
    if (p->hash_rows) {
        b.fixed = zoo_scratch_layout_take(layout, n_routes * sizeof(uint32_t));
        b.ids = zoo_scratch_layout_floats(layout, 1, p->router.top_k);
    }
    if (p->shared.width) {
        b.shared = zoo_scratch_layout_floats(layout, n_rows, p->width_out);
        b.shared_gate = zoo_scratch_layout_floats(layout, n_rows, 1);
    }
    return b;
}

static size_t moe_scratch(const void *params, const zoo_limits *limits)
{
    const zoo_moe *p = params;
    zoo_scratch_layout layout = {0};
    uint32_t n = limits->rows_max, threads = limits->n_threads;
    (void)moe_layout(p, n, &layout);
    layout.used += zoo_linear_scratch(p->width_in, n);
    layout.used += zoo_moe_route_scratch(&p->router, threads);
    layout.used += zoo_moe_apply_scratch(&p->experts, p->router.top_k, n, threads);
    if (p->latent) {
        layout.used += zoo_linear_scratch(p->width_in, n) + zoo_linear_scratch(p->latent, n);
    }
    if (p->shared.width) {
        layout.used += zoo_mlp_scratch(&p->shared, n, threads) + zoo_linear_scratch(p->width_in, n);
    }
    return layout.used;
}

typedef struct shared_job {
    const zoo_kernels *kernels;
    const zoo_moe *params;
    const moe_buffers *buffers;
    float *y;
} shared_job;

static void shared_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const shared_job *job = arg;
    const zoo_moe *p = job->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *y = job->y + (size_t)row * p->width_out;
        float *gate = job->buffers->shared_gate + row;
        float factor = p->shared_scale;
        if (p->shared_gate) {
            job->kernels->act(ZOO_ACT_SIGMOID, gate, gate, 1);
            factor *= *gate;
        }
        job->kernels->axpy(factor, job->buffers->shared + (size_t)row * p->width_out, y,
                           p->width_out);
    }
}

static void add_shared(zoo_ctx *ctx, const zoo_moe *p, const zoo_moe_weights *w,
                       const moe_buffers *b, const float *x, float *y)
{
    uint32_t n_rows = b->routes.n_rows;
    const zoo_proj gate = {&w->shared_gate, NULL, b->shared_gate, 0};
    shared_job job = {ctx->kernels, p, b, y};
    zoo_mlp_run(ctx, &p->shared, &w->shared, x, b->shared, n_rows);
    if (p->shared_gate) {
        zoo_linear(ctx, &gate, 1, x, p->width_in, n_rows);
    }
    zoo_rows(ctx, n_rows, (size_t)p->width_out * 2, shared_range, &job);
}

static void run_experts(zoo_ctx *ctx, const zoo_moe *p, const zoo_moe_weights *w,
                        const moe_buffers *b, const float *x, float *y)
{
    uint32_t n_rows = b->routes.n_rows;
    if (!p->latent) {
        zoo_moe_apply(ctx, &p->experts, &w->experts, &b->routes, x, y);
        return;
    }
    const zoo_proj down = {&w->latent_down, w->latent_down_bias, b->latent_in, 0};
    const zoo_proj up = {&w->latent_up, w->latent_up_bias, y, 0};
    zoo_linear(ctx, &down, 1, x, p->width_in, n_rows);
    if (p->latent_norm) {
        zoo_norm_rows(ctx, p->latent_norm,
                      (zoo_norm_args){.x = b->latent_in,
                                      .y = b->latent_in,
                                      .weight = w->latent_norm,
                                      .x_stride = p->latent,
                                      .y_stride = p->latent,
                                      .n_rows = n_rows,
                                      .width = p->latent,
                                      .eps = p->latent_eps});
    }
    zoo_moe_apply(ctx, &p->experts, &w->experts, &b->routes, b->latent_in, b->latent_out);
    zoo_linear(ctx, &up, 1, b->latent_out, p->latent, n_rows);
}

/* Experts by token id. A number out of range counts as the last expert. */
static void read_hash(const zoo_moe *p, const zoo_moe_weights *w, const moe_buffers *b,
                      const zoo_span *span)
{
    uint32_t k = p->router.top_k, last = p->router.n_experts - 1;
    for (uint32_t row = 0; row < span->n_rows; row++) {
        w->hash.read(&w->hash, (uint32_t)span->tokens[row], b->ids);
        for (uint32_t i = 0; i < k; i++) {
            bool known = b->ids[i] >= 0 && b->ids[i] <= (float)last;
            b->fixed[(size_t)row * k + i] = known ? (uint32_t)b->ids[i] : last;
        }
    }
}

static void moe_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                        const float *x, float *y, const zoo_span *span)
{
    const zoo_moe *p = params;
    const zoo_moe_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    moe_buffers b = moe_layout(p, span->n_rows, &layout);
    const zoo_proj router = {&w->router, w->router_bias, b.logits, 0};
    zoo_route_args route = {&p->router, b.logits, w->correction_bias, w->expert_scale, NULL};
    (void)cache;
    zoo_linear(ctx, &router, 1, x, p->width_in, span->n_rows);
    if (p->hash_rows) {
        read_hash(p, w, &b, span);
        route.fixed = b.fixed;
    }
    zoo_moe_route(ctx, &route, &b.routes);
    run_experts(ctx, p, w, &b, x, y);
    if (p->routed_scale != 1.0f) {
        zoo_scale_rows(ctx, p->routed_scale, y, span->n_rows, p->width_out);
    }
    if (p->shared.width) {
        add_shared(ctx, p, w, &b, x, y);
    }
}

static zoo_status moe_check(const void *params, zoo_error *err)
{
    const zoo_moe *p = params;
    if (!p->width_in || !p->one) {
        return zoo_fail(err, ZOO_E_INTERNAL, "experts: params without zoo_moe_finish");
    }
    return ZOO_OK;
}

static void moe_explain(const void *params, char *text, size_t n)
{
    const zoo_moe *p = params;
    (void)snprintf(text, n, "%u of %u experts of width %u%s", p->router.top_k, p->router.n_experts,
                   p->experts.width, p->shared.width ? " and a shared one" : "");
}

const zoo_block_ops zoo_moe_ops = {.size = sizeof(zoo_block_ops),
                                   .weights_size = sizeof(zoo_moe_weights),
                                   .name = "moe",
                                   .binds = zoo_moe_binds,
                                   .scratch = moe_scratch,
                                   .check = moe_check,
                                   .prepare = zoo_moe_prepare,
                                   .forward = moe_forward,
                                   .explain = moe_explain,
                                   .facts = zoo_moe_facts};
