/*
 * pool.c: one index key for `pool` tokens.
 *
 *   g_t = Wg x_t + place[t mod pool],  key[c] = sum_t p_t[c] k_t[c],  p[c] = softmax_t(g_t[c])
 *
 * k_t is the normed index key of a token. The state holds [pool] rows [k | g] of the pool that is
 * not full. Rows of a sequence are taken one after the other, so keys do not depend on how they are
 * split into steps.
 */
#include <math.h>
#include <string.h>

#include "blocks/mla/impl.h"

/* The key of a full pool, over the row of its last token. */
static void close_pool(const zoo_mla *p, const float *state, float *key)
{
    uint32_t d = p->index.dim;
    for (uint32_t c = 0; c < d; c++) {
        float top = -INFINITY, sum = 0, total = 0;
        for (uint32_t t = 0; t < p->index.pool; t++) {
            top = fmaxf(top, state[(size_t)(2 * t + 1) * d + c]);
        }
        for (uint32_t t = 0; t < p->index.pool; t++) {
            float weight = expf(state[(size_t)(2 * t + 1) * d + c] - top);
            sum += weight;
            total += weight * state[(size_t)2 * t * d + c];
        }
        key[c] = total / sum;
    }
}

static void pool_item(void *arg, uint32_t item, uint32_t worker)
{
    const mla_step *step = arg;
    const zoo_mla *p = step->params;
    const zoo_seq *seq = &step->span->seqs[item];
    float *state = step->cache->state(step->cache, p->open_stream, seq);
    size_t d = p->index.dim;
    (void)worker;
    for (uint32_t i = 0; i < seq->n; i++) {
        uint32_t pos = seq->pos + i, at = pos % p->index.pool;
        float *key = step->buffers.index_k + (seq->row + i) * d;
        float *to = state + 2 * at * d;
        memcpy(to, key, d * sizeof *to);
        step->ctx->kernels->add(step->buffers.index_gate + (seq->row + i) * d,
                                step->weights->index_place + at * d, to + d, d);
        if (at + 1 == p->index.pool) {
            close_pool(p, state, key);
            step->cache->put(step->cache, p->index_stream, seq, pos / p->index.pool, 1, key, d);
        }
    }
}

void zoo_mla_pool(mla_step *step)
{
    if (step->params->when.pool) {
        step->ctx->parallel(step->ctx, step->span->n_seqs, pool_item, step);
    }
}
