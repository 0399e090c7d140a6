/*
 * pooled_index.c: the index of pooled keys and the choice of blocks (formulas: pooled.h).
 *
 * Rows of a sequence are pooled one after the other, so an index key does not depend on how a
 * prompt is cut. Scores are the worker's.
 */
#include <math.h>
#include <string.h>

#include "pooled.h"

/* Streams after those of attention. */
enum { INDEX_KEY = 2, OPEN = 3 };

static void norm_rows(const pooled_job *j, const float *weight, uint32_t n, float *x)
{
    const zoo_norm_args norm = {.x = x,
                                .y = x,
                                .weight = weight,
                                .x_stride = j->p->dim,
                                .y_stride = j->p->dim,
                                .n_rows = n,
                                .width = j->p->dim,
                                .eps = j->p->gqa.options.qk_norm.eps};
    zoo_norm_run(j->step.ctx->kernels, j->p->gqa.options.qk_norm.kind, norm);
}

static void shape_queries(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const pooled_job *j = arg;
    const zoo_rope *rope = j->p->gqa.options.rope;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *q = j->index + (size_t)row * j->p->rows;
        norm_rows(j, j->w->q_norm, j->p->n_heads, q);
        if (rope) {
            zoo_rope_rotate(j->step.ctx->kernels, rope, j->step.rope, row, q, j->p->n_heads,
                            j->p->dim);
        }
    }
}

/* Rotates x [dim] by position pos: the tables of a step hold only its rows. */
static void turn_key(const pooled_job *j, uint32_t pos, float *x)
{
    const zoo_rope *r = j->p->gqa.options.rope;
    float *cosine = x + j->p->dim, *sine = cosine + j->p->dim;
    if (!r) {
        return;
    }
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        float angle = (float)pos * r->inv_freq[i];
        cosine[i] = (float)cos(angle) * r->factor;
        sine[i] = (float)sin(angle) * r->factor;
    }
    zoo_rope_rotate(j->step.ctx->kernels, r, (zoo_rope_rows){cosine, sine}, 0, x, 1, j->p->dim);
}

/* Item: a sequence. */
static void pool_item(void *arg, uint32_t item, uint32_t worker)
{
    const pooled_job *j = arg;
    const hybrid_pooled *p = j->p;
    const zoo_kernels *k = j->step.ctx->kernels;
    zoo_cache *cache = j->step.cache;
    const zoo_seq *seq = &j->step.span->seqs[item];
    float *open = cache->state(cache, OPEN, seq), *key = j->workers[worker].page;
    for (uint32_t i = 0; i < seq->n; i++) {
        uint32_t pos = seq->pos + i;
        const float *r = j->index + ((size_t)seq->row + i + 1) * p->rows - p->dim;
        if (pos % p->ratio == 0) {
            memcpy(open, r, p->dim * sizeof *open);
        } else {
            k->add(open, r, open, p->dim);
        }
        if ((pos + 1) % p->ratio == 0) {
            k->scale(1.0f / (float)p->ratio, open, key, p->dim);
            norm_rows(j, j->w->k_norm, 1, key);
            turn_key(j, pos + 1 - p->ratio, key);
            cache->put(cache, INDEX_KEY, seq, pos / p->ratio, 1, key, p->dim);
        }
    }
}

static void score_blocks(const pooled_job *j, const zoo_seq *seq, const float *q, uint32_t n_blocks,
                         const pooled_worker *buffers)
{
    const zoo_cache *cache = j->step.cache;
    uint32_t dim = j->p->dim;
    for (uint32_t b = 0; b < n_blocks;) {
        uint32_t n = ZOO_PAGE < n_blocks - b ? ZOO_PAGE : n_blocks - b;
        cache->read(cache, INDEX_KEY, seq, 0, b, n, buffers->page);
        for (uint32_t i = 0; i < n; i++, b++) {
            float sum = 0;
            for (uint32_t h = 0; h < j->p->n_heads; h++) {
                float x = j->step.ctx->kernels->dot(q + (size_t)h * dim,
                                                    buffers->page + (size_t)i * dim, dim);
                sum += x > 0 ? x : 0;
            }
            buffers->score[b] = sum;
        }
    }
}

/* The keys that a row reads, ascending. */
static void choose_item(void *arg, uint32_t row, uint32_t worker)
{
    const pooled_job *j = arg;
    const hybrid_pooled *p = j->p;
    const zoo_span *span = j->step.span;
    const pooled_worker *buffers = &j->workers[worker];
    uint32_t length = span->pos[row] + 1, n_blocks = length / p->ratio, n = 0;
    uint32_t top = p->top_blocks < n_blocks ? p->top_blocks : n_blocks;
    uint32_t *keys = j->keys + (size_t)row * p->keys_max;
    score_blocks(j, &span->seqs[span->seq_of[row]], j->index + (size_t)row * p->rows, n_blocks,
                 buffers);
    if (top) {
        j->step.ctx->kernels->topk(buffers->score, n_blocks, top, buffers->picks);
    }
    for (uint32_t i = 0; i < top; i++) {
        buffers->score[buffers->picks[i]] = -1.0f;
    }
    for (uint32_t t = 0; t < length; t++) {
        if (t / p->ratio == n_blocks || buffers->score[t / p->ratio] < 0) {
            keys[n++] = t;
        }
    }
    j->n_keys[row] = n;
}

void pooled_index(pooled_job *job)
{
    zoo_ctx *ctx = job->step.ctx;
    const zoo_span *span = job->step.span;
    zoo_rows(ctx, span->n_rows, (size_t)job->p->rows * 4, shape_queries, job);
    ctx->parallel(ctx, span->n_seqs, pool_item, job);
    ctx->parallel(ctx, span->n_rows, choose_item, job);
}
