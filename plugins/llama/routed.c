/*
 * routed.c: attention whose queries and outputs are experts', over keys and values of all.
 *
 *   routes = top k of Wr x, w their softmax;   q_e = Wq_e x, heads of e over the G shared ones
 *   o_e = attention(q_e, k, v);   y = sum over the chosen e, ascending, of w_e Wo_e o_e + bias
 *
 * Slot i of a row's k routes holds query heads g k + i, so that all of them read key-value head g
 * in one walk. Rows that chose the same expert pass its matrices together. Memory: the rows of one
 * expert, in and out. Source: Shen et al., "JetMoE" (2024).
 */
#include <string.h>

#include "blocks/rows.h"
#include "llama.h"

typedef struct weights {
    zoo_gqa_weights gqa;
    zoo_weight router;
    const zoo_weight *in, *out; /* [experts] */
    const float *bias;
} weights;

/* clang-format off */
static const zoo_bind binds[] = {
#include "blocks/gqa/binds.inc"
#undef ZOO_ROW_WEIGHTS
#undef ZOO_ROW_PARAMS
#define ZOO_ROW_WEIGHTS weights
#define ZOO_ROW_PARAMS llama_routed
    ZOO_ROW_MATRIX(router, "experts.router.layer.weight", ZOO_BIND_EXACT, n_experts,
                   gqa.shape.width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_EXPERTS(in, "experts.input_linear.weight", 0, gqa.derived.k_rows, gqa.shape.width_in,
                    n_experts, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_EXPERTS(out, "experts.output_linear.weight", 0, gqa.shape.width_in, gqa.derived.k_rows,
                    n_experts, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(bias, "experts.bias", gqa.shape.width_in, ZOO_NONE, ZOO_NONE),
    {0}};
/* clang-format on */

typedef struct job {
    gqa_step step;
    const llama_routed *p;
    const weights *w;
    zoo_routes routes;
    float *logits;
    float *wide, *narrow;   /* rows of one expert: [n_rows, width_in], [n_rows, k_rows] */
    uint32_t *rows, *slots; /* [n_rows] which rows, and which of their routes */
} job;

static void lay_out(job *j, const llama_routed *p, uint32_t n, zoo_scratch_layout *layout)
{
    uint32_t top = p->router.top_k;
    j->logits = zoo_scratch_layout_floats(layout, n, p->n_experts);
    j->routes = (zoo_routes){zoo_scratch_layout_take(layout, (size_t)n * top * sizeof(uint32_t)),
                             zoo_scratch_layout_floats(layout, n, top), top, n};
    j->wide = zoo_scratch_layout_floats(layout, n, p->gqa.shape.width_in);
    j->narrow = zoo_scratch_layout_floats(layout, n, p->gqa.derived.k_rows);
    j->rows = zoo_scratch_layout_take(layout, (size_t)n * sizeof(uint32_t));
    j->slots = zoo_scratch_layout_take(layout, (size_t)n * sizeof(uint32_t));
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const llama_routed *p = params;
    zoo_scratch_layout layout = {0};
    job j = {0};
    uint32_t n = limits->rows_max;
    lay_out(&j, p, n, &layout);
    return layout.used + zoo_gqa_scratch(params, limits) +
           zoo_moe_route_scratch(&p->router, limits->n_threads) +
           (p->n_experts + 2) * zoo_linear_scratch(p->gqa.shape.width_in, n) +
           p->n_experts * zoo_linear_scratch(p->gqa.derived.k_rows, n);
}

/* Lists the rows that chose expert e, ascending; returns how many. */
static uint32_t list_rows(const job *j, uint32_t e)
{
    uint32_t n = 0, top = j->routes.top_k;
    for (uint32_t i = 0; i < j->routes.n_rows * top; i++) {
        if (j->routes.idx[i] == e) {
            j->rows[n] = i / top;
            j->slots[n++] = i % top;
        }
    }
    return n;
}

/* Moves the heads of one expert's row, which lie side by side, from or to their places. */
static void move_heads(const job *j, uint32_t i, float *heads, bool to_heads)
{
    const zoo_gqa *p = &j->p->gqa;
    float *narrow = j->narrow + (size_t)i * p->derived.k_rows;
    for (uint32_t g = 0; g < p->shape.n_kv_heads; g++) {
        size_t head = (size_t)j->rows[i] * p->shape.n_heads + g * j->routes.top_k + j->slots[i];
        float *a = heads + head * p->shape.head_dim, *b = narrow + (size_t)g * p->shape.head_dim;
        memcpy(to_heads ? a : b, to_heads ? b : a, p->shape.head_dim * sizeof(float));
    }
}

static void make_queries(job *j, const float *x)
{
    uint32_t width = j->p->gqa.shape.width_in;
    for (uint32_t e = 0; e < j->p->n_experts; e++) {
        uint32_t n = list_rows(j, e);
        const zoo_proj in = {&j->w->in[e], NULL, j->narrow, 0};
        for (uint32_t i = 0; i < n; i++) {
            memcpy(j->wide + (size_t)i * width, x + (size_t)j->rows[i] * width,
                   width * sizeof(float));
        }
        if (n) {
            zoo_linear(j->step.ctx, &in, 1, j->wide, width, n);
        }
        for (uint32_t i = 0; i < n; i++) {
            move_heads(j, i, j->step.buffers.q, true);
        }
    }
}

static void add_outputs(job *j, float *y)
{
    uint32_t width = j->p->gqa.shape.width_in, top = j->routes.top_k;
    for (uint32_t row = 0; row < j->routes.n_rows; row++) {
        memset(y + (size_t)row * width, 0, width * sizeof(float));
    }
    for (uint32_t e = 0; e < j->p->n_experts; e++) {
        uint32_t n = list_rows(j, e);
        const zoo_proj out = {&j->w->out[e], NULL, j->wide, 0};
        for (uint32_t i = 0; i < n; i++) {
            move_heads(j, i, j->step.buffers.out, false);
        }
        if (n) {
            zoo_linear(j->step.ctx, &out, 1, j->narrow, j->p->gqa.derived.k_rows, n);
        }
        for (uint32_t i = 0; i < n; i++) {
            float w = j->routes.weight[(size_t)j->rows[i] * top + j->slots[i]];
            j->step.ctx->kernels->axpy(w, j->wide + (size_t)i * width,
                                       y + (size_t)j->rows[i] * width, width);
        }
    }
    for (uint32_t row = 0; row < j->routes.n_rows; row++) {
        float *at = y + (size_t)row * width;
        j->step.ctx->kernels->add(at, j->w->bias, at, width);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_routed *p = params;
    const weights *w = bound;
    zoo_scratch_layout layout = {.ctx = ctx};
    job j = {.step = zoo_gqa_begin(ctx, &p->gqa, &w->gqa, cache, span), .p = p, .w = w};
    lay_out(&j, p, span->n_rows, &layout);
    const zoo_proj proj[] = {{&w->router, NULL, j.logits, 0},
                             {&w->gqa.k, NULL, j.step.buffers.k, 0},
                             {&w->gqa.v, NULL, j.step.buffers.v, 0}};
    zoo_linear(ctx, proj, 3, x, p->gqa.shape.width_in, span->n_rows);
    const zoo_route_args route = {.router = &p->router, .logits = j.logits};
    zoo_moe_route(ctx, &route, &j.routes);
    make_queries(&j, x);
    zoo_gqa_shape_rows(&j.step);
    zoo_gqa_attend(&j.step);
    add_outputs(&j, y);
}

static void explain(const void *params, char *text, size_t n)
{
    const llama_routed *p = params;
    (void)snprintf(text, n, "%u of %u experts of %u query heads, key-value heads of %u",
                   p->router.top_k, p->n_experts, p->gqa.shape.n_kv_heads, p->gqa.shape.head_dim);
}

const zoo_block_ops llama_routed_ops = {.size = sizeof(zoo_block_ops),
                                        .weights_size = sizeof(weights),
                                        .name = "routed",
                                        .binds = binds,
                                        .streams = zoo_gqa_streams,
                                        .scratch = scratch,
                                        .check = zoo_gqa_check,
                                        .forward = forward,
                                        .explain = explain,
                                        .facts = llama_routed_facts};
