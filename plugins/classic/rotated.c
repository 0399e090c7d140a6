/*
 * rotated.c: attention whose rotation is a stored table.
 *
 *   row of position i: sin_0 .. sin_(d/2 - 1), cos_0 .. cos_(d/2 - 1)
 *   (a, b) -> (a cos_j - b sin_j, b cos_j + a sin_j) for elements (2 j, 2 j + 1) of each head of
 *   q, k, and with `values` of v
 *
 * Tensors: those of attention, and rotary_table.weight [rows, d], one for all layers. Memory: a row
 * of the table for each thread. What it will not do: positions beyond the table. Source: the
 * reference's modeling file of roformer.
 */
#include "classic.h"

#include "blocks/gqa/impl.h"
#include "blocks/rows.h"

typedef struct weights {
    zoo_gqa_weights gqa; /* first: the block builds on attention */
    zoo_table table;
} weights;

/* clang-format off */
static const zoo_bind binds[] = {
#include "blocks/gqa/binds.inc"
    {.name = "rotary_table.weight", .kind = ZOO_BIND_TABLE, .flags = ZOO_BIND_ABSOLUTE,
     .field = ZOO_AT(weights, table), .rows = ZOO_AT(classic_rotated, rows),
     .cols = ZOO_AT(classic_rotated, gqa.shape.head_dim), .experts = ZOO_NONE, .map = ZOO_NONE,
     .when = ZOO_NONE},
    {0}};
/* clang-format on */

typedef struct job {
    gqa_step step;
    const classic_rotated *params;
    const weights *weights;
    float *rows; /* [n_threads, head_dim] */
} job;

static float *lay_out(const classic_rotated *p, uint32_t n_threads, zoo_scratch_layout *layout)
{
    return zoo_scratch_layout_floats(layout, n_threads, p->gqa.shape.head_dim);
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    zoo_scratch_layout layout = {0};
    (void)lay_out(params, limits->n_threads, &layout);
    return layout.used + zoo_gqa_scratch(params, limits);
}

static zoo_status prepare(const void *params, void *own, zoo_setup *setup, zoo_error *err)
{
    const classic_rotated *p = params;
    if (setup->limits->context_max > p->rows) {
        return zoo_fail(err, ZOO_E_LIMIT, "rotation: a context of %u, but the table has %u rows",
                        setup->limits->context_max, p->rows);
    }
    return zoo_gqa_prepare(params, own, setup, err);
}

static void rotate_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    const zoo_gqa *p = &j->params->gqa;
    const gqa_buffers *b = &j->step.buffers;
    uint32_t dim = p->shape.head_dim, pos_max = j->params->rows - 1;
    float *row = j->rows + (size_t)worker * dim;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t pos = j->step.span->pos[i];
        j->weights->table.read(&j->weights->table, pos < pos_max ? pos : pos_max, row);
        float *const heads[] = {b->q + (size_t)i * p->derived.q_rows,
                                b->k + (size_t)i * p->derived.k_rows,
                                b->v + (size_t)i * p->derived.v_rows};
        for (size_t n = 0; n < (j->params->values ? 3u : 2u); n++) {
            const zoo_rope_args args = {.x = heads[n],
                                        .sin = row,
                                        .cos = row + dim / 2,
                                        .n_heads = n ? p->shape.n_kv_heads : p->shape.n_heads,
                                        .head_stride = dim,
                                        .n_pairs = dim / 2,
                                        .interleaved = true};
            j->step.ctx->kernels->rope(&args);
        }
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const classic_rotated *p = params;
    const weights *w = own;
    zoo_scratch_layout layout = {.ctx = ctx};
    job j = {.step = zoo_gqa_begin(ctx, &p->gqa, &w->gqa, cache, span),
             .params = p,
             .weights = w,
             .rows = lay_out(p, ctx->n_threads, &layout)};
    const gqa_buffers *b = &j.step.buffers;
    const zoo_proj in[] = {{&w->gqa.q, w->gqa.q_bias, b->q, 0},
                           {&w->gqa.k, w->gqa.k_bias, b->k, 0},
                           {&w->gqa.v, w->gqa.v_bias, b->v, 0}},
                   out = {&w->gqa.o, w->gqa.o_bias, y, 0};
    zoo_linear(ctx, in, ZOO_COUNT(in), x, p->gqa.shape.width_in, span->n_rows);
    zoo_rows(ctx, span->n_rows, 4 * (size_t)p->gqa.derived.q_rows, rotate_range, &j);
    zoo_gqa_shape_rows(&j.step);
    zoo_gqa_attend(&j.step);
    zoo_linear(ctx, &out, 1, b->out, p->gqa.derived.o_cols, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const classic_rotated *p = params;
    (void)snprintf(text, n,
                   "%u heads of %u; queries%s keys%s turn by a stored table of %u positions",
                   p->gqa.shape.n_heads, p->gqa.shape.head_dim, p->values ? "," : " and",
                   p->values ? " and values" : "", p->rows);
}

static void facts(const void *params, const zoo_facts *to)
{
    const classic_rotated *p = params;
    zoo_gqa_facts(params, to);
    to->text(to, "rotation", p->values ? "a stored table, values too" : "a stored table");
    to->number(to, "rotary_dims", p->gqa.shape.head_dim);
    to->number(to, "interleaved", 1);
}

zoo_status classic_rotate(zoo_decoder *b, const zoo_gqa *attention, zoo_part *out)
{
    classic_rotated *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    *p = (classic_rotated){.gqa = *attention,
                           .rows = b->plan->context_max,
                           .values = zoo_decoder_flag(b, "@rotate_values", false)};
    if (p->gqa.shape.head_dim % 2 || !p->rows || p->gqa.shape.layout != ZOO_QKV_SPLIT) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "a stored rotation of %u positions for heads of %u: an even number, in "
                        "matrices of their own",
                        p->rows, p->gqa.shape.head_dim);
    }
    b->plan->positions_max = p->rows;
    out->ops = &classic_rotated_ops;
    out->params = p;
    return ZOO_OK;
}

const zoo_block_ops classic_rotated_ops = {.size = sizeof(zoo_block_ops),
                                           .weights_size = sizeof(weights),
                                           .name = "rotated",
                                           .binds = binds,
                                           .streams = zoo_gqa_streams,
                                           .scratch = scratch,
                                           .check = zoo_gqa_check,
                                           .prepare = prepare,
                                           .forward = forward,
                                           .explain = explain,
                                           .facts = facts};
