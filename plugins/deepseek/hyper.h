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
 * columns, each divided by its sum + eps. At the end of the model h = sum_i pre_i X_i.
 *
 * Source: mHC, Xie et al. (2025).
 */
#ifndef DEEPSEEK_HYPER_H
#define DEEPSEEK_HYPER_H

#include "blocks/ops.h"
#include "zoo.h"

enum { DS_STREAMS_MAX = 16 };

typedef struct ds_hyper {
    uint32_t hidden, n;    /* streams */
    uint32_t iters;        /* 0: independent streams */
    float eps, norm_eps;   /* hc_eps; of rms(X) */
    float magnitude;       /* mu */
    float post_eps;        /* on post; 0 or eps */
    uint32_t flat;         /* n hidden */
    uint32_t rows, scales; /* of W; of a */
} ds_hyper;

/* Weights of one place where streams are mixed. */
typedef struct ds_mix {
    zoo_weight fn;             /* [rows, flat] */
    const float *base, *scale; /* [rows], [scales] */
} ds_mix;

typedef struct ds_hyper_weights {
    ds_mix attn, ffn;
} ds_hyper_weights;

typedef struct ds_head_weights {
    ds_mix head; /* rows: n */
} ds_head_weights;

/* logits [n_rows, rows] = W X / rms(X); normed [n_rows, flat] is workspace. [step] */
void ds_mix_logits(zoo_ctx *ctx, const ds_hyper *p, const ds_mix *w, const float *x, float *normed,
                   float *logits, uint32_t n_rows);
/* pre [n]. [step] */
void ds_mix_pre(const ds_hyper *p, const ds_mix *w, const float *logits, float *pre);
/* post [n], comb [n, n] (not for independent streams). [step] */
void ds_mix_post(const ds_hyper *p, const ds_mix *w, const float *logits, float *post, float *comb);

/* Fills derived fields; refuses. [load] */
zoo_status ds_hyper_finish(ds_hyper *p, zoo_error *err);

/* facts.c [load] */
void ds_hyper_facts(const void *params, const zoo_facts *to);

extern const zoo_block_ops ds_hyper_ops;  /* "hyper": a layer of two parts */
extern const zoo_block_ops ds_spread_ops; /* "spread": one row becomes n equal streams */
extern const zoo_block_ops ds_gather_ops; /* "gather": streams become one row */

#endif
