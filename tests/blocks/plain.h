/*
 * plain.h: the ideas of today's decoders, each written out as plain loops on a page of its own. Six
 * ways to mix the tokens of a text: plain_gqa.c, plain_window.c, plain_mla.c, plain_dsa.c,
 * plain_mamba2.c, plain_delta.c; experts: plain_moe.c; several residual streams: plain_hyper.c; a
 * cache in few bits: plain_narrow_cache.c. Of single releases: attention over queries and keys of
 * bounded length, plain_clipped.c; attention over the residuals of earlier layers,
 * plain_residuals.c.
 *
 * They are meant to be read, and they are what the fast blocks are measured against
 * (test_block_plain*.c). All numbers are double. Matrices and lists of rows lie row by row: element
 * (r, c) of a matrix of `cols` columns is at r * cols + c. x [n][width] holds one row for each
 * token, y the same for the results.
 */
#ifndef LMZOO_TESTS_PLAIN_H
#define LMZOO_TESTS_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

/* ---- what every page uses: plain.c ---- */

/* sum of a[i] b[i] */
double plain_dot(const double *a, const double *b, size_t n);
/* y = W x, W [rows][cols] */
void plain_multiply(const double *w, size_t rows, size_t cols, const double *x, double *y);
/* x = x / sqrt(mean(x^2) + eps) * weight */
void plain_rms_norm(double *x, size_t n, const double *weight, double eps);
/* x = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias */
void plain_layer_norm(double *x, size_t n, const double *weight, const double *bias, double eps);
/* Turns the pair (x[i], x[i + n/2]) by the angle position * frequency[i], for each i < n/2. */
void plain_rotate(double *x, size_t n, double position, const double *frequency);
/* p[j] = exp(s[j]) / sum of exp(s) over the j that are visible; 0 for the others. */
void plain_softmax(const double *s, const bool *visible, size_t n, double *p);
double plain_silu(double x);     /* x / (1 + e^-x) */
double plain_sigmoid(double x);  /* 1 / (1 + e^-x) */
double plain_softplus(double x); /* ln(1 + e^x) */

/* ---- the pages ---- */

typedef struct plain_gqa {
    size_t width; /* of a token's row */
    size_t n_heads,
        n_groups; /* query heads; key-value heads, each for n_heads / n_groups of them */
    size_t head_dim;
    size_t window;           /* plain_window: keys that a query sees, its own included */
    const double *frequency; /* [head_dim / 2] of the rotation */
    const double *wq;        /* [n_heads * head_dim][width] */
    const double *wk, *wv;   /* [n_groups * head_dim][width] */
    const double *wo;        /* [width][n_heads * head_dim] */
} plain_gqa;
void plain_gqa_run(const plain_gqa *p, const double *x, size_t n, double *y);
void plain_window_run(const plain_gqa *p, const double *x, size_t n, double *y);

typedef struct plain_mla {
    size_t width, n_heads;
    size_t query_rank, latent; /* numbers of the short rows that queries, keys and values come of */
    size_t nope, rope;         /* a head's numbers without position, and those that turn with it */
    size_t value;              /* of a head's value */
    double eps;
    const double *frequency;              /* [rope / 2] */
    const double *wq_down, *query_norm;   /* [query_rank][width], [query_rank] */
    const double *wq_up;                  /* [n_heads * (nope + rope)][query_rank] */
    const double *wkv_down, *latent_norm; /* [latent + rope][width], [latent] */
    const double *wk_up, *wv_up;          /* [n_heads][nope][latent], [n_heads][value][latent] */
    const double *wo;                     /* [width][n_heads * value] */
    size_t index_heads, index_dim, index_top; /* plain_dsa: of the indexer; keys that it chooses */
    double index_eps;
    const double *index_wq,
        *index_wk; /* [index_heads * index_dim][query_rank], [index_dim][width] */
    const double *index_norm, *index_bias;  /* [index_dim], of the index keys */
    const double *index_weight;             /* [index_heads][width] */
    size_t index_pool;                      /* tokens of an index key; 0: one */
    const double *index_gate, *index_place; /* [index_dim][width], [index_pool][index_dim] */
} plain_mla;
/* visible [n][n]: which keys (columns) a query (row) may see; null: itself and all before it. */
void plain_mla_run(const plain_mla *p, const double *x, size_t n, const bool *visible, double *y);
void plain_dsa_run(const plain_mla *p, const double *x, size_t n, double *y);
/* Which keys the indexer chooses, to visible [n][n]. */
void plain_dsa_choose(const plain_mla *p, const double *x, size_t n, bool *visible);

