/*
 * mixer.c: a token mixer with a state, to copy. The same five steps as block.c, and a stream.
 *
 *   s_t = a s_(t-1) + (1 - a) W_in x_t,   y_t = W_out s_t,   a = sigmoid(decay), for each channel
 *
 * Tensors below the block's module: in_proj.weight [width, hidden], out_proj.weight [hidden,
 * width], decay [width]. Memory: [2, n_rows, width] floats of scratch; between steps a sequence
 * keeps s, [width], whatever its length.
 */
#include <math.h>
#include <string.h>

#include "blocks/ops.h"
#include "template.h"

/* 1. Weights: tensors of the file, and what prepare derives from them. */
typedef struct average_weights {
    zoo_weight in;           /* [width, hidden] */
    zoo_weight out;          /* [hidden, width] */
    const float *decay;      /* [width] */
    const float *old, *more; /* [width] a, 1 - a */
} average_weights;

/* 2. Params. */
typedef struct average_params {
    uint32_t hidden, width;
} average_params;

/* 3. Bind rows. */
static const zoo_bind binds[] = {
    ZOO_BIND(average_weights, in, ZOO_BIND_MATRIX, 0, "in_proj.weight", average_params, width,
             ZOO_AT(average_params, hidden), ZOO_NONE),
    ZOO_BIND(average_weights, out, ZOO_BIND_MATRIX, 0, "out_proj.weight", average_params, hidden,
             ZOO_AT(average_params, width), ZOO_NONE),
    ZOO_BIND(average_weights, decay, ZOO_BIND_VECTOR, 0, "decay", average_params, width, ZOO_NONE,
             ZOO_NONE),
    {.name = NULL},
};

/* The state of a sequence: zero at its start, saved, shared and restored by the host. */
static uint32_t streams(const void *params, zoo_stream *out)
{
    const average_params *p = params;
    out[0] = (zoo_stream){.name = "average", .kind = ZOO_STATE, .width = p->width, .heads = 1};
    return 1;
}

static zoo_status prepare(const void *params, void *bound, zoo_setup *setup, zoo_error *err)
{
    const average_params *p = params;
    average_weights *w = bound;
    float *old = setup->take(setup, p->width * sizeof *old);
    float *more = setup->take(setup, p->width * sizeof *more);
    if (!old || !more) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the decay");
    }
    for (uint32_t i = 0; i < p->width; i++) {
        old[i] = (float)(1.0 / (1.0 + exp(-(double)w->decay[i])));
        more[i] = 1.0f - old[i];
    }
    w->old = old;
    w->more = more;
    return ZOO_OK;
}

/* 4. Scratch. */
typedef struct average_buffers {
    float *in, *state; /* [n_rows, width] */
} average_buffers;

static average_buffers lay_out(const average_params *p, uint32_t n_rows, zoo_scratch_layout *layout)
{
    average_buffers r;
    r.in = zoo_scratch_layout_floats(layout, n_rows, p->width);
    r.state = zoo_scratch_layout_floats(layout, n_rows, p->width);
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const average_params *p = params;
    zoo_scratch_layout layout = {NULL, 0};
    uint32_t widest = p->width > p->hidden ? p->width : p->hidden;
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + zoo_linear_scratch(widest, limits->rows_max);
}

/* 5. Forward: sequences in parallel, the rows of each in order. */
typedef struct average_job {
    const zoo_kernels *kernels;
    const average_params *params;
    const average_weights *weights;
    const zoo_cache *cache;
    const zoo_span *span;
    average_buffers buffers;
} average_job;

static void run_sequence(void *arg, uint32_t item, uint32_t worker)
{
    const average_job *j = arg;
    const zoo_seq *seq = &j->span->seqs[item];
    uint32_t n = j->params->width;
    float *state = j->cache->state(j->cache, 0, seq);
    (void)worker;
    for (uint32_t row = seq->row; row < seq->row + seq->n; row++) {
        float *in = j->buffers.in + (size_t)row * n, *kept = j->buffers.state + (size_t)row * n;
        j->kernels->mul(state, j->weights->old, state, n);
        j->kernels->mul(in, j->weights->more, in, n);
        j->kernels->add(state, in, state, n);
        memcpy(kept, state, n * sizeof *kept);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const average_params *p = params;
    const average_weights *w = weights;
    zoo_scratch_layout layout = {ctx, 0};
    average_job j = {ctx->kernels, p, w, cache, span, lay_out(p, span->n_rows, &layout)};
    const zoo_proj in = {.weight = &w->in, .y = j.buffers.in};
    const zoo_proj out = {.weight = &w->out, .y = y};
    zoo_linear(ctx, &in, 1, x, p->hidden, span->n_rows);
    ctx->parallel(ctx, span->n_seqs, run_sequence, &j);
    zoo_linear(ctx, &out, 1, j.buffers.state, p->width, span->n_rows);
}

/* Shown by lmzoo explain, diff and draw. */
static void facts(const void *params, const zoo_facts *to)
{
    const average_params *p = params;
    to->text(to, "kind", "average");
    to->number(to, "width", p->width);
    to->number(to, "flops.average", 4.0 * p->width);
}

const zoo_block_ops template_average_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(average_weights),
    .name = "average",
    .binds = binds,
    .streams = streams,
    .scratch = scratch,
    .prepare = prepare,
    .forward = forward,
    .facts = facts,
};

/* Its part of a layer, from the config. */
zoo_status template_average_part(const zoo_config *config, zoo_setup *setup, uint32_t hidden,
                                 zoo_part *out, zoo_error *err)
{
    average_params *p = setup->take(setup, sizeof *p);
    if (!p) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->hidden = hidden;
    p->width = config->whole(config, "average_width", hidden);
    if (p->width == 0) {
        config->refuse(config, "average_width is 0");
    }
    *out = (zoo_part){.ops = &template_average_ops,
                      .params = p,
                      .name = "average",
                      .in_scale = 1,
                      .out_scale = 1};
    return ZOO_OK;
}
