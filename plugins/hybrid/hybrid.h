/*
 * hybrid.h: what the files of this plugin share: the kinds of layers, the mixers that keep a state
 * of fixed size, and the steps that several of them have in common (MODEL.md has the maths).
 *
 * Each mixer is one file with its params, weights, bind table and forward; the functions
 * hybrid_*_part read its config keys and return a part whose params lie in the model arena.
 */
#ifndef HYBRID_H
#define HYBRID_H

#include "blocks/decoder/decoder.h"
#include "blocks/ops.h"

/* What the mixer of a layer is. */
typedef enum hybrid_kind {
    HYBRID_LINEAR = 0,    /* the model's mixer with a state */
    HYBRID_ATTENTION = 1, /* softmax attention */
    HYBRID_SHARED = 2,    /* the state mixer after a shared transformer block */
    HYBRID_MLP = 3,       /* no mixer: a dense feed-forward part stands in its place */
    HYBRID_EXPERTS = 4    /* no mixer: experts stand in its place */
} hybrid_kind;

/* kinds.c: the kind of a layer by the card's option "kinds"; its name for a reader. [load] */
hybrid_kind hybrid_layer_kind(const zoo_decoder *b, uint32_t layer);
const char *hybrid_kind_name(hybrid_kind kind);

/* width.c: the width of a dense feed-forward part. [load] */
uint32_t hybrid_dense_width(const zoo_decoder *b);

/* layers.c: one whole layer by the card's option "shape". [load] */
zoo_status hybrid_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out);
/* The part of the state mixer that the card's option "mixer" names. [load] */
zoo_status hybrid_mixer(zoo_decoder *b, uint32_t layer, zoo_part *out);

/* The mixers, by name: make(b, layer, out) reads params, ops computes. */
typedef zoo_status hybrid_part_fn(zoo_decoder *b, uint32_t layer, zoo_part *out);
hybrid_part_fn hybrid_mamba2_part, hybrid_mamba1_part, hybrid_delta_part, hybrid_shortconv_part,
    hybrid_lightning_part, hybrid_rglru_part, hybrid_mlstm_part, hybrid_latent_part,
    hybrid_cca_part, hybrid_recalled_part, hybrid_pooled_part, hybrid_relative_part,
    hybrid_sunk_part, hybrid_factored_part, hybrid_clipped_part;
extern const zoo_block_ops hybrid_mamba2_ops, hybrid_mamba1_ops, hybrid_delta_ops,
    hybrid_shortconv_ops, hybrid_lightning_ops, hybrid_rglru_ops, hybrid_mlstm_ops,
    hybrid_rwkv_time_ops, hybrid_rwkv_channel_ops, hybrid_cca_ops, hybrid_recalled_ops,
    hybrid_pooled_ops, hybrid_relative_ops, hybrid_sunk_ops, hybrid_factored_ops, hybrid_sconv_ops,
    hybrid_clipped_ops;

/* facts.c [load] */
typedef void hybrid_facts_fn(const void *params, const zoo_facts *to);
hybrid_facts_fn hybrid_mamba2_facts, hybrid_mamba1_facts, hybrid_delta_facts, hybrid_mlstm_facts,
    hybrid_rglru_facts, hybrid_rwkv_time_facts, hybrid_rwkv_channel_facts, hybrid_pooled_facts;

/* Refuses stored slopes [n_heads] (may be null) that are not -decays. lightning_slopes.c [load] */
zoo_status hybrid_check_slopes(const float *stored, const float *decays, uint32_t n_heads,
                               zoo_error *err);
/* A layer of rwkv.c; the width of the feed-forward part beside mlstm.c. */
zoo_status hybrid_rwkv_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out);
/* What stands between the last layer and the last norm. */
zoo_status hybrid_rwkv_finish(zoo_decoder *b);
uint32_t hybrid_mlstm_ffn_width(const zoo_decoder *b);

struct zoo_mla;
/* The indexer of latent attention, by option "index". latent_index.c [load] */
void hybrid_latent_index(const zoo_decoder *b, uint32_t layer, struct zoo_mla *p);

/* A linear map as a part: one matrix, or two with `rank` rows between them. map.c */
typedef struct hybrid_map {
    const char *path, *name;
    uint32_t width_in, width_out, rank;
} hybrid_map;
zoo_status hybrid_map_part(zoo_decoder *b, const hybrid_map *want, zoo_part *out);
/* The model's norm as a part with its tensors at `path`. norm.c */
zoo_status hybrid_norm_part(zoo_decoder *b, const char *path, const char *name, uint32_t width,
                            zoo_part *out);
