/*
 * products.c: experts of one inner value each, found by product keys.
 *
 *   [a | b] = W x, n_keys each;  expert e = (i, j) = i n_keys + j scores a_i + b_j
 *   w = softmax over the top k of all pairs;   y = sum_e w_e act(d_e . x) u_e
 *
 * d_e and u_e are rows of two tables. Of each half only its top k can be in the top k of the sums.
 * Tensors below the block's module: router_gate.weight [2 n_keys, in], down_embed.weight,
 * up_embed.weight [n_experts, in]. Memory: the keys' scores of the rows; for each worker k^2 sums.
 */
#include <string.h>

#include "llama.h"

typedef struct weights {
    zoo_weight router;
    zoo_table down, up;
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, router, ZOO_BIND_MATRIX, ZOO_BIND_EXACT, "router_gate.weight", llama_products,
             key_rows, ZOO_AT(llama_products, width), ZOO_NONE),
    ZOO_BIND(weights, down, ZOO_BIND_TABLE, 0, "down_embed.weight", llama_products, n_experts,
             ZOO_AT(llama_products, width), ZOO_NONE),
    ZOO_BIND(weights, up, ZOO_BIND_TABLE, 0, "up_embed.weight", llama_products, n_experts,
             ZOO_AT(llama_products, width), ZOO_NONE),
    {.name = NULL},
};

typedef struct worker_buffers {
    uint32_t *a, *b, *best; /* [k] each */
    float *sums, *w, *row;  /* [k k], [k], [width] */
} worker_buffers;

typedef struct job {
    const llama_products *p;
    const weights *w;
    const zoo_kernels *kernels;
    const float *x;
    float *y, *score;        /* score [n_rows, 2 n_keys] */
    worker_buffers *workers; /* [n_threads] */
} job;

static void lay_out(job *j, const llama_products *p, uint32_t n_rows, uint32_t n_threads,
                    zoo_scratch_layout *layout)
{
    uint32_t k = p->top_k;
    j->score = zoo_scratch_layout_floats(layout, n_rows, p->key_rows);
    j->workers = zoo_scratch_layout_take(layout, n_threads * sizeof *j->workers);
    for (uint32_t i = 0; i < n_threads; i++) {
        worker_buffers r = {zoo_scratch_layout_take(layout, k * sizeof(uint32_t)),
                            zoo_scratch_layout_take(layout, k * sizeof(uint32_t)),
                            zoo_scratch_layout_take(layout, k * sizeof(uint32_t)),
                            zoo_scratch_layout_floats(layout, k, k),
                            zoo_scratch_layout_floats(layout, 1, k),
                            zoo_scratch_layout_floats(layout, 1, p->width)};
        if (j->workers) {
            j->workers[i] = r;
        }
    }
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const llama_products *p = params;
    zoo_scratch_layout layout = {0};
    job j = {0};
    lay_out(&j, p, limits->rows_max, limits->n_threads, &layout);
    return layout.used + zoo_linear_scratch(p->width, limits->rows_max);
}

/* best: places of the top k among the sums of the n best of each half, w their softmax. */
static void choose(const job *j, const worker_buffers *r, const float *score, uint32_t n)
{
    const llama_products *p = j->p;
    j->kernels->topk(score, p->n_keys, n, r->a);
    j->kernels->topk(score + p->n_keys, p->n_keys, n, r->b);
    for (uint32_t i = 0; i < n * n; i++) {
        r->sums[i] = score[r->a[i / n]] + score[p->n_keys + r->b[i % n]];
    }
    j->kernels->topk(r->sums, n * n, p->top_k, r->best);
    for (uint32_t i = 0; i < p->top_k; i++) {
        r->w[i] = r->sums[r->best[i]];
    }
    j->kernels->softmax(r->w, r->w, p->top_k);
}

static void rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    const llama_products *p = j->p;
    const worker_buffers *r = &j->workers[worker];
    uint32_t n = p->top_k < p->n_keys ? p->top_k : p->n_keys;
    for (uint32_t row = begin; row < end; row++) {
        const float *x = j->x + (size_t)row * p->width;
        float *y = j->y + (size_t)row * p->width;
        choose(j, r, j->score + (size_t)row * p->key_rows, n);
        memset(y, 0, p->width * sizeof(float));
        for (uint32_t i = 0; i < p->top_k; i++) {
            uint32_t e = r->a[r->best[i] / n] * p->n_keys + r->b[r->best[i] % n];
            j->w->down.read(&j->w->down, e, r->row);
            float z = j->kernels->dot(r->row, x, p->width);
            j->kernels->act((zoo_act)p->act, &z, &z, 1);
            j->w->up.read(&j->w->up, e, r->row);
            j->kernels->axpy(z * r->w[i], r->row, y, p->width);
        }
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_products *p = params;
    const weights *w = bound;
    zoo_scratch_layout layout = {.ctx = ctx};
    job j = {.p = p, .w = w, .kernels = ctx->kernels, .x = x, .y = y};
    (void)cache;
    lay_out(&j, p, span->n_rows, ctx->n_threads, &layout);
    const zoo_proj router = {&w->router, NULL, j.score, 0};
    zoo_linear(ctx, &router, 1, x, p->width, span->n_rows);
    zoo_rows(ctx, span->n_rows, (size_t)p->top_k * p->width * 2, rows, &j);
}

static void explain(const void *params, char *text, size_t n)
{
    const llama_products *p = params;
    (void)snprintf(text, n, "%u of %u experts of one value, found by two halves of %u keys",
                   p->top_k, p->n_experts, p->n_keys);
}

const zoo_block_ops llama_products_ops = {.size = sizeof(zoo_block_ops),
                                          .weights_size = sizeof(weights),
                                          .name = "products",
                                          .binds = binds,
                                          .scratch = scratch,
                                          .forward = forward,
                                          .explain = explain,
                                          .facts = llama_products_facts};
