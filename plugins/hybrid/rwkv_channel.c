/*
 * rwkv_channel.c: channel mixing of RWKV-4, in place of a feed-forward part.
 *
 *   k, r = W of the row mixed with the one before;  y = sigmoid(r) * W_value( max(k, 0)^2 )
 *
 * Streams: STATE "shift" [width].
 */
#include "blocks/rows.h"
#include "rwkv.h"

typedef struct channel_weights {
    zoo_weight k, v, r;
    const float *mix_k, *mix_r; /* [width] */
    const float *rest_k, *rest_r;
} channel_weights;

#define ZOO_ROW_WEIGHTS channel_weights
#define ZOO_ROW_PARAMS  rwkv_params

static const zoo_bind binds[] = {
    ZOO_ROW_MATRIX(k, "key.weight", 0, inner, width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(v, "value.weight", 0, width, inner, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(r, "receptance.weight", 0, width, width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(mix_k, "time_mix_key", width, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(mix_r, "time_mix_receptance", width, ZOO_NONE, ZOO_NONE),
    {0}};

static zoo_status prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err)
{
    const rwkv_params *p = params;
    channel_weights *w = weights;
    w->rest_k = hybrid_rwkv_rest(setup, w->mix_k, p->width);
    w->rest_r = hybrid_rwkv_rest(setup, w->mix_r, p->width);
    return w->rest_k && w->rest_r ? ZOO_OK
                                  : zoo_fail(err, ZOO_E_MEMORY, "no memory for channel mixing");
}

typedef struct channel_buffers {
    float *mixed[2]; /* [n_rows, width]: for k, r */
    float *k;        /* [n_rows, inner] */
    float *r;        /* [n_rows, width] */
    float *tmp;      /* [n_threads, width] */
} channel_buffers;

static channel_buffers lay_out(const rwkv_params *p, uint32_t n_rows, uint32_t n_threads,
                               zoo_scratch_layout *layout)
{
    channel_buffers m;
    m.mixed[0] = zoo_scratch_layout_floats(layout, n_rows, p->width);
    m.mixed[1] = zoo_scratch_layout_floats(layout, n_rows, p->width);
    m.k = zoo_scratch_layout_floats(layout, n_rows, p->inner);
    m.r = zoo_scratch_layout_floats(layout, n_rows, p->width);
    m.tmp = zoo_scratch_layout_floats(layout, n_threads, p->width);
    return m;
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const rwkv_params *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, limits->n_threads, &layout);
    return layout.used + 2 * zoo_linear_scratch(p->width, limits->rows_max) +
           zoo_linear_scratch(p->inner, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const rwkv_params *p = params;
    out[0] = hybrid_state("shift", p->width);
    return 1;
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const rwkv_params *p = params;
    const channel_weights *w = weights;
    uint32_t n = span->n_rows;
    zoo_scratch_layout layout = {.ctx = ctx};
    channel_buffers m = lay_out(p, n, ctx->n_threads, &layout);
    const rwkv_mix mix = {x,
                          p->width,
                          2,
                          0,
                          {w->mix_k, w->mix_r},
                          {w->rest_k, w->rest_r},
                          {m.mixed[0], m.mixed[1]},
                          m.tmp};
    hybrid_rwkv_mix_run(ctx, &mix, cache, span);
    const zoo_proj key = {&w->k, NULL, m.k, 0}, receptance = {&w->r, NULL, m.r, 0};
    const zoo_proj value = {&w->v, NULL, y, 0};
    zoo_linear(ctx, &key, 1, m.mixed[0], p->width, n);
    zoo_linear(ctx, &receptance, 1, m.mixed[1], p->width, n);
    zoo_act_rows(ctx, ZOO_ACT_RELU2, m.k, m.k, n, p->inner);
    zoo_linear(ctx, &value, 1, m.k, p->inner, n);
    const hybrid_gated_norm gate = {.y = y,
                                    .z = m.r,
                                    .y_stride = p->width,
                                    .z_stride = p->width,
                                    .width = p->width,
                                    .n_groups = 1,
                                    .act = ZOO_ACT_SIGMOID};
    hybrid_gated_norm_run(ctx, &gate, n);
    zoo_scale_rows(ctx, p->scale, y, n, p->width);
}

const zoo_block_ops hybrid_rwkv_channel_ops = {.size = sizeof(zoo_block_ops),
                                               .weights_size = sizeof(channel_weights),
                                               .name = "rwkv_channel",
                                               .binds = binds,
                                               .streams = streams,
                                               .scratch = scratch,
                                               .prepare = prepare,
                                               .forward = forward,
                                               .facts = hybrid_rwkv_channel_facts};
