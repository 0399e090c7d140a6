/*
 * cca.c: the block of compressed convolutional attention (formulas: cca.h).
 *
 * Keys: num_attention_heads, num_key_value_heads, head_dim, attention_bias, cca_time0, cca_time1,
 * sliding_window (in layers of type hybrid_sliding), rope_parameters by layer type.
 */
#include <string.h>

#include "blocks/rows.h"
#include "cca.h"

/* clang-format off */
static const zoo_bind binds[] = {
#include "blocks/gqa/binds.inc"
#undef ZOO_ROW_WEIGHTS
#undef ZOO_ROW_PARAMS
#define ZOO_ROW_WEIGHTS cca_weights
#define ZOO_ROW_PARAMS cca_params
#define TAPS(f, name_, cols_)                                                                      \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, f),               \
        .rows = ZOO_ROW_AT(channels), .cols = ZOO_ROW_AT(cols_), .experts = ZOO_NONE,              \
        .map = ZOO_NONE, .when = ZOO_NONE                                                          \
    }
    ZOO_ROW_MATRIX(now, "v_proj_current.weight", ZOO_BIND_WIDE, half, gqa.shape.width_in, ZOO_NONE,
                   ZOO_NONE),
    ZOO_ROW_MATRIX(late, "v_proj_delayed.weight", ZOO_BIND_WIDE, half, gqa.shape.width_in,
                   ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(now_bias, "v_proj_current.bias", half, ZOO_NONE, ZOO_ROW_AT(bias)),
    ZOO_ROW_VECTOR(late_bias, "v_proj_delayed.bias", half, ZOO_NONE, ZOO_ROW_AT(bias)),
    TAPS(depth, "conv_qk_depthwise.weight", taps),
    ZOO_ROW_VECTOR(depth_bias, "conv_qk_depthwise.bias", channels, ZOO_NONE, ZOO_NONE),
    TAPS(grouped, "conv_qk_grouped.weight", group_cols),
    ZOO_ROW_VECTOR(grouped_bias, "conv_qk_grouped.bias", channels, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(temp, "qk_norm.temp", gqa.shape.n_kv_heads, ZOO_NONE, ZOO_NONE),
    {0}};
/* clang-format on */

static void lay_out(cca_job *job, const cca_params *p, uint32_t n, uint32_t n_threads,
                    zoo_scratch_layout *layout)
{
    job->raw = zoo_scratch_layout_floats(layout, n, p->channels);
    job->late = zoo_scratch_layout_floats(layout, n, p->half);
    job->window = zoo_scratch_layout_floats(layout, n_threads, p->group_cols);
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    zoo_scratch_layout layout = {0};
    cca_job job = {0};
    lay_out(&job, params, limits->rows_max, limits->n_threads, &layout);
    return layout.used + zoo_gqa_scratch(params, limits);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const cca_params *p = params;
    uint32_t n = zoo_gqa_streams(params, out);
    out[n] = hybrid_state("conv", p->behind * p->channels);
    out[n + 1] = hybrid_state("late", p->half);
    return n + 2;
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const cca_params *p = params;
    const cca_weights *w = weights;
    uint32_t n = span->n_rows, in = p->gqa.shape.width_in;
    zoo_scratch_layout layout = {.ctx = ctx};
    cca_job job = {
        .step = zoo_gqa_begin(ctx, &p->gqa, &w->gqa, cache, span), .params = p, .weights = w};
    lay_out(&job, p, n, ctx->n_threads, &layout);
    const zoo_proj proj[] = {
        {&w->gqa.q, w->gqa.q_bias, job.raw, p->channels},
        {&w->gqa.k, w->gqa.k_bias, job.raw + p->gqa.derived.q_rows, p->channels},
        {&w->now, w->now_bias, job.step.buffers.v, (size_t)2 * p->half},
        {&w->late, w->late_bias, job.late, 0}};
    zoo_linear(ctx, proj, ZOO_COUNT(proj), x, in, n);
    hybrid_cca_rows(&job);
    zoo_gqa_shape_rows(&job.step);
    zoo_gqa_attend(&job.step);
    const zoo_proj out = {&w->gqa.o, w->gqa.o_bias, y, 0};
    zoo_linear(ctx, &out, 1, job.step.buffers.out, p->gqa.derived.o_cols, n);
}

static void explain(const void *params, char *text, size_t n)
{
    const cca_params *p = params;
    (void)snprintf(text, n,
                   "%u heads over %u key-value heads of %u; queries and keys pass convolutions of "
                   "%u and %u tokens, half of each value comes from the token before",
                   p->gqa.shape.n_heads, p->gqa.shape.n_kv_heads, p->gqa.shape.head_dim, p->taps,
                   p->group_taps);
}

static void facts(const void *params, const zoo_facts *to)
{
    const cca_params *p = params;
    zoo_gqa_facts(params, to);
    to->number(to, "convolution", p->behind + 1);
    to->number(to, "values_half_delayed", 1);
}

static zoo_status read_rope(zoo_decoder *b, bool slides, const zoo_rope **out)
{
    zoo_reach at = slides ? ZOO_REACH_SLIDING : ZOO_REACH_FULL;
    const zoo_rope_want want = {.head_dim = b->head_dim,
                                .layer_type = slides ? "hybrid_sliding" : "hybrid"};
    if (!b->ropes[at]) {
        zoo_rope *rope = b->setup->take(b->setup, sizeof *rope);
        if (!rope) {
            return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for rotary tables");
        }
        ZOO_TRY(zoo_rope_read(b->config, b->setup, &want, rope, b->err));
        zoo_rope_reread(rope, b->plan);
        b->ropes[at] = rope;
    }
    *out = b->ropes[at];
    return ZOO_OK;
}

zoo_status hybrid_cca_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    char key[64];
    (void)snprintf(key, sizeof key, "layer_types[%u]", layer);
    bool slides = strcmp(c->text(c, key, ""), "hybrid_sliding") == 0;
    cca_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->bias = c->flag(c, "attention_bias", false);
    p->taps = c->whole(c, "cca_time0", 2);
    p->group_taps = c->whole(c, "cca_time1", 2);
    uint32_t window = c->whole(c, "sliding_window", 0);
    p->gqa.shape = (zoo_gqa_shape){.width_in = b->hidden,
                                   .n_heads = b->n_heads,
                                   .n_kv_heads = b->n_kv_heads,
                                   .head_dim = b->head_dim,
                                   .window = slides ? window : 0,
                                   .q_bias = p->bias,
                                   .k_bias = p->bias,
                                   .o_bias = p->bias};
    ZOO_TRY(read_rope(b, slides, &p->gqa.options.rope));
    ZOO_TRY(zoo_gqa_finish(&p->gqa, b->err));
    if (!p->taps || !p->group_taps || p->taps > ZOO_TAPS_MAX || p->group_taps > ZOO_TAPS_MAX ||
        p->taps + p->group_taps < 3 || p->gqa.derived.v_rows % 2 || (slides && !window)) {
        return zoo_fail(b->err, ZOO_E_CONFIG,
                        "convolutions of %u and %u tokens, values of %u, a window of %u", p->taps,
                        p->group_taps, p->gqa.derived.v_rows, window);
    }
    p->gqa.derived.when.v = 0; /* values have two matrices of their own */
    p->channels = p->gqa.derived.q_rows + p->gqa.derived.k_rows;
    p->half = p->gqa.derived.v_rows / 2;
    p->group_cols = b->head_dim * p->group_taps;
    p->behind = p->taps + p->group_taps - 2;
    *out = hybrid_part(b, &hybrid_cca_ops, p, "self_attn");
    return ZOO_OK;
}

const zoo_block_ops hybrid_cca_ops = {.size = sizeof(zoo_block_ops),
                                      .weights_size = sizeof(cca_weights),
                                      .name = "cca",
                                      .binds = binds,
                                      .streams = streams,
                                      .scratch = scratch,
                                      .check = zoo_gqa_check,
                                      .forward = forward,
                                      .explain = explain,
                                      .facts = facts};
