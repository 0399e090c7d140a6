/*
 * csa.h: attention over a window of rows and over compressed entries, one shared key-value head.
 *
 *   q = Wqb norm(Wqa x); each head of q normed without weight;  kv = norm(Wkv x), key and value
 *   the last `rope` elements of q and kv are rotated by the position
 *   keys of row t: kv of the last `window` positions, and entries w < (t + 1) / ratio
 *   o_h = softmax with a sink; its last elements are rotated back by t
 *   y = Wob [Woa_g concat(o_h of group g)]
 *
 * Entries (csa_pool.c): every `ratio` positions one, a softmax over slots for each channel c:
 *   entry_w[c] = norm(sum_s p_s[c] v_s[c]),  p[c] = softmax_s(gate_s[c] + ape_s[c])
 *   plain:    the slots are the positions of window w
 *   overlap:  v, gate and ape are twice as wide; slots are the first half of window w - 1 and the
 *             second half of window w
 *   rotated as position w ratio.
 * With an indexer (overlap only) a row reads the top_k entries of highest score
 *   sum_h a_h (Hi d)^-1/2 max(q_i,h . e_w, 0); the index entries e are pooled alike, d wide.
 *
 * Streams: kv (RING), entry, index_entry (one row every `ratio` positions), and the open window of
 * each pool as a state. Source: DeepSeek-V4 report (2026).
 */
#ifndef DEEPSEEK_CSA_H
#define DEEPSEEK_CSA_H

#include "blocks/heads.h"
#include "blocks/ops.h"
#include "blocks/rope/rope.h"
#include "zoo.h"

enum { CSA_KV, CSA_ENTRY, CSA_OPEN, CSA_INDEX_ENTRY, CSA_INDEX_OPEN, CSA_STREAMS };

/* Fill, leave the rest zero, call ds_csa_finish. */
typedef struct ds_csa {
    uint32_t width_in, n_heads, head_dim, rope_dim, q_lora;
    uint32_t n_groups, o_lora;
    uint32_t window;
    uint32_t ratio;   /* 0: no entries */
    uint32_t overlap; /* entries overlap and an indexer chooses among them */
    uint32_t index_heads, index_dim, top_k;
    float norm_eps;
    const zoo_rope *rope, *back; /* back: by the negative angle */

    /* Derived. */
    uint32_t q_rows, group_cols, mid; /* H D; H D / G; G o_lora */
    uint32_t pool_width, index_pool;  /* floats of v and of gate of a position */
    uint32_t index_q_rows;
    float scale;
    struct {
        uint32_t pool, index;
    } when;
} ds_csa;

typedef struct csa_pool_weights {
    zoo_weight kv, gate;     /* [pool width, in] */
    const float *ape, *norm; /* [ratio, pool width], [width] */
} csa_pool_weights;

typedef struct ds_csa_weights {
    zoo_weight q_a, q_b, kv, o_b, index_q, index_w;
    const zoo_weight *o_a; /* [G] of [o_lora, group_cols] */
    const float *q_norm, *kv_norm, *sinks;
    csa_pool_weights pool, index_pool;
} ds_csa_weights;

/* Scratch of one forward. */
typedef struct csa_buffers {
    float *q_a, *q, *kv;          /* [n_rows, q_lora], [n_rows, H, D], [n_rows, D] */
    float *out, *mid;             /* [n_rows, H, D], [n_rows, mid] */
    float *pool_kv, *pool_gate;   /* [n_rows, pool_width] */
    float *ipool_kv, *ipool_gate; /* [n_rows, index_pool] */
    float *index_q, *index_w;     /* [n_rows, Hi, d], [n_rows, Hi] */
    unsigned char *prepared;
    float *entry;      /* [n_threads, D] */
    float *picked;     /* [n_batch, keys_max, D] */
    uint32_t *chosen;  /* [n_batch, top_k] */
    float *score;      /* [n_threads, entries_max] */
    float *keys;       /* [n_threads, ZOO_PAGE, d] */
    float *attend;     /* [n_threads, attend_size] */
    zoo_segment *segs; /* [n_threads, segs_max] */
    size_t prepared_size, attend_size;
    uint32_t keys_max, entries_max, segs_max, n_batch;
} csa_buffers;

typedef struct csa_step {
    zoo_ctx *ctx;
    const ds_csa *params;
    const ds_csa_weights *weights;
    zoo_cache *cache;
    const zoo_span *span;
    zoo_rope_rows rope, back;
    csa_buffers buffers;
    uint32_t first_row, n_batch, per_group;
} csa_step;

/* Entries that the row at `pos` may read. */
static inline uint32_t csa_visible(const ds_csa *p, uint32_t pos)
{
    return p->ratio ? (pos + 1) / p->ratio : 0;
}

/* Floats of the state of a pool whose entries are `width` wide. */
uint32_t csa_open_width(const ds_csa *p, uint32_t width);
/* Fills q, kv, index rows; stores kv and closes entries. csa_rows.c */
void csa_project(csa_step *step, const float *x);
/* Adds the rows of the step to the pools and stores finished entries. csa_pool.c */
void csa_pool(csa_step *step);
/* The entries that row `row` reads, ascending, to chosen; returns their number; 0:
 * all visible. csa_index.c */
uint32_t csa_choose(const csa_step *step, uint32_t row, uint32_t *chosen, uint32_t worker);
/* Fills out. csa_attend.c */
void csa_attend(csa_step *step);

void ds_csa_facts(const void *params, const zoo_facts *to); /* facts.c [load] */
zoo_status ds_csa_finish(ds_csa *p, zoo_error *err);
extern const zoo_bind ds_csa_binds[];
extern const zoo_block_ops ds_csa_ops; /* "compressed" */

#endif
