/*
 * gqa.c: the attention block: streams, scratch and the order of a forward (formulas: gqa.h).
 *
 *   project (rows.c) -> attend (attend.c) -> o_proj
 *
 * Memory: queries, keys, values, gates and outputs of the step's rows in scratch; keys and values
 * of all positions in the cache. What it will not do: latent attention, sparse selection of keys.
 */
#include "blocks/gqa/impl.h"

/* Counts of a step that scratch depends on. */
typedef struct gqa_sizes {
    uint32_t n_rows, n_threads, length_max;
} gqa_sizes;

static gqa_buffers lay_out(const zoo_gqa *p, const gqa_sizes *s, zoo_scratch_layout *layout)
{
    gqa_buffers b = {0};
    b.attend_size = zoo_attend_scratch(p->derived.k_width, p->shape.v_dim);
    b.segs_max = s->length_max / ZOO_PAGE + 2;
    b.q =
        zoo_scratch_layout_floats(layout, s->n_rows, (size_t)p->shape.n_heads * p->derived.k_width);
    b.out = zoo_scratch_layout_floats(layout, s->n_rows, p->derived.o_cols);
    if (p->options.gate) {
        b.gate = zoo_scratch_layout_floats(layout, s->n_rows, p->derived.gate_rows);
    }
    if (!p->options.shared) {
        b.k = zoo_scratch_layout_floats(layout, s->n_rows,
                                        (size_t)p->shape.n_kv_heads * p->derived.k_width);
        b.v = zoo_scratch_layout_floats(layout, s->n_rows,
                                        (size_t)p->shape.n_kv_heads * p->shape.v_dim);
    }
    if (p->options.slopes && p->derived.k_width == p->shape.head_dim) {
        b.slopes = zoo_scratch_layout_floats(layout, 1, p->shape.n_heads);
    }
    if (p->options.round_input) {
        b.x = zoo_scratch_layout_floats(layout, s->n_rows, p->shape.width_in);
    }
    b.tiles = zoo_scratch_layout_take(layout, s->n_rows * sizeof(gqa_tile));
    b.attend = zoo_scratch_layout_floats(layout, s->n_threads, b.attend_size);
    b.k_segs =
        zoo_scratch_layout_take(layout, (size_t)s->n_threads * b.segs_max * sizeof(zoo_segment));
    b.v_segs =
        zoo_scratch_layout_take(layout, (size_t)s->n_threads * b.segs_max * sizeof(zoo_segment));
    b.first = zoo_scratch_layout_take(layout, (size_t)s->n_threads * GQA_TILE * sizeof(uint32_t));
    b.runs = zoo_scratch_layout_take(layout, s->n_rows * sizeof(gqa_run));
    if (!p->shape.window && !p->shape.chunk && !p->options.slopes) {
        size_t row = (size_t)p->shape.n_heads * (p->shape.v_dim + 2);
        b.parts_max = s->length_max / ZOO_PART + 1;
        b.own_size = row / p->shape.n_kv_heads * b.parts_max;
        b.sums_size = s->n_rows * row * b.parts_max;
        b.sums_size = b.sums_size < GQA_SUMS_MAX ? b.sums_size : GQA_SUMS_MAX;
        b.sums = zoo_scratch_layout_floats(layout, 1, b.sums_size);
        b.own = zoo_scratch_layout_floats(layout, s->n_threads, b.own_size);
        b.parts =
            zoo_scratch_layout_take(layout, (size_t)s->n_threads * b.parts_max * sizeof(float *));
    }
    return b;
}

size_t zoo_gqa_scratch(const void *params, const zoo_limits *limits)
{
    const zoo_gqa *p = params;
    const gqa_sizes sizes = {limits->rows_max, limits->n_threads, limits->context_max};
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, &sizes, &layout);
    return layout.used + zoo_linear_scratch(p->shape.width_in, limits->rows_max) +
           zoo_linear_scratch(p->derived.o_cols, limits->rows_max);
}

uint32_t zoo_gqa_streams(const void *params, zoo_stream *out)
{
    const zoo_gqa *p = params;
    uint32_t window = p->shape.chunk ? p->shape.chunk : p->shape.window;
    if (p->options.shared) {
        return 0;
    }
    out[0] =
        (zoo_stream){.name = "k",
                     .kind = window ? ZOO_RING : ZOO_ROWS,
                     .width = p->shape.n_kv_heads * p->derived.k_width,
                     .heads = p->shape.n_kv_heads,
                     .window = window,
                     .stride = 1,
                     .dtype_min = p->derived.k_width == p->shape.head_dim ? ZOO_INT4 : ZOO_F32};
    out[1] = out[0];
    out[1].name = "v";
    out[1].width = p->shape.n_kv_heads * p->shape.v_dim;
    out[1].dtype_min = ZOO_INT4;
    return 2;
}

