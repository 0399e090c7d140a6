/*
 * index.c: which keys a row reads: the top_k of highest score among those up to its position.
 *
 *   score[s, t] = sum_h w[s, h] Hi^-1/2 max(q_i[s, h] . k_i[t] d^-1/2, 0)
 *
 * With pools t counts pools, and the tokens of chosen ones are read.
 *
 * Rows at positions that can choose nothing else read all keys and are not scored. Ties go to the
 * lower position. Scores of a batch of rows are in scratch; items are (row, range of pages), then
 * rows. The choice, ascending, is in a memo of the step, where later layers find it.
 */
#include "blocks/choose.h"
#include "blocks/mla/impl.h"

#include <math.h>

enum { SPAN = 16 }; /* pages of one item */

typedef struct index_job {
    mla_step *step;
    uint32_t n_spans;
} index_job;

/* Index keys that the row at `pos` scores. */
static uint32_t n_keys(const zoo_mla *p, uint32_t pos)
{
    return (pos + 1) / p->index.pool;
}

/* The keys of a segment: in place if they are float32, else read to `keys`. */
static const float *page_keys(const mla_step *step, const zoo_seq *seq, const zoo_segment *s,
                              uint32_t n, float *keys)
{
    uint32_t d = step->params->index.dim;
    uint32_t stream = step->params->index_stream;
    if (step->cache->kinds[stream]->form == ZOO_FORM_F32) {
        return (const float *)s->page + (size_t)s->at * d;
    }
    step->cache->read(step->cache, stream, seq, 0, s->row, n, keys);
    return keys;
}

static void score_page(const mla_step *step, uint32_t row, const float *from, float *score,
                       uint32_t n)
{
    const zoo_mla *p = step->params;
    const zoo_kernels *k = step->ctx->kernels;
    uint32_t d = p->index.dim;
    k->index(&(zoo_index_args){.q = step->buffers.index_q + (size_t)row * p->index_q_rows,
                               .weight = step->buffers.index_w + (size_t)row * p->index.n_heads,
                               .keys = from,
                               .score = score,
                               .n_heads = p->index.n_heads,
                               .dim = d,
                               .n_keys = n,
                               .scale = (float)(1.0 / sqrt((double)p->index.n_heads * d))});
}

static void score_item(void *arg, uint32_t item, uint32_t worker)
{
    const index_job *job = arg;
    const mla_step *step = job->step;
    uint32_t at = item / job->n_spans, begin = item % job->n_spans * SPAN * ZOO_PAGE;
    uint32_t row = step->sparse[step->first_row + at];
    const zoo_seq *seq = &step->span->seqs[step->span->seq_of[row]];
    uint32_t end = n_keys(step->params, step->span->pos[row]);
    float *score = step->buffers.score + (size_t)at * step->length_max;
    float *keys = step->buffers.keys + (size_t)worker * ZOO_PAGE * step->params->index.dim;
    end = end < begin + SPAN * ZOO_PAGE ? end : begin + SPAN * ZOO_PAGE;
    for (uint32_t t = begin; t < end;) {
        zoo_segment s = step->cache->get(step->cache, step->params->index_stream, seq, 0, t);
        uint32_t n = s.n_rows < end - t ? s.n_rows : end - t;
        score_page(step, row, page_keys(step, seq, &s, n, keys), score + t, n);
        t += n;
    }
}

/* n pools in front become their tokens, and those of the open pool, in place. */
static void list_tokens(const zoo_mla *p, uint32_t pos, uint32_t n, uint32_t *chosen)
{
    uint32_t pool = p->index.pool, all = zoo_mla_chosen(p, pos);
    for (uint32_t i = n; i-- > 0;) {
        uint32_t first = chosen[i] * pool;
        for (uint32_t t = 0; t < pool; t++) {
            chosen[i * pool + t] = first + t;
        }
    }
    for (uint32_t i = n * pool; i < all; i++) {
        chosen[i] = pos + 1 + i - all;
    }
}

static void choose_item(void *arg, uint32_t item, uint32_t worker)
{
    const mla_step *step = arg;
    const zoo_mla *p = step->params;
    uint32_t row = step->sparse[step->first_row + item], pos = step->span->pos[row];
    uint32_t n = p->index.top_k / p->index.pool;
    uint32_t *chosen = step->chosen + (size_t)row * p->chosen_max;
    (void)worker;
    zoo_choose(step->buffers.score + (size_t)item * step->length_max, n_keys(p, pos), n, chosen);
    if (p->index.pool > 1) {
        list_tokens(p, pos, n, chosen);
    }
}

void zoo_mla_choose(mla_step *step)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < step->n_sparse; i++) {
        uint32_t end = n_keys(step->params, step->span->pos[step->sparse[i]]);
        longest = end > longest ? end : longest;
    }
    index_job job = {step, (longest + SPAN * ZOO_PAGE - 1) / (SPAN * ZOO_PAGE)};
    for (uint32_t i = 0; i < step->n_sparse; i += step->buffers.n_batch) {
        uint32_t left = step->n_sparse - i;
        step->first_row = i;
        step->n_batch = left < step->buffers.n_batch ? left : step->buffers.n_batch;
        step->ctx->parallel(step->ctx, step->n_batch * job.n_spans, score_item, &job);
        step->ctx->parallel(step->ctx, step->n_batch, choose_item, step);
    }
}
