/*
 * streams.c: a layer over several residual streams (formulas and tensors: streams.h).
 *
 * Parts: mixer and feed-forward, before them what ngram.c adds where params.ngrams is set. Memory:
 * normed streams and gates of each row, the block's input and output.
 */
#include <string.h>

#include "blocks/rows.h"
#include "streams.h"

typedef struct layer_weights {
    hybrid_mix attn, mlp;
} layer_weights;

#define ZOO_ROW_WEIGHTS layer_weights
#define ZOO_ROW_PARAMS  hybrid_streams

#define PLACE(f, module)                                                                           \
    ZOO_ROW_VECTOR(f.norm, module ".hc_norm.weight", flat, ZOO_NONE, ZOO_NONE),                    \
        ZOO_ROW_MATRIX(f.down, module ".input_mix_weight_down.weight", 0, rank, flat, ZOO_NONE,    \
                       ZOO_NONE),                                                                  \
        ZOO_ROW_MATRIX(f.up, module ".input_mix_weight_up.weight", 0, flat, rank, ZOO_NONE,        \
                       ZOO_NONE),                                                                  \
        ZOO_ROW_MATRIX(f.inject, module ".block_inject_weight.weight", ZOO_BIND_EXACT, n, flat,    \
                       ZOO_NONE, ZOO_NONE)

static const zoo_bind binds[] = {
    PLACE(attn, "attn_hyper_connection"), PLACE(mlp, "mlp_hyper_connection"), {0}};

typedef struct layer_step {
    zoo_ctx *ctx;
    const hybrid_streams *params;
    hybrid_mix_rows mix;
    float *x;        /* [n_rows, flat] */
    float *in, *out; /* [n_rows, hidden] */
    float *ngrams;   /* [n_rows, flat] */
} layer_step;

static layer_step lay_out(const hybrid_streams *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    return (layer_step){.params = p,
                        .mix = hybrid_mix_take(p, n_rows, layout),
                        .in = zoo_scratch_layout_floats(layout, n_rows, p->hidden),
                        .out = zoo_scratch_layout_floats(layout, n_rows, p->hidden),
                        .ngrams =
                            zoo_scratch_layout_floats(layout, n_rows, p->ngrams ? p->flat : 0)};
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    zoo_scratch_layout layout = {0};
    (void)lay_out(params, limits->rows_max, &layout);
    return layout.used + hybrid_mix_scratch(params, limits->rows_max);
}

static void inject(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const layer_step *s = arg;
    const hybrid_streams *p = s->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        for (uint32_t i = 0; i < p->n; i++) {
            s->ctx->kernels->axpy(s->mix.inject[(size_t)row * p->n + i],
                                  s->out + (size_t)row * p->hidden,
                                  s->x + (size_t)row * p->flat + (size_t)i * p->hidden, p->hidden);
        }
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    static const char *const names[] = {"attn_hyper_connection", "mlp_hyper_connection"};
    const hybrid_streams *p = params;
    const layer_weights *w = weights;
    uint32_t n = span->n_rows;
    zoo_scratch_layout layout = {.ctx = ctx};
    layer_step s = lay_out(p, n, &layout);
    (void)cache;
    s.ctx = ctx;
    s.x = y;
    if (x != y) {
        memcpy(y, x, (size_t)n * p->flat * sizeof(float));
    }
    if (p->ngrams) {
        ctx->part(ctx, 0, y, s.ngrams, span);
        zoo_add_rows(ctx, s.ngrams, y, n, p->flat);
    }
    for (uint32_t i = 0; i < 2; i++) {
        hybrid_mix_run(ctx, p, i ? &w->mlp : &w->attn, &s.mix, y, s.in, n);
        zoo_trace_rows(ctx, names[i], s.in, n, p->hidden);
        ctx->part(ctx, i + p->ngrams, s.in, s.out, span);
        zoo_rows(ctx, n, (size_t)2 * p->flat, inject, &s);
    }
}

static void explain(const void *params, char *text, size_t n)
{
    const hybrid_streams *p = params;
    (void)snprintf(text, n, "%u residual streams of %u, each element with a gate from %u values",
                   p->n, p->hidden, p->rank);
}

void hybrid_streams_facts(const void *params, const zoo_facts *to)
{
    const hybrid_streams *p = params;
    to->text(to, "kind", "residual streams");
    to->number(to, "streams", p->n);
    to->text(to, "mixing", "a gate for each element");
    to->number(to, "gate_rank", p->rank);
}

const zoo_block_ops hybrid_streams_ops = {.size = sizeof(zoo_block_ops),
                                          .weights_size = sizeof(layer_weights),
                                          .name = "streams",
                                          .binds = binds,
                                          .scratch = scratch,
                                          .forward = forward,
                                          .explain = explain,
                                          .facts = hybrid_streams_facts};
