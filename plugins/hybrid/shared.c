/*
 * shared.c: one layer of a stream that a shared transformer block feeds.
 *
 *   c = [h, e], e the embeddings;  a = attention(norm c);  t = linear( mlp(norm a) )
 *   h = h + mixer( norm(h + t) ), with t = 0 in layers without the shared block
 *
 * Attention and mlp are bound once for all layers that share them; what a layer adds to them, its
 * low-rank adapters, is computed here and handed over beside their input (zoo_gqa.added,
 * zoo_mlp.added). Memory: the embeddings of the step's rows until the step ends; rows of the widths
 * above in scratch. Source: Zamba and Zamba2 technical reports (2024).
 */
#include <string.h>

#include "shared.h"

typedef struct shared_buffers {
    float *wide;   /* [n_rows, 2 hidden] */
    float *normed; /* [n_rows, 2 hidden] */
    float *added;  /* [n_rows, widest adapter] */
    float *full;   /* [n_rows, 2 hidden + adapters] */
    float *a, *t;  /* [n_rows, hidden] */
} shared_buffers;

static uint32_t added_width(const shared_params *p)
{
    return p->qkv_rows[0] + p->qkv_rows[1] + p->qkv_rows[2];
}

static shared_buffers lay_out(const shared_params *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    shared_buffers r;
    size_t wide = 2 * (size_t)p->hidden, qkv = added_width(p), mlp = p->mlp_rows;
    r.wide = zoo_scratch_layout_floats(layout, n_rows, wide);
    r.normed = zoo_scratch_layout_floats(layout, n_rows, wide);
    r.added = zoo_scratch_layout_floats(layout, n_rows, qkv > mlp ? qkv : mlp);
    r.full = zoo_scratch_layout_floats(layout, n_rows, wide + (qkv > mlp ? qkv : mlp));
    r.a = zoo_scratch_layout_floats(layout, n_rows, p->hidden);
    r.t = zoo_scratch_layout_floats(layout, n_rows, p->hidden);
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const shared_params *p = params;
    size_t most = 0;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    for (uint32_t i = 0; i < p->n_parts; i++) {
        const zoo_block_ops *ops = p->parts[i].ops;
        size_t n = ops->scratch ? ops->scratch(p->parts[i].params, limits) : 0;
        most = n > most ? n : most;
    }
    return layout.used + most;
}

/* Copies x [n_rows, width] into columns at .. of y, rows of y_width floats. */
static void place(const float *x, uint32_t width, float *y, uint32_t y_width, uint32_t at,
                  uint32_t n_rows)
{
    for (uint32_t i = 0; i < n_rows; i++) {
        memcpy(y + (size_t)i * y_width + at, x + (size_t)i * width, width * sizeof(float));
    }
}

static void attend(zoo_ctx *ctx, const shared_params *p, const shared_buffers *r,
                   const zoo_span *span)
{
    uint32_t n = span->n_rows, wide = 2 * p->hidden, full = wide + added_width(p);
    const float *in = r->normed;
    ctx->part(ctx, p->in_norm, r->wide, r->normed, span);
    if (full > wide) {
        uint32_t at = wide;
        place(r->normed, wide, r->full, full, 0, n);
        for (uint32_t i = 0; i < 3; at += p->qkv_rows[i], i++) {
            ctx->part(ctx, p->adapters[i], r->normed, r->added, span);
            place(r->added, p->qkv_rows[i], r->full, full, at, n);
        }
        in = r->full;
    }
    ctx->part(ctx, p->attention, in, r->a, span);
}

static void feed(zoo_ctx *ctx, const shared_params *p, const shared_buffers *r,
                 const zoo_span *span)
{
    uint32_t n = span->n_rows, full = p->hidden + p->mlp_rows;
    const float *in = r->normed;
    ctx->part(ctx, p->mid_norm, r->a, r->normed, span);
    if (p->mlp_rows) {
        ctx->part(ctx, p->mlp_adapter, r->normed, r->added, span);
        place(r->normed, p->hidden, r->full, full, 0, n);
        place(r->added, p->mlp_rows, r->full, full, p->hidden, n);
        in = r->full;
    }
    ctx->part(ctx, p->mlp, in, r->a, span);
    ctx->part(ctx, p->linear, r->a, r->t, span);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const shared_params *p = params;
    size_t n = (size_t)span->n_rows * p->hidden;
    zoo_scratch_layout layout = {.ctx = ctx};
    shared_buffers r = lay_out(p, span->n_rows, &layout);
    bool first;
    float *e = ctx->memo(ctx, p->key, n * sizeof *e, &first);
    (void)weights;
    (void)cache;
    if (first) {
        memcpy(e, x, n * sizeof *e);
    }
    if (p->attention == ZOO_NONE) {
        ctx->part(ctx, p->mixer, x, r.a, span);
    } else {
        place(x, p->hidden, r.wide, 2 * p->hidden, 0, span->n_rows);
        place(e, p->hidden, r.wide, 2 * p->hidden, p->hidden, span->n_rows);
        attend(ctx, p, &r, span);
        feed(ctx, p, &r, span);
        zoo_add_rows(ctx, x, r.t, span->n_rows, p->hidden);
        ctx->part(ctx, p->mixer, r.t, r.a, span);
    }
    zoo_add_rows(ctx, x, r.a, span->n_rows, p->hidden);
    memcpy(y, r.a, n * sizeof *y);
    if (ctx->trace && p->attention != ZOO_NONE) {
        ctx->trace(ctx, "mamba_decoder", y, span->n_rows, p->hidden);
    }
}

const zoo_block_ops hybrid_shared_ops = {
    .size = sizeof(zoo_block_ops), .name = "shared", .scratch = scratch, .forward = forward};
