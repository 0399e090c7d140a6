/*
 * blocks.h: what blocks.c (params, tensors, forward) and blocks_index.c (scores, choice) share.
 */
#ifndef PLUGIN_LLAMA_BLOCKS_H
#define PLUGIN_LLAMA_BLOCKS_H

#include "llama.h"

typedef struct blocks_weights {
    zoo_gqa_weights gqa;
    zoo_weight index_q, index_k;
    const float *index_q_norm, *index_k_norm;
} blocks_weights;

typedef struct blocks_buffers {
    float *score;    /* [blocks] */
    float *page;     /* [ZOO_PAGE, index_dim] */
    uint32_t *picks; /* [top_blocks] */
    uint32_t *keys;  /* [keys_max] */
    gqa_chosen chosen;
} blocks_buffers;

typedef struct blocks_job {
    gqa_step step;
    const llama_blocks *p;
    const blocks_weights *w;
    float *q, *k;            /* index vectors of the rows */
    blocks_buffers *workers; /* [n_threads] */
} blocks_job;

/* Norms and rotates the index vectors of rows begin .. end - 1. */
void llama_blocks_shape(void *arg, uint32_t begin, uint32_t end, uint32_t worker);
/* Item: a row and a key-value head. */
void llama_blocks_attend(void *arg, uint32_t item, uint32_t worker);

#endif
