/*
 * ngram.h: what a table of hashed n-grams of tokens adds to the residual streams.
 *
 * For the token t_0 of a row, those before it t_1, t_2, ... (the end token in place of those at or
 * before the last end token, and before the sequence), n = 2 .. ngram, and head h of each n:
 *
 *   id = (t_0 m_0 xor .. xor t_(n-1) m_(n-1)) mod prime_(n, h),  64 bits
 *   e = the rows offset_(n, h) + id of the table, side by side           [embed]
 *   k = norm(key e) [n hidden],  v = value e [hidden],  q = norm(X)      each stream by itself
 *   s_i = k_i . q_i / sqrt(hidden);  a_i = sigmoid( sign(s_i) sqrt(max(|s_i|, 1e-6)) ) v
 *   y = a + silu( conv( norm(a) ) ),  conv causal and depthwise, `taps` rows that are ngram apart
 *
 * The multipliers m, primes and offsets are those of the file. Where it has none of a kind, the
 * multipliers come from the seed and the number of the layer among those with a table, the primes
 * from a lower bound: one after the other over all heads of all tables.
 *
 * Tensors: key_proj.weight [n hidden, embed], value_proj.weight [hidden, embed], norm_key.weight,
 * norm_query.weight, norm_conv.weight [n hidden], conv1d.weight [n hidden, 1, taps],
 * ple_embedding.ngram_embedding.weight [rows, embed / heads], and in ple_embedding, each if stored,
 * layer_multipliers [ngram], ngram_heads_vocab_sizes and ngram_heads_offsets [heads].
 */
#ifndef HYBRID_NGRAM_H
#define HYBRID_NGRAM_H

#include "streams.h"

enum { HYBRID_NGRAM_MAX = 16, HYBRID_NGRAM_HEADS_MAX = 256 };

/* How an n-gram finds its rows. */
typedef struct hybrid_ngram_hashes {
    uint64_t multipliers[HYBRID_NGRAM_MAX];   /* [ngram] */
    uint32_t primes[HYBRID_NGRAM_HEADS_MAX];  /* [n_heads] */
    uint32_t offsets[HYBRID_NGRAM_HEADS_MAX]; /* [n_heads] */
} hybrid_ngram_hashes;

typedef struct hybrid_ngram {
    hybrid_streams streams;
    uint32_t ngram, n_heads; /* longest n-gram; heads of all n */
    uint32_t embed, head_dim;
    uint32_t taps, back; /* back = (taps - 1) ngram: rows that the convolution looks back */
    uint32_t end_token;
    uint32_t rows;              /* of the table */
    hybrid_ngram_hashes hashes; /* by the config */
} hybrid_ngram;

typedef struct hybrid_ngram_weights {
    zoo_weight key, value;
    zoo_table table;
    const float *norm_key, *norm_query, *norm_conv;
    const float *conv;                             /* [n hidden, taps] as stored */
    const float *turned;                           /* [taps, n hidden] */
    const int64_t *multipliers, *primes, *offsets; /* stored ones, or null */
    const hybrid_ngram_hashes *hashes;
} hybrid_ngram_weights;

/* Streams. */
enum { HYBRID_NGRAM_TOKENS = 0, HYBRID_NGRAM_CONV = 1 };

/* ngram_plan.c */
/* The part of table number `index`; refuses sizes. [load] */
zoo_status hybrid_ngram_part(zoo_decoder *b, const hybrid_streams *streams, uint32_t index,
                             zoo_part *out);
extern const zoo_bind hybrid_ngram_binds[];
uint32_t hybrid_ngram_streams(const void *params, zoo_stream *out);
zoo_status hybrid_ngram_prepare(const void *params, void *weights, zoo_setup *setup,
                                zoo_error *err);
hybrid_facts_fn hybrid_ngram_facts;
/* ngram_hash.c */
/* Fills multipliers, primes, offsets and rows; refuses too many rows. [load] */
zoo_status hybrid_ngram_hash(hybrid_ngram *p, uint32_t index, uint64_t seed, uint32_t vocab_size,
                             uint32_t at_least, uint32_t divisor, zoo_error *err);
/* The hashes of the config with those that the file stores in their places; refuses those that
 * point beside the table. [load] */
zoo_status hybrid_ngram_stored(const hybrid_ngram *p, const hybrid_ngram_weights *w,
                               hybrid_ngram_hashes *out, zoo_error *err);
/* Table rows [n_heads] of the token tokens[0], after tokens[-1], tokens[-2], ... [step] */
void hybrid_ngram_ids(const hybrid_ngram *p, const hybrid_ngram_hashes *hashes,
                      const uint32_t *tokens, uint32_t *ids);

extern const zoo_block_ops hybrid_ngram_ops;

#endif
