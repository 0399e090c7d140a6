/*
 * clipped_bind.c: params and tensors of attention over queries and keys of bounded length
 * (clipped.h).
 *
 * Keys: num_attention_heads, num_key_value_heads, head_dim, and with swa_ in front those of
 * windowed layers (layer_types says hybrid_sliding); sliding_window, d_rel, rel_extent,
 * conv_kernel_size, log_scaling_n_floor, log_scaling_alpha, qk_l2_clip_threshold,
 * rel_l2_clip_threshold.
 */
#include <string.h>

#include "blocks/rows.h"
#include "clipped.h"

/* clang-format off */
const zoo_bind hybrid_clipped_binds[] = {
#include "blocks/gqa/binds.inc"
#undef ZOO_ROW_WEIGHTS
#undef ZOO_ROW_PARAMS
#define ZOO_ROW_WEIGHTS clipped_weights
#define ZOO_ROW_PARAMS clipped_params
#define TABLE(f, name_, rows_, cols_, when_)                                                       \
    {                                                                                              \
        .name = name_, .kind = ZOO_BIND_VECTOR, .field = ZOO_AT(ZOO_ROW_WEIGHTS, f),               \
        .rows = ZOO_ROW_AT(rows_), .cols = ZOO_ROW_AT(cols_), .experts = ZOO_NONE,                 \
        .map = ZOO_NONE, .when = when_                                                             \
    }
#define MIX(f, name_)                                                                              \
    ZOO_ROW_MATRIX(f, name_, ZOO_BIND_EXACT, mix_rows, gqa.shape.width_in, ZOO_NONE,               \
                   ZOO_ROW_AT(dynamic))
#define BIAS(name_) "relative_position_bias." name_
    ZOO_ROW_MATRIX(r, BIAS("linear.weight"), 0, r_rows, gqa.shape.width_in, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_MATRIX(sink, "sink_proj.weight", ZOO_BIND_EXACT, gqa.shape.n_heads, gqa.shape.width_in,
                   ZOO_NONE, ZOO_NONE),
    MIX(mix_k, "k_proj.sconv.weight_proj.weight"),
    MIX(mix_v, "v_proj.sconv.weight_proj.weight"),
    TABLE(conv_k, "k_proj.sconv.conv1d.weight", gqa.derived.k_rows, taps, ZOO_ROW_AT(windowed)),
    TABLE(conv_v, "v_proj.sconv.conv1d.weight", gqa.derived.v_rows, taps, ZOO_ROW_AT(windowed)),
    TABLE(conv_k, "k_proj.sconv.static_weight", taps, gqa.derived.k_rows, ZOO_ROW_AT(dynamic)),
    TABLE(conv_v, "v_proj.sconv.static_weight", taps, gqa.derived.v_rows, ZOO_ROW_AT(dynamic)),
    TABLE(scale_q, "q_proj.norm.scale", gqa.shape.n_heads, gqa.shape.head_dim, ZOO_NONE),
    TABLE(scale_r, BIAS("norm.scale"), gqa.shape.n_heads, distances.rank, ZOO_NONE),
    TABLE(bank, BIAS("proj"), distances.rank, distances.extent, ZOO_NONE),
    {0}};
/* clang-format on */

static zoo_status refuse(const clipped_params *p, double floor, zoo_error *err)
{
    const hybrid_distances *d = &p->distances;
    if (p->taps < 2 || p->taps > ZOO_TAPS_MAX || !d->rank || !d->extent || d->rank > 1u << 16 ||
        p->gqa.shape.n_heads > 1u << 16 || p->gqa.shape.n_kv_heads > 1u << 16 || !(floor > 0) ||
        (p->windowed && !p->gqa.shape.window)) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "a convolution of %u tokens (2 to %d), d_rel %u, %u distances with a bias, "
                        "log_scaling_n_floor %g: each above 0",
                        p->taps, ZOO_TAPS_MAX, d->rank, d->extent, floor);
    }
    return ZOO_OK;
}

/* Sizes and reach of the layer. */
static zoo_gqa_shape read_shape(const zoo_decoder *b, bool slides)
{
    const zoo_config *c = b->config;
    uint32_t window = c->whole(c, "sliding_window", 0);
    return (zoo_gqa_shape){
        .width_in = b->hidden,
        .n_heads = hybrid_windowed_size(c, slides, "num_attention_heads", b->n_heads),
        .n_kv_heads = hybrid_windowed_size(c, slides, "num_key_value_heads", b->n_kv_heads),
        .head_dim = hybrid_windowed_size(c, slides, "head_dim", b->head_dim),
        .window = slides ? window : 0};
}

zoo_status hybrid_clipped_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    char key[64];
    (void)snprintf(key, sizeof key, "layer_types[%u]", layer);
    bool slides = strcmp(c->text(c, key, ""), "hybrid_sliding") == 0;
    uint32_t extent = c->whole(c, "rel_extent", 1024);
    double floor = c->number(c, "log_scaling_n_floor", 128000.0);
    clipped_params *p = b->setup->take(b->setup, sizeof *p);
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    p->gqa.shape = read_shape(b, slides);
    p->gqa.options =
        (zoo_gqa_options){.gate = ZOO_GATE_ELEMENT, .v_norm = ZOO_NORM_RMS, .v_norm_eps = b->eps};
    p->distances = (hybrid_distances){.rank = c->whole(c, "d_rel", 16),
                                      .extent = slides ? p->gqa.shape.window : extent,
                                      .log_floor = slides ? 0.0f : (float)floor,
                                      .log_alpha = (float)c->number(c, "log_scaling_alpha", 0.1)};
    p->taps = c->whole(c, "conv_kernel_size", 4);
    p->qk_limit = (float)c->number(c, "qk_l2_clip_threshold", 22.627416997969522);
    p->r_limit = (float)c->number(c, "rel_l2_clip_threshold", 8.0);
    p->windowed = slides;
    p->dynamic = !slides;
    p->n_inputs = slides ? 1 : 3;
    ZOO_TRY(refuse(p, floor, b->err));
    p->r_rows = p->gqa.shape.n_heads * p->distances.rank;
    p->mix_rows = slides ? 0 : p->gqa.shape.n_kv_heads * p->taps;
    *out = hybrid_part(b, &hybrid_clipped_ops, p, "self_attn");
    out->width_in = p->n_inputs * b->hidden;
    return zoo_gqa_finish(&p->gqa, b->err);
}
