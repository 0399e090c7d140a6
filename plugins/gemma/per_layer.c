/*
 * per_layer.c: inputs per layer, from a second embedding table and a projection of the embedding.
 *
 *   token[l] = table[id][l] * sqrt(P);  proj[l] = rms((W x0 / sqrt(H))[l]) * w
 *   input[l] = (proj[l] + token[l]) / sqrt(2)
 *
 * Tensors: embed_tokens_per_layer.weight [vocab, L P], per_layer_model_projection.weight [L P, H],
 * per_layer_projection_norm.weight [P]. Memory: a memo of [n_rows, L P] for the step.
 */
#include <math.h>
#include <string.h>

#include "gemma.h"

typedef struct weights {
    zoo_table table;
    zoo_weight projection;
    const float *norm;
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, table, ZOO_BIND_TABLE, 0, "embed_tokens_per_layer.weight", gemma_per_layer,
             vocab, ZOO_AT(gemma_per_layer, total), ZOO_NONE),
    ZOO_BIND(weights, projection, ZOO_BIND_MATRIX, 0, "per_layer_model_projection.weight",
             gemma_per_layer, total, ZOO_AT(gemma_per_layer, hidden), ZOO_NONE),
    ZOO_BIND(weights, norm, ZOO_BIND_VECTOR, 0, "per_layer_projection_norm.weight", gemma_per_layer,
             width, ZOO_NONE, ZOO_NONE),
    {.name = NULL},
};

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const gemma_per_layer *p = params;
    return zoo_linear_scratch(p->hidden, limits->rows_max) +
           ((size_t)limits->n_threads * p->total + 64) * sizeof(float);
}

typedef struct job {
    const gemma_per_layer *params;
    const weights *weights;
    const zoo_kernels *kernels;
    const zoo_span *span;
    float *inputs, *tokens; /* [n_rows, total]; [n_threads, total] */
} job;

static void rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    const gemma_per_layer *p = j->params;
    float *token = j->tokens + (size_t)worker * p->total;
    for (uint32_t row = begin; row < end; row++) {
        float *input = j->inputs + (size_t)row * p->total;
        uint32_t id = (uint32_t)j->span->tokens[row];
        const zoo_norm_args norm = {.x = input,
                                    .y = input,
                                    .weight = j->weights->norm,
                                    .x_stride = p->width,
                                    .y_stride = p->width,
                                    .n_rows = p->n_layers,
                                    .width = p->width,
                                    .eps = p->eps};
        j->weights->table.read(&j->weights->table, id < p->vocab ? id : 0, token);
        j->kernels->scale(sqrtf((float)p->width), token, token, p->total);
        j->kernels->scale(1.0f / sqrtf((float)p->hidden), input, input, p->total);
        j->kernels->rms_norm(&norm);
        j->kernels->add(input, token, input, p->total);
        j->kernels->scale((float)sqrt(0.5), input, input, p->total);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *w, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const gemma_per_layer *p = params;
    const weights *own = w;
    zoo_scratch_layout layout = {.ctx = ctx};
    bool fresh = false;
    job j = {p,    own,  ctx->kernels,
             span, NULL, zoo_scratch_layout_floats(&layout, ctx->n_threads, p->total)};
    j.inputs = ctx->memo(ctx, p, (size_t)span->n_rows * p->total * sizeof(float), &fresh);
    const zoo_proj projection = {&own->projection, NULL, j.inputs, 0};
    (void)cache;
    zoo_linear(ctx, &projection, 1, x, p->hidden, span->n_rows);
    zoo_rows(ctx, span->n_rows, p->total, rows, &j);
    memcpy(y, x, (size_t)span->n_rows * p->hidden * sizeof(float));
}

const float *gemma_per_layer_inputs(zoo_ctx *ctx, const gemma_per_layer *params, uint32_t n_rows)
{
    bool fresh = false;
    return ctx->memo(ctx, params, (size_t)n_rows * params->total * sizeof(float), &fresh);
}

const zoo_block_ops gemma_per_layer_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "per_layer",
    .binds = binds,
    .scratch = scratch,
    .forward = forward,
    .facts = gemma_per_layer_facts,
};
