/*
 * pooled.h: attention over blocks of keys that an index of pooled keys chooses.
 *
 *   qi_h = rotate( norm(Wq_h x) ), h < Hi;   r = Wk x
 *   ki_b = rotate( norm( mean of r over the `ratio` rows of block b ) ), at the block's first row
 *   score_b = sum_h max(qi_h . ki_b, 0) over the complete blocks b
 *   a row reads the keys of the top_blocks blocks of highest score, and those after the last
 *   complete block
 *
 * Equal scores take the lower block. Streams beside those of attention: "index_key" [dim], a row
 * for each block, which only ranks and tolerates int8; STATE "open" [dim], the sum of the rows of
 * the block that is not complete. index_qk_proj.weight [(Hi + 1) dim, in]: queries, then the key.
 */
#ifndef HYBRID_POOLED_H
#define HYBRID_POOLED_H

#include "blocks/gqa/impl.h"
#include "hybrid.h"

typedef struct hybrid_pooled {
    zoo_gqa gqa;
    uint32_t n_heads, dim, rows; /* of the index; (n_heads + 1) dim */
    uint32_t ratio, top_blocks;
    uint32_t keys_max; /* that a row reads */
} hybrid_pooled;

typedef struct pooled_weights {
    zoo_gqa_weights gqa;
    zoo_weight index;
    const float *q_norm, *k_norm;
} pooled_weights;

typedef struct pooled_worker {
    float *score; /* [blocks + 1] */
    float *page; /* [ZOO_PAGE, dim]; of a pooled key and its cosines and sines where that is more */
    uint32_t *picks; /* [top_blocks] */
    gqa_chosen chosen;
} pooled_worker;

typedef struct pooled_job {
    gqa_step step;
    const hybrid_pooled *p;
    const pooled_weights *w;
    float *index;           /* [n_rows, rows] */
    uint32_t *keys;         /* [n_rows, keys_max] */
    uint32_t *n_keys;       /* [n_rows] */
    pooled_worker *workers; /* [n_threads] */
} pooled_job;

/* pooled_index.c: queries of the index, normed and rotated; the keys of complete blocks into the
 * cache; the keys that each row reads. [step] */
void pooled_index(pooled_job *job);

#endif
