/*
 * layer4.c: a layer with norms around both branches, experts beside the mlp, an input of its own
 * and a scalar.
 *
 *   h = h + n1 attn(n0 h)                                 part 0, normed
 *   m = mlp(n2 h)                                         part 1, normed
 *   m = post_1(m) + post_2(experts(h))                    part 2, where there are experts
 *   h = h + n3 m
 *   h = h + post_input( W_p( act(W_g h) * input[l] ) )    where there are per-layer inputs
 *   h = h * layer_scalar
 *
 * Memory: three row buffers of scratch.
 */
#include <string.h>

#include "gemma.h"

typedef struct weights {
    const float *attn_norm, *ffn_norm, *ffn_norm_1, *ffn_norm_2, *input_norm, *scalar;
    zoo_weight gate, projection;
} weights;

#define NORM(f, name, when)                                                                        \
    ZOO_BIND(weights, f, ZOO_BIND_VECTOR, 0, name ".weight", gemma_layer4, hidden, ZOO_NONE, when)

static const zoo_bind binds[] = {
    NORM(attn_norm, "post_attention_layernorm", ZOO_NONE),
    NORM(ffn_norm, "post_feedforward_layernorm", ZOO_NONE),
    NORM(ffn_norm_1, "post_feedforward_layernorm_1", ZOO_AT(gemma_layer4, has_experts)),
    NORM(ffn_norm_2, "post_feedforward_layernorm_2", ZOO_AT(gemma_layer4, has_experts)),
    NORM(input_norm, "post_per_layer_input_norm", ZOO_AT(gemma_layer4, has_inputs)),
    ZOO_BIND(weights, gate, ZOO_BIND_MATRIX, 0, "per_layer_input_gate.weight", gemma_layer4, width,
             ZOO_AT(gemma_layer4, hidden), ZOO_AT(gemma_layer4, has_inputs)),
    ZOO_BIND(weights, projection, ZOO_BIND_MATRIX, 0, "per_layer_projection.weight", gemma_layer4,
             hidden, ZOO_AT(gemma_layer4, width), ZOO_AT(gemma_layer4, has_inputs)),
    ZOO_BIND(weights, scalar, ZOO_BIND_VECTOR, 0, "layer_scalar", gemma_layer4, one, ZOO_NONE,
             ZOO_NONE),
    {.name = NULL},
};

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const gemma_layer4 *p = params;
    return ((size_t)limits->rows_max * (2 * p->hidden + p->width) + 256) * sizeof(float) +
           zoo_linear_scratch(p->hidden, limits->rows_max) +
           zoo_linear_scratch(p->width, limits->rows_max);
}

static void norm(zoo_ctx *ctx, const gemma_layer4 *p, const char *name, const float *weight,
                 float *x, uint32_t n_rows)
{
    const zoo_norm_args args = {.x = x,
                                .y = x,
                                .weight = weight,
                                .x_stride = p->hidden,
                                .y_stride = p->hidden,
                                .n_rows = n_rows,
                                .width = p->hidden,
                                .eps = p->eps};
    zoo_norm_rows(ctx, ZOO_NORM_RMS, args);
    zoo_trace_rows(ctx, name, x, n_rows, p->hidden);
}

typedef struct gate_job {
    const gemma_layer4 *params;
    const zoo_kernels *kernels;
    const float *inputs;
    float *gate;
} gate_job;

static void gate_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const gate_job *j = arg;
    const gemma_layer4 *p = j->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *gate = j->gate + (size_t)row * p->width;
        const float *input =
            j->inputs + (size_t)row * p->inputs->total + (size_t)p->index * p->width;
        j->kernels->act_mul((zoo_act)p->act, gate, input, gate, p->width);
    }
}

static void add_input(zoo_ctx *ctx, const gemma_layer4 *p, const weights *w, float *h, float *t,
                      uint32_t n_rows)
{
    zoo_scratch_layout layout = {.ctx = ctx};
    float *gate = zoo_scratch_layout_floats(&layout, n_rows, p->width);
    gate_job job = {p, ctx->kernels, gemma_per_layer_inputs(ctx, p->inputs, n_rows), gate};
    const zoo_proj in = {&w->gate, NULL, gate, 0}, out = {&w->projection, NULL, t, 0};
    zoo_linear(ctx, &in, 1, h, p->hidden, n_rows);
    zoo_trace_rows(ctx, "per_layer_input_gate", gate, n_rows, p->width);
    zoo_rows(ctx, n_rows, (size_t)p->width * 4, gate_rows, &job);
    zoo_linear(ctx, &out, 1, gate, p->width, n_rows);
    zoo_trace_rows(ctx, "per_layer_projection", t, n_rows, p->hidden);
    norm(ctx, p, "post_per_layer_input_norm", w->input_norm, t, n_rows);
    zoo_add_rows(ctx, t, h, n_rows, p->hidden);
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const gemma_layer4 *p = params;
    const weights *w = own;
    zoo_scratch_layout layout = {.ctx = ctx};
    uint32_t n = span->n_rows;
    float *t = zoo_scratch_layout_floats(&layout, n, p->hidden),
          *u = zoo_scratch_layout_floats(&layout, n, p->hidden);
    (void)cache;
    ctx->part(ctx, 0, x, t, span);
    norm(ctx, p, "post_attention_layernorm", w->attn_norm, t, n);
    memmove(y, x, (size_t)n * p->hidden * sizeof(float));
    zoo_add_rows(ctx, t, y, n, p->hidden);
    ctx->part(ctx, 1, y, t, span);
    if (p->has_experts) {
        norm(ctx, p, "post_feedforward_layernorm_1", w->ffn_norm_1, t, n);
        ctx->part(ctx, 2, y, u, span);
        norm(ctx, p, "post_feedforward_layernorm_2", w->ffn_norm_2, u, n);
        zoo_add_rows(ctx, u, t, n, p->hidden);
    }
    norm(ctx, p, "post_feedforward_layernorm", w->ffn_norm, t, n);
    zoo_add_rows(ctx, t, y, n, p->hidden);
    if (p->has_inputs) {
        add_input(ctx, p, w, y, t, n);
    }
    zoo_scale_rows(ctx, w->scalar[0], y, n, p->hidden);
}

const zoo_block_ops gemma_layer4_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "layer4",
    .binds = binds,
    .scratch = scratch,
    .forward = forward,
    .facts = gemma_layer4_facts,
};
