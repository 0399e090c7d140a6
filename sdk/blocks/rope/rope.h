/*
 * rope.h: rotary position tables of every kind, read from a config once and evaluated once a step.
 *
 *   angle[i] = position * inv_freq[i];  (a, b) -> (a cos - b sin, b cos + a sin)
 *
 * Kinds: default, linear, dynamic (NTK), dynamic with alpha, llama3, yarn, longrope (also "su"),
 * proportional ("mrope" is default: text has three equal positions). inv_freq and angles are
 * float32 products, as the reference computes them; cos and sin are rounded once from double.
 *
 * Layers that rotate alike should share one zoo_rope (the same address): its angles are then
 * computed once a step for all of them. One zoo_rope for each layer type is the usual case.
 */
#ifndef ZOO_BLOCKS_ROPE_H
#define ZOO_BLOCKS_ROPE_H

#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What to read, and the defaults of keys that the config lacks. Zero means the default given here;
 * start from `{.head_dim = D}`.
 *
 * Where parameters are looked for: the member `layer_type` of rope_scaling or rope_parameters where
 * there is one; else the dict `rope_scaling` if it is not null; else `rope_parameters`.
 * theta:   theta_fixed > dict.rope_theta > the top-level key `theta_key` > `theta`.
 * partial: rotary_dim > dict.partial_rotary_factor > the top-level key `partial_key` > `partial`.
 * original_max_position_embeddings: top level > dict > max_position_embeddings.
 */
typedef struct zoo_rope_want {
    uint32_t head_dim;         /* D; required */
    const char *layer_type;    /* "full_attention", "sliding_attention"; null: one table for all */
    const char *theta_key;     /* null: "rope_theta"; "": a top-level theta is ignored */
    const char *partial_key;   /* null: "partial_rotary_factor"; "": ignored */
    double theta;              /* 0: 10000 */
    double theta_fixed;        /* theta of this layer, whatever the file says; 0: none */
    double partial;            /* 0: 1 */
    uint32_t rotary_dim;       /* rotated dims R, whatever the file says; 0: int(D * partial) */
    uint32_t interleaved;      /* pairs (2i, 2i + 1) instead of (i, i + R / 2) */
    uint32_t negated;          /* rotation by the negative angle */
    uint32_t unscaled;         /* only the member layer_type counts, not a flat dict */
    uint32_t original_in_dict; /* a top-level original_max_position_embeddings is ignored */
    uint32_t max_positions;    /* 0: max_position_embeddings of the config */
} zoo_rope_want;

typedef enum zoo_rope_kind {
    ZOO_ROPE_FIXED = 0,   /* one table */
    ZOO_ROPE_DYNAMIC = 1, /* theta grows with n_total beyond `limit` positions */
    ZOO_ROPE_LONG = 2     /* a second table and factor where n_total is above `limit` */
} zoo_rope_kind;

typedef struct zoo_rope {
    uint32_t kind;    /* zoo_rope_kind */
    uint32_t n_pairs; /* angles of a head; 2 * n_pairs dims are rotated, the rest pass through */
    uint32_t pair_offset; /* distance of a half-split pair; 0: n_pairs */
    uint32_t interleaved;
    uint32_t limit;
    uint32_t rotary_dim;        /* R; DYNAMIC */
    float sign;                 /* 1, or -1 where the angle is negated */
    float factor, factor_long;  /* on cos and sin */
    double theta, growth;       /* DYNAMIC: base and scaling factor */
    const float *inv_freq;      /* [n_pairs] */
    const float *inv_freq_long; /* [n_pairs]; LONG */
    /* original_max_position_embeddings where the kind has one, else max_position_embeddings. */
    uint32_t original_max;
    uint32_t reserved;
    double scaling;                /* `factor` of the dict, 1 without: for mscale on the scores */
    double mscale, mscale_all_dim; /* of the dict, 0 without */
    const char *name;              /* "default", "llama3", ...: the file's word for it */
} zoo_rope;

/* Facts rotation, rotary_dims, theta, rotation_factor; rope null: rotation is "none". [load] */
void zoo_rope_facts(const zoo_rope *rope, const zoo_facts *to);

/* Fills *out; arrays come from setup->take. Refuses, through config->refuse, unknown kinds and
 * lists of the wrong length. [load] */
zoo_status zoo_rope_read(const zoo_config *config, zoo_setup *setup, const zoo_rope_want *want,
                         zoo_rope *out, zoo_error *err);

/* The square of yarn's mscale, 0.1 mscale_all_dim ln(factor) + 1, by which latent attention scales
 * its scores; 1 without. [load] */
double zoo_rope_score_scale(const zoo_rope *rope);

/*
 * Sets plan->reread_always (dynamic) or plan->reread_after (longrope): lengths past which a
 * sequence must be computed again because this table changes with its length. Call it for every
 * table of the model; the smallest limits win. [load]
 */
void zoo_rope_reread(const zoo_rope *rope, zoo_plan *plan);

/* Cosines and sines of a step, [n_rows, n_pairs] each, factor and sign included. */
typedef struct zoo_rope_rows {
    const float *cos, *sin;
} zoo_rope_rows;

/* The angles of the rows of this step, computed at the first call in it;
 * not inside a parallel loop. [step] */
zoo_rope_rows zoo_rope_rows_of(zoo_ctx *ctx, const zoo_rope *rope, const zoo_span *span);

/* Rotates n_heads heads, head_stride floats apart, that begin at x, by the angles of
 * row `row`. [step] */
void zoo_rope_rotate(const zoo_kernels *kernels, const zoo_rope *rope, zoo_rope_rows rows,
                     uint32_t row, float *x, uint32_t n_heads, uint32_t head_stride);

/*
 * Slopes of linear position biases for n heads: 2^(-max_bias (h + 1) / n) for a power of two, with
 * the usual interleaving of the next power otherwise. max_bias is 8 nearly everywhere. [load]
 */
void zoo_alibi_slopes(uint32_t n_heads, double max_bias, float *out);

#ifdef __cplusplus
}
#endif

#endif
