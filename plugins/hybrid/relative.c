/*
 * relative.c: the block of attention with a bias for each distance (formulas: relative.h).
 *
 * Keys: num_attention_heads, num_key_value_heads, head_dim, and with swa_ in front those of
 * windowed layers (layer_types says hybrid_sliding); sliding_window, d_rel, rel_extent,
 * conv_kernel_size, log_scaling_n_floor, log_scaling_alpha.
 */
#include <string.h>

#include "blocks/rows.h"
#include "relative.h"

/* clang-format off */
static const zoo_bind binds[] = {
#include "blocks/gqa/binds.inc"
#undef ZOO_ROW_WEIGHTS
#undef ZOO_ROW_PARAMS
#define ZOO_ROW_WEIGHTS relative_weights
#define ZOO_ROW_PARAMS relative_params
#define TABLE(f, name_, rows_, cols_)                                                              \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, f),               \
        .rows = ZOO_ROW_AT(rows_), .cols = ZOO_ROW_AT(cols_), .experts = ZOO_NONE,                 \
        .map = ZOO_NONE, .when = ZOO_NONE                                                          \
    }
    ZOO_ROW_MATRIX(r, "r_proj.weight", 0, r_rows, gqa.shape.width_in, ZOO_NONE, ZOO_NONE),
    TABLE(conv_k, "k_sconv.conv1d.weight", gqa.derived.k_rows, taps),
    TABLE(conv_v, "v_sconv.conv1d.weight", gqa.derived.v_rows, taps),
    TABLE(bank, "rel_logits_proj.proj", distances.rank, distances.extent),
    {0}};
/* clang-format on */

static void lay_out(relative_job *job, const relative_params *p, uint32_t n, uint32_t n_threads,
                    zoo_scratch_layout *layout)
{
    uint32_t group = p->gqa.shape.n_heads / p->gqa.shape.n_kv_heads, window = p->gqa.shape.window;
    uint32_t keys_max = window && window < job->length ? window : job->length;
    job->raw_k = zoo_scratch_layout_floats(layout, n, p->gqa.derived.k_rows);
    job->raw_v = zoo_scratch_layout_floats(layout, n, p->gqa.derived.v_rows);
    job->r = zoo_scratch_layout_floats(layout, n, p->r_rows);
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
    zoo_scratch_layout layout = {0};
    relative_job job = {.length = limits->context_max};
    lay_out(&job, params, limits->rows_max, limits->n_threads, &layout);
    return layout.used + zoo_gqa_scratch(params, limits);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const relative_params *p = params;
    uint32_t n = zoo_gqa_streams(params, out);
    out[n] = hybrid_state("conv_k", (p->taps - 1) * p->gqa.derived.k_rows);
    out[n + 1] = hybrid_state("conv_v", (p->taps - 1) * p->gqa.derived.v_rows);
    return n + 2;
}