/* y = scale * x as a part. norm.c */
zoo_status hybrid_scale_part(zoo_decoder *b, const char *name, float scale, zoo_part *out);
/* A layer after a shared transformer block. shared_plan.c */
zoo_status hybrid_shared_layer(zoo_decoder *b, hybrid_kind kind, uint32_t layer, zoo_layer *out);
/* A layer whose residual additions are scaled by elements, and what stands before the first one.
 * scaled.c */
zoo_status hybrid_scaled_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out);
zoo_status hybrid_scaled_begin(zoo_decoder *b);
/* Sets the factors of a layer's residual additions. factors.c [load] */
zoo_status hybrid_set_factors(zoo_decoder *b, hybrid_kind kind, zoo_layer *out);
/* A layer whose branches pass short convolutions. convolved.c */
zoo_status hybrid_convolved_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out);
extern const zoo_block_ops hybrid_convolved_ops;
/* The convolution behind a branch; scaled: over sqrt(taps + 1). convolved.c */
zoo_status hybrid_sconv_part(zoo_decoder *b, const char *name, bool scaled, zoo_part *out);
/* A layer whose parts read an attention over earlier residuals, and where the model begins and
 * ends. residuals_plan.c */
zoo_status hybrid_residuals_layer(zoo_decoder *b, uint32_t layer, zoo_layer *out);
zoo_status hybrid_residuals_ends(zoo_decoder *b);
/* A layer over several residual streams, and where these begin and end. streams_plan.c */
zoo_status hybrid_streams_layer(zoo_decoder *b, hybrid_kind kind, uint32_t layer, zoo_layer *out);
zoo_status hybrid_streams_ends(zoo_decoder *b);
extern const zoo_block_ops hybrid_map_ops, hybrid_norm_ops, hybrid_shared_ops, hybrid_scaled_ops,
    hybrid_scaled_first_ops;

/* A causal depthwise convolution over all sequences of a step; its window is stream `stream`,
 * [taps - 1, channels]. */
typedef struct hybrid_conv {
    const float *x; /* [n_rows, channels] */
    float *y;       /* [n_rows, channels], not x */
    size_t x_stride, y_stride;
    const float *weight; /* [channels, taps] */
    const float *bias;   /* [channels] or null */
    uint32_t channels, taps;
    zoo_act act;
    uint32_t stream;
} hybrid_conv;
/* steps.c [step] */
void hybrid_conv_run(zoo_ctx *ctx, const hybrid_conv *conv, zoo_cache *cache, const zoo_span *span);

/*
 * y = norm(y * act(z)) with gate_first, else norm(y) * act(z); the norm over each of n_groups
 * equal parts of a row by itself. kind ZOO_NORM_NONE: y * act(z).
 */
typedef struct hybrid_gated_norm {
    float *y;       /* [n_rows, width] */
    const float *z; /* [n_rows, width] or null: no gate */
    size_t y_stride, z_stride;
    const float *weight; /* [width], or [width / n_groups] with same_weight; null: none */
    const float *bias;   /* [width] or null */
    uint32_t width, n_groups;
    uint32_t kind; /* zoo_norm_kind */
    uint32_t same_weight, gate_first;
    zoo_act act;
    float eps;
} hybrid_gated_norm;
/* steps.c [step] */
void hybrid_gated_norm_run(zoo_ctx *ctx, const hybrid_gated_norm *norm, uint32_t n_rows);

/* x = clamp(act(x + bias), lo, hi) on rows [n_rows, width]; bias may be null. steps.c [step] */
typedef struct hybrid_steps {
    float *x;
    size_t x_stride;
    const float *bias;
    uint32_t width;
    zoo_act act;
    float lo, hi;
} hybrid_steps;
void hybrid_steps_run(zoo_ctx *ctx, const hybrid_steps *steps, uint32_t n_rows);

/* A state stream of `width` floats. */
zoo_stream hybrid_state(const char *name, uint32_t width);
/* A part with these params and no norm; the name is option "mixer_name", else `name`. */
zoo_part hybrid_part(const zoo_decoder *b, const zoo_block_ops *ops, const void *params,
                     const char *name);

#endif
