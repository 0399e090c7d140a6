/*
 * map.c: a linear map of one matrix, or of two with a narrow middle (a low-rank adapter).
 *
 *   y = W x;  or  y = B (A x)
 *
 * Tensors at the block's path: weight [out, in]; or 0.weight [rank, in], 1.weight [out, rank].
 * Memory: [n_rows, rank] floats of scratch.
 */
#include "blocks/rows.h"
#include "hybrid.h"

typedef struct map_params {
    uint32_t width_in, width_out, rank; /* rank 0: one matrix */
    uint32_t whole;
} map_params;

typedef struct map_weights {
    zoo_weight whole, down, up;
} map_weights;

#define ZOO_ROW_WEIGHTS map_weights
#define ZOO_ROW_PARAMS  map_params

static const zoo_bind binds[] = {
    ZOO_ROW_MATRIX(whole, "weight", 0, width_out, width_in, ZOO_NONE, ZOO_ROW_AT(whole)),
    ZOO_ROW_MATRIX(down, "0.weight", 0, rank, width_in, ZOO_NONE, ZOO_ROW_AT(rank)),
    ZOO_ROW_MATRIX(up, "1.weight", 0, width_out, rank, ZOO_NONE, ZOO_ROW_AT(rank)),
    {0}};

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const map_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)zoo_scratch_layout_floats(&layout, limits->rows_max, p->rank);
    return layout.used + zoo_linear_scratch(p->width_in, limits->rows_max) +
           zoo_linear_scratch(p->rank, limits->rows_max);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const map_params *p = params;
    const map_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    (void)cache;
    if (!p->rank) {
        const zoo_proj whole = {&w->whole, NULL, y, 0};
        zoo_linear(ctx, &whole, 1, x, p->width_in, span->n_rows);
        return;
    }
    float *middle = zoo_scratch_layout_floats(&layout, span->n_rows, p->rank);
    const zoo_proj down = {&w->down, NULL, middle, 0}, up = {&w->up, NULL, y, 0};
    zoo_linear(ctx, &down, 1, x, p->width_in, span->n_rows);
    zoo_linear(ctx, &up, 1, middle, p->rank, span->n_rows);
}

zoo_status hybrid_map_part(zoo_decoder *b, const hybrid_map *want, zoo_part *out)
{
    map_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p || !want->path) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (map_params){want->width_in, want->width_out, want->rank, !want->rank};
    *out = (zoo_part){.ops = &hybrid_map_ops,
                      .params = p,
                      .name = want->name,
                      .path = want->path,
                      .in_scale = 1.0f,
                      .out_scale = 1.0f,
                      .width_in = want->width_in,
                      .width_out = want->width_out};
    return ZOO_OK;
}

const zoo_block_ops hybrid_map_ops = {.size = sizeof(zoo_block_ops),
                                      .weights_size = sizeof(map_weights),
                                      .name = "map",
                                      .binds = binds,
                                      .scratch = scratch,
                                      .forward = forward};
