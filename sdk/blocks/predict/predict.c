/*
 * predict.c: see predict.h. Memory: rows [n_rows, 2 width] of scratch.
 */
#include "blocks/predict/predict.h"

#include "blocks/ops.h"

typedef struct predict_weights {
    const float *embed_norm, *hidden_norm; /* [width] */
    zoo_weight proj;                       /* [width, 2 width] */
} predict_weights;

#define NORM(f, name_, flags_)                                                                     \
    ZOO_BIND(predict_weights, f, ZOO_BIND_VECTOR, flags_, name_ ".weight", zoo_predict, width,     \
             ZOO_NONE, ZOO_NONE)
#define PROJ(name_, flags_)                                                                        \
    ZOO_BIND(predict_weights, proj, ZOO_BIND_MATRIX, flags_, name_ ".weight", zoo_predict, width,  \
             ZOO_AT(zoo_predict, width_in), ZOO_NONE)

static const zoo_bind binds[] = {NORM(embed_norm, "pre_fc_norm_embedding", ZOO_BIND_OR_NEXT),
                                 NORM(embed_norm, "token_layernorm", ZOO_BIND_OR_NEXT),
                                 NORM(embed_norm, "enorm", 0),
                                 NORM(hidden_norm, "pre_fc_norm_hidden", ZOO_BIND_OR_NEXT),
                                 NORM(hidden_norm, "hidden_layernorm", ZOO_BIND_OR_NEXT),
                                 NORM(hidden_norm, "hnorm", 0),
                                 PROJ("fc", ZOO_BIND_OR_NEXT),
                                 PROJ("input_proj", ZOO_BIND_OR_NEXT),
                                 PROJ("eh_proj", 0),
                                 {0}};

static size_t predict_scratch(const void *params, const zoo_limits *limits)
{
    const zoo_predict *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->width_in);
    return layout.used + zoo_linear_scratch(p->width_in, limits->rows_max);
}

static void norm_half(zoo_ctx *ctx, const zoo_predict *p, const float *weight, const float *x,
                      float *y, uint32_t n_rows)
{
    zoo_norm_rows(ctx, p->norm_kind,
                  (zoo_norm_args){.x = x,
                                  .y = y,
                                  .weight = weight,
                                  .x_stride = p->width_in,
                                  .y_stride = p->width_in,
                                  .n_rows = n_rows,
                                  .width = p->width,
                                  .eps = p->eps});
}

static void predict_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                            const float *x, float *y, const zoo_span *span)
{
    const zoo_predict *p = params;
    const predict_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *both = zoo_scratch_layout_floats(&layout, span->n_rows, p->width_in);
    uint32_t embed = p->hidden_first ? p->width : 0;
    (void)cache;
    norm_half(ctx, p, w->embed_norm, x, both + embed, span->n_rows);
    norm_half(ctx, p, w->hidden_norm, x + p->width, both + p->width - embed, span->n_rows);
    const zoo_proj proj = {&w->proj, NULL, y, 0};
    zoo_linear(ctx, &proj, 1, both, p->width_in, span->n_rows);
}

static zoo_status predict_check(const void *params, zoo_error *err)
{
    const zoo_predict *p = params;
    if (!p->width || p->width_in != 2 * p->width) {
        return zoo_fail(err, ZOO_E_INTERNAL, "predict: rows of %u floats are not twice %u",
                        p->width_in, p->width);
    }
    return ZOO_OK;
}

static void predict_explain(const void *params, char *text, size_t n)
{
    const zoo_predict *p = params;
    (void)snprintf(text, n, "embedding of the next token and row of the model, %u -> %u",
                   p->width_in, p->width);
}

static void predict_facts(const void *params, const zoo_facts *to)
{
    const zoo_predict *p = params;
    to->text(to, "kind", "prediction input");
    to->number(to, "inner", p->width_in);
}

const zoo_block_ops zoo_predict_ops = {.size = sizeof(zoo_block_ops),
                                       .weights_size = sizeof(predict_weights),
                                       .name = "predict",
                                       .binds = binds,
                                       .scratch = predict_scratch,
                                       .check = predict_check,
                                       .forward = predict_forward,
                                       .explain = predict_explain,
                                       .facts = predict_facts};
