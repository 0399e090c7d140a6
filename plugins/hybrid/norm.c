/*
 * norm.c: a norm as a part of its own, for norms that stand before no block of their layer or whose
 * weights belong to another layer; without a norm it only scales.
 *
 * Tensors at the block's path: weight [width], and bias [width] of a layer norm. Memory: none.
 */
#include "blocks/rows.h"
#include "hybrid.h"

typedef struct norm_params {
    uint32_t kind; /* zoo_norm_kind */
    uint32_t width, has_weight, has_bias;
    float eps;
} norm_params;

typedef struct norm_weights {
    const float *weight, *bias;
} norm_weights;

#define ZOO_ROW_WEIGHTS norm_weights
#define ZOO_ROW_PARAMS  norm_params

static const zoo_bind binds[] = {
    ZOO_ROW_VECTOR(weight, "weight", width, ZOO_NONE, ZOO_ROW_AT(has_weight)),
    ZOO_ROW_VECTOR(bias, "bias", width, ZOO_NONE, ZOO_ROW_AT(has_bias)),
    {0}};

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const norm_params *p = params;
    const norm_weights *w = weights;
    const zoo_norm_args args = {.x = x,
                                .y = y,
                                .weight = w->weight,
                                .bias = w->bias,
                                .x_stride = p->width,
                                .y_stride = p->width,
                                .n_rows = span->n_rows,
                                .width = p->width,
                                .eps = p->eps};
    (void)cache;
    zoo_norm_rows(ctx, p->kind, args);
}

zoo_status hybrid_norm_part(zoo_decoder *b, const char *path, const char *name, uint32_t width,
                            zoo_part *out)
{
    norm_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p || !path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (norm_params){b->norm_kind, width, 1, b->norm_bias, b->eps};
    *out = (zoo_part){.ops = &hybrid_norm_ops,
                      .params = p,
                      .name = name,
                      .path = path,
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = width,
                      .width_out = width};
    return ZOO_OK;
}

zoo_status hybrid_scale_part(zoo_decoder *b, const char *name, float scale, zoo_part *out)
{
    norm_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width = b->hidden;
    *out = (zoo_part){
        .ops = &hybrid_norm_ops, .params = p, .name = name, .in_scale = 1.0f, .out_scale = scale};
    return ZOO_OK;
}

const zoo_block_ops hybrid_norm_ops = {.size = sizeof(zoo_block_ops),
                                       .weights_size = sizeof(norm_weights),
                                       .name = "norm",
                                       .binds = binds,
                                       .forward = forward};
