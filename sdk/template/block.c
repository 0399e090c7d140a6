/*
 * block.c: a feed-forward block to copy. Five steps; each says what to change.
 *
 *   y = W_down( act(W_up x)^2 )
 *
 * Tensors below the block's module: up_proj.weight [width, hidden], down_proj.weight [hidden,
 * width]. Memory: [n_rows, width] floats of scratch. It remembers nothing between steps.
 */
#include "blocks/ops.h"
#include "template.h"

/* 1. Weights: one field for each tensor; the host fills them from the rows of step 3. */
typedef struct square_weights {
    zoo_weight up;   /* [width, hidden] */
    zoo_weight down; /* [hidden, width] */
} square_weights;

/* 2. Params: sizes and choices, made once by template_square_part below. */
typedef struct square_params {
    uint32_t hidden; /* floats of x and y */
    uint32_t width;  /* floats inside */
    uint32_t act;    /* zoo_act */
} square_params;

/* 3. Bind rows: field, name below the module, shape as fields of the params. */
static const zoo_bind binds[] = {
    ZOO_BIND(square_weights, up, ZOO_BIND_MATRIX, 0, "up_proj.weight", square_params, width,
             ZOO_AT(square_params, hidden), ZOO_NONE),
    ZOO_BIND(square_weights, down, ZOO_BIND_MATRIX, 0, "down_proj.weight", square_params, hidden,
             ZOO_AT(square_params, width), ZOO_NONE),
    {.name = NULL},
};

/* 4. Scratch: one layout for both counting and taking, so that the two never differ. */
typedef struct square_buffers {
    float *inner; /* [n_rows, width] */
} square_buffers;

static square_buffers lay_out(const square_params *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    return (square_buffers){zoo_scratch_layout_floats(layout, n_rows, p->width)};
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const square_params *p = params;
    zoo_scratch_layout layout = {NULL, 0};
    uint32_t widest = p->width > p->hidden ? p->width : p->hidden;
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(widest, limits->rows_max);
}

/* 5. Forward: straight lines; all arithmetic on activations goes through kernels. */
static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const square_params *p = params;
    const square_weights *w = weights;
    zoo_scratch_layout layout = {ctx, 0};
    square_buffers r = lay_out(p, span->n_rows, &layout);
    const zoo_proj up = {.weight = &w->up, .y = r.inner};
    const zoo_proj down = {.weight = &w->down, .y = y};
    (void)cache;
    zoo_linear(ctx, &up, 1, x, p->hidden, span->n_rows);
    zoo_act_rows(ctx, (zoo_act)p->act, r.inner, r.inner, span->n_rows, p->width);
    ctx->kernels->mul(r.inner, r.inner, r.inner, (size_t)span->n_rows * p->width);
    zoo_linear(ctx, &down, 1, r.inner, p->width, span->n_rows);
}

/* Shown by lmzoo explain, diff and draw. */
static void facts(const void *params, const zoo_facts *to)
{
    const square_params *p = params;
    to->text(to, "kind", "feed-forward");
    to->number(to, "inner", p->width);
    to->text(to, "activation", "square");
}

const zoo_block_ops template_square_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(square_weights),
    .name = "square",
    .binds = binds,
    .scratch = scratch,
    .forward = forward,
    .facts = facts,
};

/* Its part of a layer, from the config. */
zoo_status template_square_part(const zoo_config *config, zoo_setup *setup, uint32_t hidden,
                                zoo_part *out, zoo_error *err)
{
    square_params *p = setup->take(setup, sizeof *p);
    if (!p) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->hidden = hidden;
    p->width = config->whole(config, "intermediate_size", 4 * hidden);
    p->act = zoo_act_read(config, "hidden_act", "silu");
    *out = (zoo_part){
        .ops = &template_square_ops, .params = p, .name = "mlp", .in_scale = 1, .out_scale = 1};
    return ZOO_OK;
}
