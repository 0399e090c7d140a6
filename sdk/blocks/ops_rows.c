/*
 * ops_rows.c: norms and elementwise operations over rows on all threads; rows as segments; names of
 * activations; scratch layouts.
 *
 * Every operation is one kernel slot for each range of rows. No memory.
 */
#include "blocks/ops.h"

#include <string.h>

void *zoo_scratch_layout_take(zoo_scratch_layout *layout, size_t n)
{
    layout->used += (n + 63u) & ~(size_t)63u;
    return layout->ctx ? layout->ctx->take(layout->ctx, n) : NULL;
}

float *zoo_scratch_layout_floats(zoo_scratch_layout *layout, size_t rows, size_t cols)
{
    return zoo_scratch_layout_take(layout, rows * cols * sizeof(float));
}

void zoo_norm_run(const zoo_kernels *kernels, uint32_t kind, zoo_norm_args args)
{
    args.offset = kind == ZOO_NORM_RMS_PLUS_ONE || kind == ZOO_NORM_LAYER_PLUS_ONE ? 1.0f : 0.0f;
    if (kind == ZOO_NORM_RMS || kind == ZOO_NORM_RMS_PLUS_ONE) {
        kernels->rms_norm(&args);
        for (uint32_t i = 0; args.bias && i < args.n_rows; i++) {
            float *y = args.y + i * args.y_stride;
            kernels->add(y, args.bias, y, args.width);
        }
    } else if (kind == ZOO_NORM_LAYER || kind == ZOO_NORM_LAYER_PLUS_ONE) {
        kernels->layer_norm(&args);
    } else if (args.x != args.y) {
        for (uint32_t i = 0; i < args.n_rows; i++) {
            memcpy(args.y + i * args.y_stride, args.x + i * args.x_stride,
                   args.width * sizeof(float));
        }
    }
}

typedef struct norm_job {
    const zoo_kernels *kernels;
    zoo_norm_args args;
    uint32_t kind;
} norm_job;

static void norm_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const norm_job *job = arg;
    zoo_norm_args args = job->args;
    (void)worker;
    args.x += begin * args.x_stride;
    args.y += begin * args.y_stride;
    args.n_rows = end - begin;
    zoo_norm_run(job->kernels, job->kind, args);
}

void zoo_norm_rows(zoo_ctx *ctx, uint32_t kind, zoo_norm_args args)
{
    norm_job job = {ctx->kernels, args, kind};
    zoo_rows(ctx, args.n_rows, args.width, norm_range, &job);
}

/* One elementwise operation over dense rows. */
typedef struct map_job {
    const zoo_kernels *kernels;
    const float *x;
    float *y;
    size_t width;
    float scale;
    zoo_act act;
} map_job;

static void act_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const map_job *job = arg;
    size_t at = begin * job->width;
    (void)worker;
    job->kernels->act(job->act, job->x + at, job->y + at, (end - begin) * job->width);
}

static void add_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const map_job *job = arg;
    size_t at = begin * job->width;
    (void)worker;
    job->kernels->add(job->x + at, job->y + at, job->y + at, (end - begin) * job->width);
}

static void scale_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const map_job *job = arg;
    size_t at = begin * job->width;
    (void)worker;
    job->kernels->scale(job->scale, job->y + at, job->y + at, (end - begin) * job->width);
}

void zoo_act_rows(zoo_ctx *ctx, zoo_act act, const float *x, float *y, uint32_t n_rows,
                  uint32_t width)
{
    map_job job = {.kernels = ctx->kernels, .x = x, .y = y, .width = width, .act = act};
    zoo_rows(ctx, n_rows, (size_t)width * 4, act_range, &job);
}

void zoo_add_rows(zoo_ctx *ctx, const float *x, float *y, uint32_t n_rows, uint32_t width)
{
    map_job job = {.kernels = ctx->kernels, .x = x, .y = y, .width = width};
    zoo_rows(ctx, n_rows, width, add_range, &job);
}

void zoo_scale_rows(zoo_ctx *ctx, float scale, float *y, uint32_t n_rows, uint32_t width)
{
    map_job job = {.kernels = ctx->kernels, .y = y, .width = width, .scale = scale};
    zoo_rows(ctx, n_rows, width, scale_range, &job);
}

typedef struct round_job {
    const zoo_kernels *kernels;
    const float *x;
    float *y;
    uint32_t width;
} round_job;

static void round_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const round_job *job = arg;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        size_t at = (size_t)row * job->width;
        job->kernels->round8(job->x + at, job->y + at, job->width);
    }
}

void zoo_round_rows(zoo_ctx *ctx, const float *x, float *y, uint32_t n_rows, uint32_t width)
{
    round_job job = {ctx->kernels, x, y, width};
    zoo_rows(ctx, n_rows, (size_t)width * 4, round_range, &job);
}

uint32_t zoo_rows_segments(const float *x, uint32_t width, uint32_t n_rows, zoo_segment *out)
{
    uint32_t n = 0;
    for (uint32_t row = 0; row < n_rows; row += ZOO_PAGE) {
        uint32_t left = n_rows - row;
        out[n++] = (zoo_segment){.page = x + (size_t)row * width,
                                 .n_rows = left < ZOO_PAGE ? left : ZOO_PAGE,
                                 .row = row};
    }
    return n;
}

uint32_t zoo_act_read(const zoo_config *config, const char *key, const char *fallback)
{
    static const struct {
        const char *name;
        uint32_t act;
    } names[] = {{"silu", ZOO_ACT_SILU},
                 {"swish", ZOO_ACT_SILU},
                 {"gelu", ZOO_ACT_GELU},
                 {"gelu_python", ZOO_ACT_GELU},
                 {"gelu_new", ZOO_ACT_GELU_TANH},
                 {"gelu_fast", ZOO_ACT_GELU_TANH},
                 {"gelu_pytorch_tanh", ZOO_ACT_GELU_TANH},
                 {"relu", ZOO_ACT_RELU},
                 {"relu2", ZOO_ACT_RELU2},
                 {"relu_squared", ZOO_ACT_RELU2},
                 {"sigmoid", ZOO_ACT_SIGMOID},
                 {"tanh", ZOO_ACT_TANH},
                 {"linear", ZOO_ACT_NONE}};
    const char *name = config->text(config, key, fallback);
    for (size_t i = 0; name && i < ZOO_COUNT(names); i++) {
        if (strcmp(name, names[i].name) == 0) {
            return names[i].act;
        }
    }
    config->refuse(config, "activation \"%s\" of key %s is not one of those computed",
                   name ? name : "", key);
    return ZOO_ACT_NONE;
}
