/*
 * hyper.h: residual streams that are mixed around every block.
 *
 * A row holds n streams X_1 .. X_n of `hidden` floats. Around a block f with its norm:
 *
 *   m = W X / rms(X)                           [2 n, or (2 + n) n]
 *   pre_i = sigmoid(a_0 m_i + b_i) + eps       what the block reads: f(sum_i pre_i X_i)
 *   post_k = mu sigmoid(a_1 m_(n + k) + b_(n + k)) [+ eps]
 *   mixed:        C = sinkhorn(a_2 m_(2n ..) + b_(2n ..)) [n, n];  X_k = post_k y + sum_j C_jk X_j
 *   independent:  X_k = post_k y + X_k
 *
 * sinkhorn: softmax of each row, + eps, divided by column sums; then `iters` - 1 times rows, then
 * columns, each divided by its sum + eps. At the end of the model h = sum_i pre_i X_i, or the mean
 * of all X_i.
 *
 * Source: mHC, Xie et al. (2025).
 */
#ifndef ZOO_BLOCKS_HYPER_H
#define ZOO_BLOCKS_HYPER_H

#include "blocks/decoder/decoder.h"
#include "blocks/ops.h"
#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZOO_HYPER_MAX = 16 };

typedef struct zoo_hyper {
    uint32_t hidden, n;    /* streams */
    uint32_t iters;        /* 0: independent streams */
    float eps, norm_eps;   /* hc_eps; of rms(X) */
    float magnitude;       /* mu */
    float post_eps;        /* on post; 0 or eps */
    uint32_t flat;         /* n hidden */
    uint32_t rows, scales; /* of W; of a */
} zoo_hyper;

/* Weights of one place where streams are mixed. */
typedef struct zoo_hyper_mix {
    zoo_weight fn;             /* [rows, flat] */
    const float *base, *scale; /* [rows], [scales] */
} zoo_hyper_mix;

typedef struct zoo_hyper_weights {
    zoo_hyper_mix attn, ffn;
} zoo_hyper_weights;

typedef struct zoo_hyper_head_weights {
    zoo_hyper_mix head; /* rows: n */
} zoo_hyper_head_weights;

/* logits [n_rows, rows] = W X / rms(X); normed [n_rows, flat] is workspace. [step] */
void zoo_hyper_logits(zoo_ctx *ctx, const zoo_hyper *p, const zoo_hyper_mix *w, const float *x,
                      float *normed, float *logits, uint32_t n_rows);
/* pre [n]. [step] */
void zoo_hyper_pre(const zoo_hyper *p, const zoo_hyper_mix *w, const float *logits, float *pre);
/* post [n], comb [n, n] (not for independent streams). [step] */
void zoo_hyper_post(const zoo_hyper *p, const zoo_hyper_mix *w, const float *logits, float *post,
                    float *comb);

/* Fills derived fields; refuses. [load] */
zoo_status zoo_hyper_finish(zoo_hyper *p, zoo_error *err);

/* facts.c [load] */
void zoo_hyper_facts(const void *params, const zoo_facts *to);

extern const zoo_block_ops zoo_hyper_ops;        /* "hyper": a layer of two parts */
extern const zoo_block_ops zoo_hyper_spread_ops; /* "spread": one row becomes n equal streams */
extern const zoo_block_ops zoo_hyper_gather_ops; /* "gather": a weighted sum of the streams */
extern const zoo_block_ops zoo_hyper_mean_ops;   /* "mean": their mean */

/* Into the plan, by config and card (plan.c lists keys and options): the streams' begin and end;
 * *out are the params of the layers. [load] */
zoo_status zoo_hyper_ends(zoo_decoder *b, const zoo_hyper **out);
/* A layer of parts[0], attention, and parts[1], feed-forward, with the model's norms. [load] */
zoo_status zoo_hyper_layer(zoo_decoder *b, const zoo_hyper *p, uint32_t layer, zoo_part parts[2],
                           zoo_layer *out);

#ifdef __cplusplus
}
#endif

#endif
