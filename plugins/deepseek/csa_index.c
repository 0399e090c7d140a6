/*
 * csa_index.c: which entries a row reads: the top_k of highest score among the visible ones, all of
 * them while they are no more than that. Equal scores take the lower entry.
 */
#include "blocks/choose.h"
#include "csa.h"

#include <math.h>

static void score_entries(const csa_step *step, uint32_t row, uint32_t n, float *score, float *keys)
{
    const ds_csa *p = step->params;
    const zoo_kernels *k = step->ctx->kernels;
    const zoo_seq *seq = &step->span->seqs[step->span->seq_of[row]];
    for (uint32_t w = 0; w < n;) {
        uint32_t count = ZOO_PAGE < n - w ? ZOO_PAGE : n - w;
        step->cache->read(step->cache, CSA_INDEX_ENTRY, seq, 0, w, count, keys);
        k->index(&(zoo_index_args){.q = step->buffers.index_q + (size_t)row * p->index_q_rows,
                                   .weight = step->buffers.index_w + (size_t)row * p->index_heads,
                                   .keys = keys,
                                   .score = score + w,
                                   .n_heads = p->index_heads,
                                   .dim = p->index_dim,
                                   .n_keys = count,
                                   .scale = (float)(1.0 / sqrt((double)p->index_q_rows))});
        w += count;
    }
}

uint32_t csa_choose(const csa_step *step, uint32_t row, uint32_t *chosen, uint32_t worker)
{
    const ds_csa *p = step->params;
    const csa_buffers *r = &step->buffers;
    uint32_t visible = csa_visible(p, step->span->pos[row]);
    if (!p->when.index || visible <= p->top_k) {
        return 0;
    }
    float *score = r->score + (size_t)worker * r->entries_max;
    score_entries(step, row, visible, score, r->keys + (size_t)worker * ZOO_PAGE * p->index_dim);
    zoo_choose(score, visible, p->top_k, chosen);
    return p->top_k;
}