zoo_status zoo_gqa_check(const void *params, zoo_error *err)
{
    const zoo_gqa *p = params;
    if (!p->derived.o_cols || !p->derived.k_width) {
        return zoo_fail(err, ZOO_E_INTERNAL, "attention: params without zoo_gqa_finish");
    }
    return ZOO_OK;
}

/* Queries of a tile: as many as go well together, fewer where threads would wait for items. */
static uint32_t tile_queries(const zoo_gqa *p, const gqa_sizes *s)
{
    uint32_t group = p->shape.n_heads / p->shape.n_kv_heads, rows = GQA_TILE;
    while (rows > GQA_TILE_FEW &&
           (uint64_t)s->n_rows * p->shape.n_heads < (uint64_t)4 * s->n_threads * rows) {
        rows /= 2;
    }
    return group < rows ? rows / group : 1;
}

gqa_step zoo_gqa_begin(zoo_ctx *ctx, const zoo_gqa *p, const zoo_gqa_weights *w, zoo_cache *cache,
                       const zoo_span *span)
{
    gqa_sizes sizes = {span->n_rows, ctx->n_threads, zoo_span_length(span)};
    zoo_scratch_layout layout = {.ctx = ctx};
    gqa_step step = {.ctx = ctx, .params = p, .weights = w, .cache = cache, .span = span};
    step.tile = tile_queries(p, &sizes);
    step.v_heads = p->shape.n_kv_heads;
    step.buffers = lay_out(p, &sizes, &layout);
    if (p->options.rope) {
        step.rope = zoo_rope_rows_of(ctx, p->options.rope, span);
    }
    return step;
}

void zoo_gqa_project(gqa_step *step, const float *x)
{
    const zoo_gqa *p = step->params;
    const zoo_gqa_weights *w = step->weights;
    const gqa_buffers *buffers = &step->buffers;
    const zoo_proj proj[] = {
        {&w->q, w->q_bias, buffers->q, (size_t)p->shape.n_heads * p->derived.k_width},
        {&w->gate, w->gate_bias, buffers->gate, p->derived.gate_rows},
        {&w->k, w->k_bias, buffers->k, (size_t)p->shape.n_kv_heads * p->derived.k_width},
        {&w->v, w->v_bias, buffers->v, (size_t)p->shape.n_kv_heads * p->shape.v_dim}};
    step->x_stride =
        p->shape.width_in +
        (p->options.added ? p->derived.q_rows + p->derived.k_rows + p->derived.v_rows : 0);
    step->added = p->options.added ? x + p->shape.width_in : NULL;
    zoo_linear(step->ctx, proj, p->options.shared ? 2 : 4, x, step->x_stride, step->span->n_rows);
    zoo_gqa_shape_rows(step);
}

static void gqa_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                        const float *x, float *y, const zoo_span *span)
{
    const zoo_gqa *p = params;
    const zoo_gqa_weights *w = weights;
    gqa_step step = zoo_gqa_begin(ctx, p, w, cache, span);
    if (p->options.round_input) {
        zoo_round_rows(ctx, x, step.buffers.x, span->n_rows, p->shape.width_in);
        x = step.buffers.x;
    }
    zoo_gqa_project(&step, x);
    zoo_gqa_attend(&step);
    if (p->options.round_input) {
        zoo_round_rows(ctx, step.buffers.out, step.buffers.out, span->n_rows, p->derived.o_cols);
    }
    const zoo_proj out = {&w->o, w->o_bias, y, 0};
    zoo_linear(ctx, &out, 1, step.buffers.out, p->derived.o_cols, span->n_rows);
}

static void gqa_explain(const void *params, char *text, size_t n)
{
    const zoo_gqa *p = params;
    uint32_t window = p->shape.chunk ? p->shape.chunk : p->shape.window;
    int used = snprintf(text, n, "%u heads over %u key-value heads of %u", p->shape.n_heads,
                        p->shape.n_kv_heads, p->shape.head_dim);
    if (used < 0 || (size_t)used >= n) {
        return;
    }
    text += used;
    n -= (size_t)used;
    if (p->options.shared) {
        (void)snprintf(text, n, ", reads another layer's keys and values");
    } else if (window) {
        (void)snprintf(text, n, ", %s of %u positions%s", p->shape.chunk ? "chunks" : "window",
                       window, p->options.rope ? "" : ", no rotation");
    } else {
        (void)snprintf(text, n, ", all positions%s", p->options.rope ? "" : ", no rotation");
    }
}

const zoo_block_ops zoo_gqa_ops = {.size = sizeof(zoo_block_ops),
                                   .weights_size = sizeof(zoo_gqa_weights),
                                   .name = "gqa",
                                   .binds = zoo_gqa_binds,
                                   .streams = zoo_gqa_streams,
                                   .scratch = zoo_gqa_scratch,
                                   .check = zoo_gqa_check,
                                   .prepare = zoo_gqa_prepare,
                                   .forward = gqa_forward,
                                   .explain = gqa_explain,
                                   .facts = zoo_gqa_facts};
