/*
 * steps.c: what the mixers have in common: convolution over all sequences, gated norms, step sizes.
 *
 * Work is split by sequences and channels or by rows; nothing here depends on how a prompt is cut.
 * Memory: none.
 */
#include "hybrid.h"

enum { CHANNELS_TILE = 256 };

zoo_stream hybrid_state(const char *name, uint32_t width)
{
    return (zoo_stream){.name = name,
                        .kind = ZOO_STATE,
                        .width = width,
                        .heads = 1,
                        .stride = 1,
                        .dtype_min = ZOO_F32};
}

zoo_part hybrid_part(const zoo_decoder *b, const zoo_block_ops *ops, const void *params,
                     const char *name)
{
    const zoo_config *c = b->config;
    return (zoo_part){.ops = ops,
                      .params = params,
                      .name = c->text(c, "@mixer_name", name),
                      .in_scale = 1.0f,
                      .out_scale = 1.0f};
}

typedef struct conv_job {
    const zoo_kernels *kernels;
    const hybrid_conv *conv;
    zoo_cache *cache;
    const zoo_span *span;
    uint32_t n_tiles;
} conv_job;

static void conv_item(void *arg, uint32_t item, uint32_t worker)
{
    const conv_job *job = arg;
    const hybrid_conv *conv = job->conv;
    const zoo_seq *seq = &job->span->seqs[item / job->n_tiles];
    uint32_t begin = item % job->n_tiles * CHANNELS_TILE;
    uint32_t end = begin + CHANNELS_TILE;
    (void)worker;
    zoo_conv_args args = {.x = conv->x + seq->row * conv->x_stride,
                          .y = conv->y + seq->row * conv->y_stride,
                          .state = job->cache->state(job->cache, conv->stream, seq),
                          .weight = conv->weight,
                          .bias = conv->bias,
                          .x_stride = conv->x_stride,
                          .y_stride = conv->y_stride,
                          .n_rows = seq->n,
                          .channels = conv->channels,
                          .taps = conv->taps,
                          .channel_begin = begin,
                          .channel_end = end < conv->channels ? end : conv->channels,
                          .act = conv->act};
    job->kernels->conv(&args);
}

void hybrid_conv_run(zoo_ctx *ctx, const hybrid_conv *conv, zoo_cache *cache, const zoo_span *span)
{
    conv_job job = {ctx->kernels, conv, cache, span,
                    (conv->channels + CHANNELS_TILE - 1) / CHANNELS_TILE};
    ctx->parallel(ctx, span->n_seqs * job.n_tiles, conv_item, &job);
}

typedef struct norm_job {
    const zoo_kernels *kernels;
    const hybrid_gated_norm *norm;
} norm_job;

static void norm_groups(const norm_job *job, float *y)
{
    const hybrid_gated_norm *n = job->norm;
    uint32_t width = n->width / n->n_groups;
    for (uint32_t g = 0; g < n->n_groups; g++) {
        const float *weight = n->weight && !n->same_weight ? n->weight + g * width : n->weight;
        zoo_norm_args args = {.x = y + g * width,
                              .y = y + g * width,
                              .weight = weight,
                              .bias = n->bias ? n->bias + g * width : NULL,
                              .x_stride = width,
                              .y_stride = width,
                              .n_rows = 1,
                              .width = width,
                              .eps = n->eps};
        zoo_norm_run(job->kernels, n->kind, args);
    }
}

static void norm_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const norm_job *job = arg;
    const hybrid_gated_norm *n = job->norm;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *y = n->y + row * n->y_stride;
        if (n->z && n->gate_first) {
            job->kernels->act_mul(n->act, n->z + row * n->z_stride, y, y, n->width);
        }
        norm_groups(job, y);
        if (n->z && !n->gate_first) {
            job->kernels->act_mul(n->act, n->z + row * n->z_stride, y, y, n->width);
        }
    }
}

void hybrid_gated_norm_run(zoo_ctx *ctx, const hybrid_gated_norm *norm, uint32_t n_rows)
{
    norm_job job = {ctx->kernels, norm};
    zoo_rows(ctx, n_rows, (size_t)norm->width * 6, norm_range, &job);
}

typedef struct steps_job {
    const zoo_kernels *kernels;
    const hybrid_steps *steps;
} steps_job;

static void steps_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const steps_job *job = arg;
    const hybrid_steps *s = job->steps;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *x = s->x + row * s->x_stride;
        if (s->bias) {
            job->kernels->add(x, s->bias, x, s->width);
        }
        job->kernels->act(s->act, x, x, s->width);
        job->kernels->clamp(s->lo, s->hi, x, x, s->width);
    }
}

void hybrid_steps_run(zoo_ctx *ctx, const hybrid_steps *steps, uint32_t n_rows)
{
    steps_job job = {ctx->kernels, steps};
    zoo_rows(ctx, n_rows, (size_t)steps->width * 4, steps_range, &job);
}