typedef struct plain_mamba2 {
    size_t width;
    size_t n_heads, head_dim; /* inner = n_heads * head_dim channels */
    size_t places, n_groups;  /* of a channel's state; groups of heads that share B and C */
    size_t taps;              /* of the convolution */
    double eps;
    const double *w_in; /* [inner + (inner + 2 n_groups places) + n_heads][width]: z, x B C, dt */
    const double *conv, *conv_bias;    /* [channels][taps], [channels]: channels of x, B, C */
    const double *dt_bias, *a_log, *d; /* [n_heads] */
    const double *norm;                /* [inner] */
    const double *w_out;               /* [width][inner] */
} plain_mamba2;
void plain_mamba2_run(const plain_mamba2 *p, const double *x, size_t n, double *y);

typedef struct plain_delta {
    size_t width;
    size_t n_heads, n_groups; /* heads; groups of heads that share queries and keys */
    size_t key, value;        /* numbers of a head's key and value */
    size_t decays;            /* of a head: 1, or `key` */
    size_t taps;              /* of the convolution */
    double eps;
    const double *w;            /* [channels][width]: rows of q, k (n_groups * key each), v */
    const double *conv;         /* [channels][taps] */
    const double *wa, *wb, *wz; /* [n_heads * decays][width], [n_heads], [n_heads * value][width] */
    const double *a_log, *a_bias; /* [n_heads], [n_heads * decays] */
    const double *norm;           /* [value] */
    const double *wo;             /* [width][n_heads * value] */
} plain_delta;
void plain_delta_run(const plain_delta *p, const double *x, size_t n, double *y);

typedef struct plain_moe {
    size_t width, n_experts, n_chosen;
    size_t inner, shared_inner; /* rows in the middle of an expert, of the shared one */
    bool softmax;               /* scores are a softmax over all experts; else sigmoids */
    double scale;
    const double *router, *bias;    /* [n_experts][width], [n_experts] */
    const double *gate, *up, *down; /* [n_experts][inner][width], down [n_experts][width][inner] */
    const double *shared_gate, *shared_up, *shared_down; /* the same of one expert */
} plain_moe;
void plain_moe_run(const plain_moe *p, const double *x, size_t n, double *y);

typedef struct plain_hyper {
    size_t width, n_streams;
    size_t rounds; /* of balancing */
    double eps, norm_eps, magnitude;
} plain_hyper;
/* Weights of one place: w [2 n_streams + n_streams^2][n_streams * width], scale [3], base [rows].
 */
typedef struct plain_mix {
    const double *w, *scale, *base;
} plain_mix;
/* A block: y [width] of x [width]. */
typedef void plain_part(const double *x, size_t width, double *y);
/* X [n_streams][width] of one token, before and after one block. */
void plain_hyper_run(const plain_hyper *p, const plain_mix *w, plain_part *f, double *X);

typedef struct plain_clipped {
    size_t width, width_out, inputs; /* inputs: rows of x that queries, keys, values read; 1 or 3 */
    size_t n_heads, n_groups, head_dim;
    size_t window; /* 0: all keys */
    size_t taps, rank, extent;
    double eps, limit, limit_r, floor, alpha; /* floor 0: t is 1 */
    const double *wq, *wk, *wv, *wo, *wg;     /* as in plain_gqa; wg [n_heads * head_dim][width] */
    const double *wr, *ws;                    /* [n_heads * rank][width], [n_heads][width] */
    const double *scale_q, *scale_r;          /* [n_heads * head_dim], [n_heads * rank] */
    const double *bank;                       /* [rank][extent] */
    const double *mix_k, *mix_v;   /* [n_groups * taps][width]; null: stored taps alone */
    const double *conv_k, *conv_v; /* with mix [taps][rows], the nearest first; else [rows][taps] */
} plain_clipped;
void plain_clipped_run(const plain_clipped *p, const double *x, size_t n, double *y);

typedef struct plain_residuals {
    size_t width, n_kept;
    bool begins;
    const double *w, *u; /* [width] queries before attention and before the feed-forward part */
} plain_residuals;
/* rows [n_kept + 1 or 2][width] of one token, the present residual first, before and after a
 * layer. */
void plain_residuals_run(const plain_residuals *p, plain_part *f, plain_part *g, double *rows);
void plain_residual_mix(const double *query, const double *rows, size_t n, size_t width, double *y);

enum { PLAIN_ROW_MAX = 512 };
/* x [n] becomes what a cache of 8 or 4 bits gives back for it; n: a power of two. */
void plain_narrow_cache(double *x, size_t n, unsigned bits);
/* x = H x, for a power of two n. */
void plain_hadamard(double *x, size_t n);

#endif
