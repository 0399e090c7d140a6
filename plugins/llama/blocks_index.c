/*
 * blocks_index.c: which keys a row reads (formulas: blocks.c), and attention over them.
 *
 * Items are (row, key-value head); scores, choice and gathered keys are the worker's.
 */
#include <math.h>

#include "blocks.h"

void llama_blocks_shape(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const blocks_job *j = arg;
    const llama_blocks *p = j->p;
    const zoo_kernels *k = j->step.ctx->kernels;
    zoo_norm_args norm = {.x_stride = p->index_dim,
                          .y_stride = p->index_dim,
                          .width = p->index_dim,
                          .eps = p->gqa.options.qk_norm.eps};
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *q = j->q + (size_t)row * p->index_rows, *key = j->k + (size_t)row * p->index_dim;
        norm.x = norm.y = q;
        norm.weight = j->w->index_q_norm;
        norm.n_rows = p->index_heads;
        zoo_norm_run(k, p->gqa.options.qk_norm.kind, norm);
        norm.x = norm.y = key;
        norm.weight = j->w->index_k_norm;
        norm.n_rows = 1;
        zoo_norm_run(k, p->gqa.options.qk_norm.kind, norm);
        if (p->gqa.options.rope) {
            zoo_rope_rotate(k, p->gqa.options.rope, j->step.rope, row, q, p->index_heads,
                            p->index_dim);
            zoo_rope_rotate(k, p->gqa.options.rope, j->step.rope, row, key, 1, p->index_dim);
        }
    }
}

/* The best score of each block up to position pos. */
static void score_blocks(const blocks_job *j, const zoo_seq *seq, const float *q, uint32_t pos,
                         const blocks_buffers *buffers)
{
    const zoo_cache *cache = j->step.cache;
    const zoo_kernels *k = j->step.ctx->kernels;
    uint32_t d = j->p->index_dim;
    for (uint32_t b = 0; b <= pos / j->p->block; b++) {
        buffers->score[b] = -INFINITY;
    }
    for (uint32_t t = 0; t <= pos;) {
        uint32_t n = ZOO_PAGE < pos + 1 - t ? ZOO_PAGE : pos + 1 - t;
        cache->read(cache, 2, seq, 0, t, n, buffers->page);
        for (uint32_t i = 0; i < n; i++, t++) {
            float x = k->dot(q, buffers->page + (size_t)i * d, d),
                  *best = &buffers->score[t / j->p->block];
            *best = x > *best ? x : *best;
        }
    }
}

/* The keys of the chosen blocks, ascending; returns how many. */
static uint32_t choose(const blocks_job *j, uint32_t pos, const blocks_buffers *buffers)
{
    const llama_blocks *p = j->p;
    uint32_t last = pos / p->block, n_blocks = last + 1, n = 0;
    uint32_t top = p->top_blocks < n_blocks ? p->top_blocks : n_blocks;
    for (uint32_t i = 0; i < p->local_blocks && i <= last; i++) {
        buffers->score[last - i] = INFINITY;
    }
    j->step.ctx->kernels->topk(buffers->score, n_blocks, top, buffers->picks);
    for (uint32_t i = 0; i < top; i++) {
        buffers->score[buffers->picks[i]] = NAN;
    }
    for (uint32_t b = 0; b < n_blocks; b++) {
        uint32_t end = (b + 1) * p->block < pos + 1 ? (b + 1) * p->block : pos + 1;
        for (uint32_t t = b * p->block; isnan(buffers->score[b]) && t < end; t++) {
            buffers->keys[n++] = t;
        }
    }
    return n;
}

void llama_blocks_attend(void *arg, uint32_t item, uint32_t worker)
{
    const blocks_job *j = arg;
    const llama_blocks *p = j->p;
    const blocks_buffers *buffers = &j->workers[worker];
    uint32_t row = item / p->gqa.shape.n_kv_heads, head = item % p->gqa.shape.n_kv_heads;
    const zoo_span *span = j->step.span;
    const zoo_seq *seq = &span->seqs[span->seq_of[row]];
    uint32_t pos = span->pos[row], index = head / (p->gqa.shape.n_kv_heads / p->index_heads);
    const float *q = j->q + (size_t)row * p->index_rows + (size_t)index * p->index_dim;
    score_blocks(j, seq, q, pos, buffers);
    const gqa_keys keys = {.at = buffers->keys, .n = choose(j, pos, buffers)};
    zoo_gqa_chosen_attend(&j->step, &buffers->chosen, row, head, &keys);
}
