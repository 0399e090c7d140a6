/*
 * impl.h: what the files of latent attention share: params.c and bind.c (params and
 * tensors), rows.c (projections of a row, cache), attend.c (all keys), index.c (scores
 * and choice), pool.c (index keys of several tokens), sparse.c (chosen keys), mla.c (block).
 */
#ifndef ZOO_BLOCKS_MLA_IMPL_H
#define ZOO_BLOCKS_MLA_IMPL_H

#include "blocks/heads.h"
#include "blocks/mla/mla.h"
#include "blocks/ops.h"

enum { MLA_TILE = 64, MLA_LATENT = 0, MLA_ROPE = 1 };

extern const zoo_bind zoo_mla_binds[];

/* Some consecutive queries of one sequence. */
typedef struct mla_tile {
    uint32_t seq, begin, n; /* index into span.seqs, first query, queries */
} mla_tile;

typedef struct mla_sizes {
    uint32_t n_rows, n_threads;
    uint32_t length_max; /* positions of the longest sequence */
} mla_sizes;

/* Scratch of one forward. */
typedef struct mla_buffers {
    float *q_a;        /* [n_rows, q_in] */
    float *q;          /* [n_rows, H, q_head] */
    float *kv;         /* [n_rows, kv_lora + rope] */
    float *gate;       /* [n_rows, gate_rows] */
    float *query;      /* [n_rows, H, kv_lora + rope] absorbed queries */
    float *latent;     /* [n_rows, H, kv_lora] sums of latents */
    float *out;        /* [n_rows, H, v] */
    float *index_q;    /* [n_rows, Hi, d] */
    float *index_k;    /* [n_rows, d] */
    float *index_w;    /* [n_rows, Hi] */
    float *index_gate; /* [n_rows, d] of pools */
    float *index_x;    /* [n_rows, in] normed input of index queries */
    mla_tile *tiles;
    unsigned char *prepared; /* [n_threads, prepared_size] */
    float *attend;           /* [n_threads, attend_size] */
    zoo_segment *segs;       /* [n_threads, 2, segs_max] */
    uint32_t *first;         /* [n_threads, MLA_TILE] */
    float *picked;           /* [n_threads, ZOO_PART, kv_lora + rope] of sparse.c */
    const float **parts;     /* [n_threads, parts] */
    /* Rows of one batch of sparse.c and index.c, n_batch of them. */
    float *sums;  /* [n_batch, parts, H, kv_lora + 2] */
    float *score; /* [n_batch, length_max] */
    float *keys;  /* [n_threads, ZOO_PAGE, d] widened */
    size_t prepared_size, attend_size;
    uint32_t segs_max, n_batch;
} mla_buffers;

/* Everything that the items of a forward read. */
typedef struct mla_step {
    zoo_ctx *ctx;
    const zoo_mla *params;
    const zoo_mla_weights *weights;
    zoo_cache *cache;
    const zoo_span *span;
    zoo_rope_rows rope;
    mla_buffers buffers;
    uint32_t *chosen;            /* [n_rows, chosen_max] ascending, in a memo; null: no indexer */
    uint32_t length_max;         /* of room.score */
    uint32_t n_tiles, per_group; /* of attend.c: tiles, heads of one item */
    uint32_t first_row, n_batch; /* of index.c and sparse.c: sparse rows at hand */
    uint32_t *sparse;            /* [n_sparse] rows of the span that read chosen keys */
    uint32_t n_sparse;
} mla_step;

/* Fills query, gate and the index rows from x; stores latent, rope key and index key. */
void zoo_mla_project(mla_step *step, const float *x);
/* Fills latent of the rows that read all keys. */
void zoo_mla_attend(mla_step *step);
/* What is learned beside the projections. learned.c */
zoo_status zoo_mla_prepare(const void *params, void *weights, zoo_setup *setup, zoo_error *err);
/* Multiplies n_heads heads, head_stride floats apart, by s_h ln(pos + 1) + b_h. */
void zoo_mla_scale_heads(const mla_step *step, uint32_t pos, const float *scale, const float *bias,
                         float *x, uint32_t n_heads, uint32_t head_stride);
/* Fills index_q from x or from the query latent. */
void zoo_mla_index_queries(mla_step *step, const float *x);
/* Adds the rows of the step to the pools and stores the index keys of full ones. pool.c */
void zoo_mla_pool(mla_step *step);
/* Rows that the row at `pos` reads, if it does not read all: top_k and those of an open pool. */
static inline uint32_t zoo_mla_chosen(const zoo_mla *p, uint32_t pos)
{
    return p->index.top_k + (pos + 1) % p->index.pool;
}
/* Parts of the rows that a row chooses. */
static inline uint32_t zoo_mla_parts(const zoo_mla *p)
{
    return (p->chosen_max + ZOO_PART - 1) / ZOO_PART;
}
/* Fills chosen for the sparse rows. */
void zoo_mla_choose(mla_step *step);
/* Fills latent of the sparse rows. */
void zoo_mla_attend_chosen(mla_step *step);
/* Queries of a sequence that read all keys: the first ones, by position. */
uint32_t zoo_mla_dense_rows(const zoo_mla *params, const zoo_seq *seq);
/* streams.c */
uint32_t zoo_mla_streams(const void *params, zoo_stream *out);
/* One line for a reader. explain.c */
void zoo_mla_explain(const void *params, char *text, size_t n);
/* The same as data. facts.c */
void zoo_mla_facts(const void *params, const zoo_facts *to);
/* Heads of one item, so that n_items times their groups keep all threads busy. */
uint32_t zoo_mla_group(uint32_t n_heads, uint32_t n_items, uint32_t n_threads);

#endif
