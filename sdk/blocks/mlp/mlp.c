/*
 * mlp.c: the feed-forward part of a layer (formulas and tensor names: mlp.h, table: bind.c).
 *
 * Rows are processed ROWS_PART at a time, so that the values between the matrices stay in the CPU's
 * caches and take little memory. Memory: gate and up rows [ROWS_PART, width] in scratch. What it
 * will not do: experts (moe.h).
 */
#include "blocks/mlp/mlp.h"

#include "blocks/mlp/impl.h"
#include "blocks/ops.h"

enum { ROWS_PART = 128 };

typedef struct mlp_rows {
    float *gate, *up;
    size_t stride;  /* floats between their rows */
    float *tmp;     /* [n_threads, width], with alpha */
    float *x;       /* [n_rows, width_in], rounded rows */
    void *prepared; /* of the rows that enter a matrix */
} mlp_rows;

static mlp_rows mlp_layout(const zoo_mlp *p, uint32_t n, uint32_t n_threads,
                           zoo_scratch_layout *layout)
{
    mlp_rows b = {0};
    uint32_t n_rows = n < ROWS_PART ? n : ROWS_PART;
    size_t in = zoo_linear_scratch(p->width_in, n_rows), out = zoo_linear_scratch(p->width, n_rows);
    b.prepared = zoo_scratch_layout_take(layout, in > out ? in : out);
    /* Rows that are a multiple of 4 KiB apart would compete for the same few sets of a CPU cache.
     * */
    b.stride = p->width % 1024 || p->round_input ? p->width : p->width + ZOO_PANEL;
    b.up = zoo_scratch_layout_floats(layout, n_rows, b.stride);
    b.gate = p->gated ? zoo_scratch_layout_floats(layout, n_rows, b.stride) : b.up;
    b.tmp = zoo_scratch_layout_floats(layout, n_threads, p->width);
    if (p->round_input) {
        b.x = zoo_scratch_layout_floats(layout, n_rows, p->width_in);
    }
    return b;
}

size_t zoo_mlp_scratch(const zoo_mlp *p, uint32_t n_rows, uint32_t n_threads)
{
    zoo_scratch_layout layout = {0};
    (void)mlp_layout(p, n_rows, n_threads, &layout);
    return layout.used;
}

typedef struct mlp_job {
    const zoo_kernels *kernels;
    const zoo_mlp *params;
    const float *norm;
    mlp_rows rows;
    const float *added; /* the columns of x after width_in, or null */
    size_t x_stride;
} mlp_job;

static void mlp_inner_row(const mlp_job *job, uint32_t row, uint32_t worker)
{
    const zoo_mlp *p = job->params;
    const zoo_kernels *k = job->kernels;
    float *gate = job->rows.gate + row * job->rows.stride;
    float *up = job->rows.up + row * job->rows.stride;
    if (job->added) {
        const float *given = job->added + row * job->x_stride;
        k->add(gate, given, gate, p->width);
        k->add(up, given + p->width, up, p->width);
    }
    if (p->gate_scale != 1.0f) {
        k->scale(p->gate_scale, gate, gate, p->width);
    }
    if (p->gated) {
        zoo_glu_run(k, &p->glu, gate, up, job->rows.tmp + (size_t)worker * p->width, p->width);
    } else {
        k->act((zoo_act)p->glu.act, gate, gate, p->width);
    }
    zoo_norm_args norm = {.x = gate,
                          .y = gate,
                          .weight = job->norm,
                          .n_rows = 1,
                          .width = p->width,
                          .eps = p->sub_norm_eps};
    zoo_norm_run(k, p->sub_norm, norm);
}

static void mlp_inner(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    for (uint32_t row = begin; row < end; row++) {
        mlp_inner_row(arg, row, worker);
    }
}

/* Rows of one part: x and y at its first one. */
static void run_part(zoo_ctx *ctx, mlp_job *job, const zoo_mlp_weights *w, const float *x, float *y,
                     uint32_t n_rows)
{
    const zoo_mlp *p = job->params;
    const mlp_rows *rows = &job->rows;
    const zoo_proj in[] = {{&w->up, w->up_bias, rows->up, rows->stride},
                           {&w->gate, w->gate_bias, rows->gate, rows->stride}};
    const zoo_proj out = {&w->down, w->down_bias, y, 0};
    job->added = p->added ? x + p->width_in : NULL;
    if (p->round_input) {
        zoo_round_rows(ctx, x, rows->x, n_rows, p->width_in);
        x = rows->x;
    }
    zoo_linear_in(ctx, in, p->gated ? 2 : 1, x, job->x_stride, n_rows, rows->prepared);
    zoo_rows(ctx, n_rows, (size_t)p->width * 4, mlp_inner, job);
    if (p->round_input) {
        zoo_round_rows(ctx, rows->gate, rows->gate, n_rows, p->width);
    }
    zoo_linear_in(ctx, &out, 1, rows->gate, rows->stride, n_rows, rows->prepared);
    if (p->down_scale != 1.0f) {
        zoo_scale_rows(ctx, p->down_scale, y, n_rows, p->width_out);
    }
}

void zoo_mlp_run(zoo_ctx *ctx, const zoo_mlp *p, const zoo_mlp_weights *w, const float *x, float *y,
                 uint32_t n_rows)
{
    zoo_scratch_layout layout = {.ctx = ctx};
    mlp_job job = {.kernels = ctx->kernels,
                   .params = p,
                   .norm = w->sub_norm,
                   .rows = mlp_layout(p, n_rows, ctx->n_threads, &layout),
                   .x_stride = p->width_in + (p->added ? (size_t)2 * p->width : 0)};
    for (uint32_t row = 0; row < n_rows; row += ROWS_PART) {
        uint32_t left = n_rows - row;
        run_part(ctx, &job, w, x + row * job.x_stride, y + (size_t)row * p->width_out,
                 left < ROWS_PART ? left : ROWS_PART);
    }
}

static void mlp_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                        const float *x, float *y, const zoo_span *span)
{
    (void)cache;
    zoo_mlp_run(ctx, params, weights, x, y, span->n_rows);
}

static size_t mlp_scratch(const void *params, const zoo_limits *limits)
{
    return zoo_mlp_scratch(params, limits->rows_max, limits->n_threads);
}

static zoo_status mlp_check(const void *params, zoo_error *err)
{
    const zoo_mlp *p = params;
    if (!p->width_out || !(p->when.down || p->when.down_t)) {
        return zoo_fail(err, ZOO_E_INTERNAL, "mlp: params without zoo_mlp_finish");
    }
    return ZOO_OK;
}

static void mlp_explain(const void *params, char *text, size_t n)
{
    const zoo_mlp *p = params;
    (void)snprintf(text, n, "%s feed-forward %u -> %u -> %u", p->gated ? "gated" : "plain",
                   p->width_in, p->width, p->width_out);
}

const zoo_block_ops zoo_mlp_ops = {.size = sizeof(zoo_block_ops),
                                   .weights_size = sizeof(zoo_mlp_weights),
                                   .name = "mlp",
                                   .binds = zoo_mlp_binds,
                                   .scratch = mlp_scratch,
                                   .check = mlp_check,
                                   .forward = mlp_forward,
                                   .explain = mlp_explain,
                                   .facts = zoo_mlp_facts};
