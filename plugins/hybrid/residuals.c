/*
 * residuals.c: a layer whose parts read an attention over the residuals of earlier layers (formulas
 * and tensors: residuals.h).
 *
 * Parts: attention, its convolution, feed-forward, its convolution, and with three inputs the norms
 * of queries, keys and values; attention then reads rows [3 hidden]. Memory: rows of the parts.
 */
#include "residuals.h"

#include <string.h>

#include "blocks/rows.h"

enum { ATTENTION = 0, ATTENTION_CONV = 1, FFN = 2, FFN_CONV = 3, NORMS = 4 };

typedef struct layer_weights {
    const float *attention, *mlp; /* [n_inputs, hidden], [hidden] */
} layer_weights;

#define ZOO_ROW_WEIGHTS layer_weights
#define ZOO_ROW_PARAMS  hybrid_residuals

static const zoo_bind binds[] = {{.name = "attention_input.query",
                                  .kind = ZOO_BIND_VECTOR,
                                  .field = ZOO_AT(layer_weights, attention),
                                  .rows = ZOO_ROW_AT(n_inputs),
                                  .cols = ZOO_ROW_AT(hidden),
                                  .experts = ZOO_NONE,
                                  .map = ZOO_NONE,
                                  .when = ZOO_ROW_AT(mixes)},
                                 ZOO_ROW_VECTOR(mlp, "mlp_input.query", hidden, ZOO_NONE, ZOO_NONE),
                                 {0}};

typedef struct layer_step {
    zoo_ctx *ctx;
    const hybrid_residuals *params;
    const zoo_span *span;
    float *rows;                      /* [n_rows, flat], the residual */
    float *mixed, *normed;            /* [n_rows, hidden] */
    float *inputs;                    /* [n_rows, n_inputs hidden] */
    float *branch, *passed, *partial; /* [n_rows, hidden] */
    float *scores;
} layer_step;

static layer_step lay_out(const hybrid_residuals *p, uint32_t n, zoo_scratch_layout *layout)
{
    uint32_t wide = p->n_inputs > 1 ? p->n_inputs * p->hidden : 0;
    return (layer_step){.params = p,
                        .mixed = zoo_scratch_layout_floats(layout, n, p->hidden),
                        .normed = zoo_scratch_layout_floats(layout, n, wide ? p->hidden : 0),
                        .inputs = zoo_scratch_layout_floats(layout, n, wide),
                        .branch = zoo_scratch_layout_floats(layout, n, p->hidden),
                        .passed = zoo_scratch_layout_floats(layout, n, p->hidden),
                        .partial = zoo_scratch_layout_floats(layout, n, p->hidden),
                        .scores = zoo_scratch_layout_floats(layout, n, 2 * (p->n_kept + 2))};
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    zoo_scratch_layout layout = {0};
    (void)lay_out(params, limits->rows_max, &layout);
    return layout.used;
}

static void copy_rows(const float *x, size_t x_stride, float *y, size_t y_stride, uint32_t n_rows,
                      uint32_t width)
{
    for (uint32_t row = 0; row < n_rows; row++) {
        memcpy(y + row * y_stride, x + row * x_stride, width * sizeof(float));
    }
}

/* What attention reads, in s->mixed: a mix by query `input`, or the residual itself. */
static void take_input(const layer_step *s, const layer_weights *w, uint32_t input)
{
    const hybrid_residuals *p = s->params;
    if (!p->mixes) {
        copy_rows(s->rows, p->flat, s->mixed, p->hidden, s->span->n_rows, p->hidden);
        return;
    }
    const hybrid_residual_mix mix = {.query = w->attention + (size_t)input * p->hidden,
                                     .rows = s->rows,
                                     .last = s->rows,
                                     .y = s->mixed,
                                     .scores = s->scores,
                                     .stride = p->flat,
                                     .last_stride = p->flat,
                                     .hidden = p->hidden,
                                     .n_kept = p->n_kept};
    hybrid_residual_mix_run(s->ctx, &mix, s->span->n_rows);
    if (input == 0) {
        zoo_trace_rows(s->ctx, "attention_input", s->mixed, s->span->n_rows, p->hidden);
    }
}

/* attn of the mixed rows, to s->branch. */
static void attend(const layer_step *s, const layer_weights *w)
{
    const hybrid_residuals *p = s->params;
    size_t wide = (size_t)p->n_inputs * p->hidden;
    if (p->n_inputs == 1) {
        take_input(s, w, 0);
        s->ctx->part(s->ctx, ATTENTION, s->mixed, s->branch, s->span);
        return;
    }
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        take_input(s, w, i);
        s->ctx->part(s->ctx, NORMS + i, s->mixed, s->normed, s->span);
        copy_rows(s->normed, p->hidden, s->inputs + (size_t)i * p->hidden, wide, s->span->n_rows,
                  p->hidden);
    }
    s->ctx->part(s->ctx, ATTENTION, s->inputs, s->branch, s->span);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const hybrid_residuals *p = params;
    const layer_weights *w = weights;
    uint32_t n = span->n_rows, n_kept = p->n_kept + (p->begins ? 1 : 0);
    zoo_scratch_layout layout = {.ctx = ctx};
    layer_step s = lay_out(p, n, &layout);
    (void)cache;
    s.ctx = ctx;
    s.span = span;
    s.rows = y;
    if (x != y) {
        memcpy(y, x, (size_t)n * p->flat * sizeof *y);
    }
    attend(&s, w);
    ctx->part(ctx, ATTENTION_CONV, s.branch, s.partial, span);
    if (p->begins) {
        copy_rows(y, p->flat, y + (size_t)n_kept * p->hidden, p->flat, n, p->hidden);
    } else {
        copy_rows(y, p->flat, s.passed, p->hidden, n, p->hidden);
        zoo_add_rows(ctx, s.passed, s.partial, n, p->hidden);
    }
    const hybrid_residual_mix mix = {w->mlp,  y,         s.partial, s.mixed, s.scores,
                                     p->flat, p->hidden, p->hidden, n_kept};
    hybrid_residual_mix_run(ctx, &mix, n);
    zoo_trace_rows(ctx, "mlp_input", s.mixed, n, p->hidden);
    ctx->part(ctx, FFN, s.mixed, s.branch, span);
    ctx->part(ctx, FFN_CONV, s.branch, s.passed, span);
    zoo_add_rows(ctx, s.passed, s.partial, n, p->hidden);
    copy_rows(s.partial, p->hidden, y, p->flat, n, p->hidden);
}

static void explain(const void *params, char *text, size_t n)
{
    const hybrid_residuals *p = params;
    (void)snprintf(text, n, "its parts read an attention over the residual and %u earlier ones%s",
                   p->n_kept + p->begins, p->begins ? "; the sum begins anew" : "");
}

static void facts(const void *params, const zoo_facts *to)
{
    const hybrid_residuals *p = params;
    to->text(to, "kind", "attention over residuals");
    to->text(to, "residual",
             p->begins ? "parts read an attention over earlier residuals; the sum begins anew"
                       : "parts read an attention over earlier residuals");
}

const zoo_block_ops hybrid_residuals_ops = {.size = sizeof(zoo_block_ops),
                                            .weights_size = sizeof(layer_weights),
                                            .name = "residuals",
                                            .binds = binds,
                                            .scratch = scratch,
                                            .forward = forward,
                                            .explain = explain,
                                            .facts = facts};
