/*
 * route.c: from router logits to routes, row by row (the rule: zoo_router in moe.h).
 *
 * Few values a row, so plain loops; exponentials and the choice itself are kernel slots. Ties take
 * the lower index. Memory: three rows of n_experts floats for each worker.
 */
#include "blocks/moe/impl.h"

#include <math.h>
#include <string.h>

typedef struct route_job {
    const zoo_kernels *kernels;
    const zoo_route_args *args;
    zoo_routes *routes;
    float *work;     /* [n_threads, 3 n_experts] */
    uint32_t *picks; /* [n_threads, n_experts] */
} route_job;

size_t zoo_moe_route_scratch(const zoo_router *router, uint32_t n_threads)
{
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, n_threads, (size_t)router->n_experts * 3);
    (void)zoo_scratch_layout_floats(&layout, n_threads, router->n_experts);
    return layout.used;
}

static float renorm_divisor(const zoo_router *r, const float *w)
{
    float sum = 0;
    for (uint32_t i = 0; i < r->top_k; i++) {
        sum += r->renorm == ZOO_RENORM_P ? powf(fabsf(w[i]), r->renorm_eps) : w[i];
    }
    switch (r->renorm) {
    case ZOO_RENORM_SUM:
        return sum + r->renorm_eps;
    case ZOO_RENORM_FLOOR:
        return fmaxf(sum, r->renorm_eps);
    case ZOO_RENORM_P:
        return powf(sum, 1.0f / r->renorm_eps);
    default:
        return 1.0f;
    }
}

/* From chosen scores to final weights. */
static void weigh(const zoo_kernels *k, const zoo_route_args *args, const uint32_t *idx, float *w)
{
    const zoo_router *r = args->router;
    if (r->chosen == ZOO_CHOSEN_SOFTMAX) {
        k->softmax(w, w, r->top_k);
    } else if (r->chosen == ZOO_CHOSEN_SIGMOID) {
        k->act(ZOO_ACT_SIGMOID, w, w, r->top_k);
    }
    float divisor = renorm_divisor(r, w);
    for (uint32_t i = 0; i < r->top_k; i++) {
        w[i] = w[i] / divisor * (r->scale != 0 ? r->scale : 1.0f);
        w[i] *= args->expert_scale ? args->expert_scale[idx[i]] : 1.0f;
    }
}

/* Ascending expert numbers: the order in which a row adds its experts. */
static void sort_routes(uint32_t *idx, float *w, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        uint32_t e = idx[i], j = i;
        float x = w[i];
        for (; j > 0 && idx[j - 1] > e; j--) {
            idx[j] = idx[j - 1];
            w[j] = w[j - 1];
        }
        idx[j] = e;
        w[j] = x;
    }
}

static void route_row(const route_job *job, uint32_t row, uint32_t worker)
{
    const zoo_router *r = job->args->router;
    float *scores = job->args->logits + (size_t)row * r->n_experts;
    float *choice = job->work + (size_t)worker * r->n_experts * 3;
    uint32_t *picks = job->picks + (size_t)worker * r->n_experts;
    uint32_t *idx = job->routes->idx + (size_t)row * r->top_k;
    float *w = job->routes->weight + (size_t)row * r->top_k;
    zoo_moe_score(job->kernels, r, scores);
    if (r->score == ZOO_SCORE_SPARSEMIXER) {
        zoo_moe_sparsemixer(r, scores, choice, idx, w);
        sort_routes(idx, w, r->top_k);
        return;
    }
    memcpy(choice, scores, r->n_experts * sizeof(float));
    if (job->args->bias) {
        job->kernels->add(choice, job->args->bias, choice, r->n_experts);
    }
    if (r->n_groups > 1) {
        zoo_moe_refuse_groups(job->kernels, r, choice, choice + r->n_experts, picks);
    }
    job->kernels->topk(choice, r->n_experts, r->top_k, idx);
    for (uint32_t i = 0; i < r->top_k; i++) {
        idx[i] = job->args->fixed ? job->args->fixed[(size_t)row * r->top_k + i] : idx[i];
        w[i] = scores[idx[i]];
    }
    weigh(job->kernels, job->args, idx, w);
    sort_routes(idx, w, r->top_k);
}

static void route_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    for (uint32_t row = begin; row < end; row++) {
        route_row(arg, row, worker);
    }
}

void zoo_moe_route(zoo_ctx *ctx, const zoo_route_args *args, zoo_routes *routes)
{
    zoo_scratch_layout layout = {.ctx = ctx};
    uint32_t n = args->router->n_experts;
    route_job job = {.kernels = ctx->kernels, .args = args, .routes = routes};
    job.work = zoo_scratch_layout_floats(&layout, ctx->n_threads, (size_t)n * 3);
    job.picks = zoo_scratch_layout_take(&layout, (size_t)ctx->n_threads * n * sizeof(uint32_t));
    zoo_rows(ctx, routes->n_rows, (size_t)n * 8, route_range, &job);
}