/* y = x + conv(x); stream: the state of the convolution. */
static void convolve(relative_job *job, const float *x, float *y, const float *taps,
                     uint32_t channels, uint32_t stream)
{
    const gqa_step *step = &job->step;
    const hybrid_conv conv = {.x = x,
                              .y = y,
                              .x_stride = channels,
                              .y_stride = channels,
                              .weight = taps,
                              .channels = channels,
                              .taps = job->params->taps,
                              .stream = stream};
    hybrid_conv_run(step->ctx, &conv, step->cache, step->span);
    zoo_add_rows(step->ctx, x, y, step->span->n_rows, channels);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    enum { CONV_K = 2, CONV_V = 3 };
    const relative_params *p = params;
    const relative_weights *w = weights;
    const zoo_gqa_derived *d = &p->gqa.derived;
    zoo_scratch_layout layout = {.ctx = ctx};
    relative_job job = {.step = zoo_gqa_begin(ctx, &p->gqa, &w->gqa, cache, span),
                        .params = p,
                        .weights = w,
                        .length = zoo_span_length(span)};
    lay_out(&job, p, span->n_rows, ctx->n_threads, &layout);
    const zoo_proj proj[] = {{&w->gqa.q, NULL, job.step.buffers.q, 0},
                             {&w->gqa.k, NULL, job.raw_k, 0},
                             {&w->gqa.v, NULL, job.raw_v, 0},
                             {&w->r, NULL, job.r, 0}};
    zoo_linear(ctx, proj, ZOO_COUNT(proj), x, p->gqa.shape.width_in, span->n_rows);
    convolve(&job, job.raw_k, job.step.buffers.k, w->conv_k, d->k_rows, CONV_K);
    convolve(&job, job.raw_v, job.step.buffers.v, w->conv_v, d->v_rows, CONV_V);
    zoo_gqa_shape_rows(&job.step);
    hybrid_relative_attend(&job);
    const zoo_proj out = {&w->gqa.o, NULL, y, 0};
    zoo_linear(ctx, &out, 1, job.step.buffers.out, d->o_cols, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const relative_params *p = params;
    (void)snprintf(text, n,
                   "%u heads over %u key-value heads of %u; scores have a bias for each of %u "
                   "distances, keys and values pass a convolution of %u tokens",
                   p->gqa.shape.n_heads, p->gqa.shape.n_kv_heads, p->gqa.shape.head_dim,
                   p->distances.extent, p->taps);
}

static void facts(const void *params, const zoo_facts *to)
{
    const relative_params *p = params;
    zoo_gqa_facts(params, to);
    to->number(to, "convolution", p->taps);
    to->number(to, "distances_with_bias", p->distances.extent);
}

uint32_t hybrid_windowed_size(const zoo_config *c, bool slides, const char *key, uint32_t fallback)
{
    char other[64];
    (void)snprintf(other, sizeof other, "swa_%s", key);
    uint32_t full = c->whole(c, key, fallback), windowed = c->whole(c, other, fallback);
    return slides ? windowed : full;
}

static zoo_status refuse(const relative_params *p, bool slides, zoo_error *err)
{
    const hybrid_distances *d = &p->distances;
    if (p->taps < 2 || p->taps > ZOO_TAPS_MAX || !d->rank || !d->extent || d->rank > 1u << 16 ||
        (slides && !p->gqa.shape.window)) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "a convolution of %u tokens, d_rel %u, %u distances with a bias", p->taps,
                        d->rank, d->extent);
    }
    return ZOO_OK;
}

zoo_status hybrid_relative_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    char key[64];
    (void)snprintf(key, sizeof key, "layer_types[%u]", layer);
    bool slides = strcmp(c->text(c, key, ""), "hybrid_sliding") == 0;
    uint32_t window = c->whole(c, "sliding_window", 0), extent = c->whole(c, "rel_extent", 1024);
    double floor = c->number(c, "log_scaling_n_floor", 0.0);
    relative_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->taps = c->whole(c, "conv_kernel_size", 4);
    p->distances = (hybrid_distances){.rank = c->whole(c, "d_rel", 16),
                                      .extent = slides ? window : extent,
                                      .log_floor = slides ? 0.0f : (float)floor,
                                      .log_alpha = (float)c->number(c, "log_scaling_alpha", 0.1)};
    p->gqa.shape = (zoo_gqa_shape){
        .width_in = b->hidden,
        .n_heads = hybrid_windowed_size(c, slides, "num_attention_heads", b->n_heads),
        .n_kv_heads = hybrid_windowed_size(c, slides, "num_key_value_heads", b->n_kv_heads),
        .head_dim = hybrid_windowed_size(c, slides, "head_dim", b->head_dim),
        .window = slides ? window : 0};
    ZOO_TRY(refuse(p, slides, b->err));
    p->gqa.options.scale = p->gqa.shape.head_dim ? 1.0f / (float)p->gqa.shape.head_dim : 0.0f;
    p->gqa.options.qk_norm = (zoo_qk_norm){.kind = b->norm_kind, .has_weight = 1, .eps = b->eps};
    p->r_rows = p->gqa.shape.n_heads * p->distances.rank;
    *out = hybrid_part(b, &hybrid_relative_ops, p, "self_attn");
    return zoo_gqa_finish(&p->gqa, b->err);
}

const zoo_block_ops hybrid_relative_ops = {.size = sizeof(zoo_block_ops),
                                           .weights_size = sizeof(relative_weights),
                                           .name = "relative",
                                           .binds = binds,
                                           .streams = streams,
                                           .scratch = scratch,
                                           .check = zoo_gqa_check,
                                           .forward = forward,
                                           .explain = explain,
                                           .facts = facts};
