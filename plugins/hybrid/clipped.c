/*
 * clipped.c: the block of attention over queries and keys of bounded length (formulas: clipped.h).
 *
 * Memory: queries, keys, values, gates and biases of the step's rows, and what attention over
 * listed keys takes.
 */
#include "clipped.h"

#include <math.h>

static void lay_out(clipped_job *job, const clipped_params *p, uint32_t n, uint32_t n_threads,
                    zoo_scratch_layout *layout)
{
    uint32_t group = p->gqa.shape.n_heads / p->gqa.shape.n_kv_heads, window = p->gqa.shape.window;
    uint32_t keys_max = window && window < job->length ? window : job->length;
    job->raw_k = zoo_scratch_layout_floats(layout, n, p->gqa.derived.k_rows);
    job->raw_v = zoo_scratch_layout_floats(layout, n, p->gqa.derived.v_rows);
    job->mix_k = zoo_scratch_layout_floats(layout, n, p->mix_rows);
    job->mix_v = zoo_scratch_layout_floats(layout, n, p->mix_rows);
    job->r = zoo_scratch_layout_floats(layout, n, p->r_rows);
    job->sinks = zoo_scratch_layout_floats(layout, n, p->gqa.shape.n_heads);
    job->workers = zoo_scratch_layout_take(layout, n_threads * sizeof *job->workers);
    for (uint32_t i = 0; i < n_threads; i++) {
        relative_worker r = {zoo_scratch_layout_floats(layout, group, job->length),
                             zoo_scratch_layout_take(layout, (size_t)keys_max * sizeof(uint32_t)),
                             zoo_gqa_biased_take(&p->gqa, keys_max, layout)};
        if (job->workers) {
            job->workers[i] = r;
        }
    }
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const clipped_params *p = params;
    zoo_scratch_layout layout = {0};
    clipped_job job = {.length = limits->context_max};
    lay_out(&job, p, limits->rows_max, limits->n_threads, &layout);
    return layout.used + zoo_gqa_scratch(params, limits) +
           2 * zoo_linear_scratch(p->gqa.shape.width_in, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const clipped_params *p = params;
    uint32_t n = zoo_gqa_streams(params, out);
    out[n] = hybrid_state("conv_k", (p->taps - 1) * p->gqa.derived.k_rows);
    out[n + 1] = hybrid_state("conv_v", (p->taps - 1) * p->gqa.derived.v_rows);
    return n + 2;
}

static void project(clipped_job *job, const float *x)
{
    const clipped_params *p = job->params;
    const clipped_weights *w = job->weights;
    const gqa_buffers *b = &job->step.buffers;
    uint32_t width = p->gqa.shape.width_in, n = job->step.span->n_rows;
    size_t stride = (size_t)p->n_inputs * width, next = p->n_inputs > 1 ? width : 0;
    const zoo_proj q[] = {{&w->gqa.q, NULL, b->q, 0},
                          {&w->gqa.gate, NULL, b->gate, 0},
                          {&w->r, NULL, job->r, 0},
                          {&w->sink, NULL, job->sinks, 0}},
                   k[] = {{&w->gqa.k, NULL, job->raw_k, 0}, {&w->mix_k, NULL, job->mix_k, 0}},
                   v[] = {{&w->gqa.v, NULL, job->raw_v, 0}, {&w->mix_v, NULL, job->mix_v, 0}};
    zoo_linear(job->step.ctx, q, ZOO_COUNT(q), x, stride, n);
    zoo_linear(job->step.ctx, k, ZOO_COUNT(k), x + next, stride, n);
    zoo_linear(job->step.ctx, v, ZOO_COUNT(v), x + 2 * next, stride, n);
}

/* Keys (value: values) as they came out of the matrix pass their convolution. */
static void convolve(clipped_job *job, bool value)
{
    enum { CONV_K = 2, CONV_V = 3 };
    const clipped_params *p = job->params;
    const gqa_step *step = &job->step;
    const float *taps = value ? job->weights->conv_v : job->weights->conv_k,
                *x = value ? job->raw_v : job->raw_k;
    float *y = value ? step->buffers.v : step->buffers.k;
    uint32_t channels = value ? p->gqa.derived.v_rows : p->gqa.derived.k_rows,
             stream = value ? CONV_V : CONV_K;
    if (p->dynamic) {
        const hybrid_dynamic_conv conv = {.x = x,
                                          .y = y,
                                          .weight = taps,
                                          .dynamic = value ? job->mix_v : job->mix_k,
                                          .channels = channels,
                                          .taps = p->taps,
                                          .n_heads = p->gqa.shape.n_kv_heads,
                                          .stream = stream,
                                          .scale = 1.0f / sqrtf((float)(2 * p->taps + 1))};
        hybrid_dynamic_conv_run(step->ctx, &conv, step->cache, step->span);
        return;
    }
    const hybrid_conv conv = {.x = x,
                              .y = y,
                              .x_stride = channels,
                              .y_stride = channels,
                              .weight = taps,
                              .channels = channels,
                              .taps = p->taps,
                              .stream = stream};
    hybrid_conv_run(step->ctx, &conv, step->cache, step->span);
    zoo_add_rows(step->ctx, x, y, step->span->n_rows, channels);
    zoo_scale_rows(step->ctx, 1.0f / sqrtf((float)(p->taps + 1)), y, step->span->n_rows, channels);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const clipped_params *p = params;
    const clipped_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    clipped_job job = {.step = zoo_gqa_begin(ctx, &p->gqa, &w->gqa, cache, span),
                       .params = p,
                       .weights = w,
                       .length = zoo_span_length(span)};
    lay_out(&job, p, span->n_rows, ctx->n_threads, &layout);
    project(&job, x);
    convolve(&job, false);
    convolve(&job, true);
    hybrid_clipped_shape(&job);
    hybrid_clipped_attend(&job);
    const zoo_proj out = {&w->gqa.o, NULL, y, 0};
    zoo_linear(ctx, &out, 1, job.step.buffers.out, p->gqa.derived.o_cols, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const clipped_params *p = params;
    (void)snprintf(text, n,
                   "%u heads over %u key-value heads of %u, queries and keys of length %g at most; "
                   "a bias for each of %u distances and a sink from the token; keys and values "
                   "pass a convolution of %u tokens%s",
                   p->gqa.shape.n_heads, p->gqa.shape.n_kv_heads, p->gqa.shape.head_dim,
                   (double)p->qk_limit, p->distances.extent, p->taps,
                   p->dynamic ? " to which the token adds" : "");
}

static void facts(const void *params, const zoo_facts *to)
{
    const clipped_params *p = params;
    zoo_gqa_facts(params, to);
    to->number(to, "convolution", p->taps);
    if (p->dynamic) {
        to->text(to, "taps", "stored ones and those of the token");
        to->text(to, "inputs", "one each for queries, keys and values");
    }
    to->number(to, "distances_with_bias", p->distances.extent);
    to->number(to, "longest_query_and_key", (double)p->qk_limit);
    to->text(to, "sink", "a logit that the token makes for each head");
}

const zoo_block_ops hybrid_clipped_ops = {.size = sizeof(zoo_block_ops),
                                          .weights_size = sizeof(clipped_weights),
                                          .name = "clipped",
                                          .binds = hybrid_clipped_binds,
                                          .streams = streams,
                                          .scratch = scratch,
                                          .check = zoo_gqa_check,
                                          .forward = forward,
                                          .explain = explain,
                                          .facts = facts};
