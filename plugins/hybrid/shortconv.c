/*
 * shortconv.c: a gated short convolution.
 *
 *   B, C, x = in_proj u;  y = out_proj( C * conv(B * x) ), the convolution without activation
 *
 * Streams: STATE "conv" [taps - 1, hidden]. Keys: conv_L_cache (taps), conv_bias. Source: LFM2
 * technical report (2025).
 */
#include "blocks/rows.h"
#include "hybrid.h"

typedef struct shortconv_params {
    uint32_t width, taps, bias;
    uint32_t in_rows; /* 3 width */
} shortconv_params;

typedef struct shortconv_weights {
    zoo_weight in, out;
    const float *in_bias, *out_bias;
    const float *conv, *conv_bias; /* [width, taps], [width] */
} shortconv_weights;

#define ZOO_ROW_WEIGHTS shortconv_weights
#define ZOO_ROW_PARAMS  shortconv_params

/* clang-format off */
static const zoo_bind binds[] = {
    ZOO_ROW_MATRIX(in, "in_proj.weight", 0, in_rows, width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(in_bias, "in_proj.bias", in_rows, ZOO_NONE, ZOO_ROW_AT(bias)),
    {.name = "conv.weight", .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, conv),
     .rows = ZOO_ROW_AT(width),
     .cols = ZOO_ROW_AT(taps), .experts = ZOO_NONE, .map = ZOO_NONE, .when = ZOO_NONE},
    ZOO_ROW_VECTOR(conv_bias, "conv.bias", width, ZOO_NONE, ZOO_ROW_AT(bias)),
    ZOO_ROW_MATRIX(out, "out_proj.weight", 0, width, width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(out_bias, "out_proj.bias", width, ZOO_NONE, ZOO_ROW_AT(bias)),
    {0}};
/* clang-format on */

typedef struct shortconv_buffers {
    float *bcx;   /* [n_rows, 3 width] */
    float *gated; /* [n_rows, width] */
    float *y;     /* [n_rows, width] */
} shortconv_buffers;

static shortconv_buffers lay_out(const shortconv_params *p, uint32_t n_rows,
                                 zoo_scratch_layout *layout)
{
    shortconv_buffers r;
    r.bcx = zoo_scratch_layout_floats(layout, n_rows, p->in_rows);
    r.gated = zoo_scratch_layout_floats(layout, n_rows, p->width);
    r.y = zoo_scratch_layout_floats(layout, n_rows, p->width);
    return r;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const shortconv_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, &layout);
    return layout.used + 2 * zoo_linear_scratch(p->width, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const shortconv_params *p = params;
    out[0] = hybrid_state("conv", (p->taps - 1) * p->width);
    return 1;
}

typedef struct gate_job {
    const zoo_kernels *kernels;
    shortconv_buffers buffers;
    uint32_t width;
} gate_job;

static void gate_in(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const gate_job *job = arg;
    size_t w = job->width;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        const float *b = job->buffers.bcx + row * 3 * w;
        job->kernels->mul(b, b + 2 * w, job->buffers.gated + row * w, w);
    }
}

static void gate_out(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const gate_job *job = arg;
    size_t w = job->width;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *y = job->buffers.y + row * w;
        job->kernels->mul(job->buffers.bcx + row * 3 * w + w, y, y, w);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const shortconv_params *p = params;
    const shortconv_weights *w = weights;
    zoo_scratch_layout layout = {.ctx = ctx};
    gate_job job = {ctx->kernels, lay_out(p, span->n_rows, &layout), p->width};
    const zoo_proj in = {&w->in, w->in_bias, job.buffers.bcx, 0};
    const zoo_proj out = {&w->out, w->out_bias, y, 0};
    zoo_linear(ctx, &in, 1, x, p->width, span->n_rows);
    zoo_rows(ctx, span->n_rows, p->width, gate_in, &job);
    const hybrid_conv conv = {.x = job.buffers.gated,
                              .y = job.buffers.y,
                              .x_stride = p->width,
                              .y_stride = p->width,
                              .weight = w->conv,
                              .bias = w->conv_bias,
                              .channels = p->width,
                              .taps = p->taps};
    hybrid_conv_run(ctx, &conv, cache, span);
    zoo_rows(ctx, span->n_rows, p->width, gate_out, &job);
    zoo_linear(ctx, &out, 1, job.buffers.y, p->width, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const shortconv_params *p = params;
    (void)snprintf(text, n, "gated convolution of %u taps", p->taps);
}

static void facts(const void *params, const zoo_facts *to)
{
    const shortconv_params *p = params;
    to->text(to, "kind", "gated convolution");
    to->number(to, "channels", p->width);
    to->number(to, "convolution", p->taps);
    to->number(to, "flops.conv", 2.0 * p->width * p->taps);
}

zoo_status hybrid_shortconv_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    (void)layer;
    const zoo_config *c = b->config;
    shortconv_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->width = b->hidden;
    p->in_rows = 3 * b->hidden;
    p->taps = c->whole(c, "conv_L_cache", 3);
    p->bias = c->flag(c, "conv_bias", false);
    if (p->taps < 2 || p->taps > ZOO_TAPS_MAX) {
        return zoo_fail(b->err, ZOO_E_CONFIG, "short convolution of %u taps", p->taps);
    }
    *out = hybrid_part(b, &hybrid_shortconv_ops, p, "conv");
    return ZOO_OK;
}

const zoo_block_ops hybrid_shortconv_ops = {.size = sizeof(zoo_block_ops),
                                            .weights_size = sizeof(shortconv_weights),
                                            .name = "shortconv",
                                            .binds = binds,
                                            .streams = streams,
                                            .scratch = scratch,
                                            .forward = forward,
                                            .explain = explain,
                                            .facts = facts};
