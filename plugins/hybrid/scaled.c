/*
 * scaled.c: residual additions with a scale and a bias of every element, of both sides.
 *
 *   h = s (u + b) + s' (h + b')        u the output of a part on its norm; two parts a layer
 *   before the first layer: h = s (x + b)
 */
#include <string.h>

#include "blocks/rows.h"
#include "hybrid.h"

typedef struct scaled_params {
    uint32_t hidden;
} scaled_params;

typedef struct scaled_side {
    const float *scale, *bias; /* [hidden] */
} scaled_side;

typedef struct scaled_weights {
    scaled_side out[2], stream[2]; /* of the mixer and of the feed-forward part */
} scaled_weights;

typedef struct scaled_first {
    scaled_side side;
} scaled_first;

#define ZOO_ROW_PARAMS   scaled_params
#define VECTOR(f, name_) ZOO_ROW_VECTOR(f, name_, hidden, ZOO_NONE, ZOO_NONE)
#define SIDE(i, at_)                                                                               \
    VECTOR(out[i].scale, at_ "_residual_scale.hidden_states_scale"),                               \
        VECTOR(out[i].bias, at_ "_residual_scale.hidden_states_bias"),                             \
        VECTOR(stream[i].scale, at_ "_residual_scale.residual_scale"),                             \
        VECTOR(stream[i].bias, at_ "_residual_scale.residual_bias")

#define ZOO_ROW_WEIGHTS scaled_weights
static const zoo_bind binds[] = {SIDE(0, "post_attention"), SIDE(1, "post_mlp"), {0}};
#undef ZOO_ROW_WEIGHTS
#define ZOO_ROW_WEIGHTS scaled_first
static const zoo_bind first_binds[] = {VECTOR(side.scale, "input_hidden_states_scale"),
                                       VECTOR(side.bias, "input_hidden_states_bias"),
                                       {0}};

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const scaled_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->hidden);
    return layout.used;
}

static void scale_side(const zoo_kernels *k, const scaled_side *side, float *x, uint32_t n)
{
    k->add(x, side->bias, x, n);
    k->mul(x, side->scale, x, n);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const scaled_params *p = params;
    const scaled_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    float *out = zoo_scratch_layout_floats(&layout, span->n_rows, p->hidden);
    (void)cache;
    if (x != y) {
        memcpy(y, x, (size_t)span->n_rows * p->hidden * sizeof(float));
    }
    for (uint32_t i = 0; i < 2; i++) {
        ctx->part(ctx, i, y, out, span);
        for (uint32_t row = 0; row < span->n_rows; row++) {
            float *h = y + (size_t)row * p->hidden, *u = out + (size_t)row * p->hidden;
            scale_side(ctx->kernels, &w->out[i], u, p->hidden);
            scale_side(ctx->kernels, &w->stream[i], h, p->hidden);
            ctx->kernels->add(u, h, h, p->hidden);
        }
    }
}

static void first_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                          const float *x, float *y, const zoo_span *span)
{
    const scaled_params *p = params;
    const scaled_first *w = weights;
    (void)cache;
    for (uint32_t row = 0; row < span->n_rows; row++) {
        float *to = y + (size_t)row * p->hidden;
        ctx->kernels->add(x + (size_t)row * p->hidden, w->side.bias, to, p->hidden);
        ctx->kernels->mul(to, w->side.scale, to, p->hidden);
    }
}

static void explain(const void *params, char *text, size_t n)
{
    (void)params;
    (void)snprintf(text, n, "residual additions scale and shift every element of both sides");
}

static void facts(const void *params, const zoo_facts *to)
{
    (void)params;
    to->text(to, "kind", "scaled residuals");
    to->text(to, "residual", "every element of both sides has a scale and a bias");
}

static void first_facts(const void *params, const zoo_facts *to)
{
    (void)params;
    to->text(to, "kind", "scale and bias of every element");
}

zoo_status hybrid_scaled_begin(zoo_decoder *b)
{
    scaled_params *p = b->setup->take(b->setup, sizeof *p);
    zoo_part *part = b->setup->take(b->setup, sizeof *part);
    if (!p || !part) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->hidden = b->hidden;
    *part = (zoo_part){.ops = &hybrid_scaled_first_ops,
                       .params = p,
                       .name = "input_scale",
                       .path = b->prefix,
                       .in_scale = 1.0f,
                       .out_scale = 1.0f};
    b->plan->prologue = part;
    b->plan->n_prologue = 1;
    return ZOO_OK;
}

zoo_status hybrid_scaled_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out)
{
    zoo_part *parts = b->setup->take(b->setup, 2 * sizeof *parts);
    char name[64];
    (void)snprintf(name, sizeof name, "layers.%u", layer);
    const char *path = zoo_decoder_path(b, name);
    if (!parts || !path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    ZOO_TRY(hybrid_cca_part(b, layer, &parts[0]));
    ZOO_TRY(hybrid_recalled_part(b, layer, &parts[1]));
    parts[0].norm = zoo_decoder_norm(b, "input_layernorm");
    parts[1].norm = zoo_decoder_norm(b, "post_attention_layernorm");
    *out = (zoo_layer){.path = path,
                       .ops = &hybrid_scaled_ops,
                       .params = b->plan->prologue->params,
                       .parts = parts,
                       .n_parts = 2};
    return ZOO_OK;
}

const zoo_block_ops hybrid_scaled_ops = {.size = sizeof(zoo_block_ops),
                                         .weights_size = sizeof(scaled_weights),
                                         .name = "scaled",
                                         .binds = binds,
                                         .scratch = scratch,
                                         .forward = forward,
                                         .explain = explain,
                                         .facts = facts};

const zoo_block_ops hybrid_scaled_first_ops = {.size = sizeof(zoo_block_ops),
                                               .weights_size = sizeof(scaled_first),
                                               .name = "input_scale",
                                               .binds = first_binds,
                                               .forward = first_forward,
                                               .facts = first_facts};
