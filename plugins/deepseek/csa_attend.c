/*
 * csa_attend.c: attention of a row over its window and its entries.
 *
 * The keys of a batch of rows are gathered and widened: window first, then entries. Items are rows,
 * then (row, group of heads). Memory: n_batch keys_max head_dim floats.
 */
#include "csa.h"

enum { HEADS = 16 }; /* of one item */

static uint32_t window_begin(const ds_csa *p, uint32_t pos)
{
    return pos >= p->window ? pos - p->window + 1 : 0;
}

/* Rows begin .. end - 1 of a stream, widened to out. */
static void copy_rows(const csa_step *step, uint32_t stream, const zoo_seq *seq, uint32_t begin,
                      uint32_t end, float *out)
{
    step->cache->read(step->cache, stream, seq, 0, begin, end - begin, out);
}

static void gather_item(void *arg, uint32_t item, uint32_t worker)
{
    const csa_step *step = arg;
    const ds_csa *p = step->params;
    uint32_t row = step->first_row + item, pos = step->span->pos[row];
    const zoo_seq *seq = &step->span->seqs[step->span->seq_of[row]];
    float *to = step->buffers.picked + (size_t)item * step->buffers.keys_max * p->head_dim;
    uint32_t begin = window_begin(p, pos), *chosen = step->buffers.chosen + (size_t)item * p->top_k;
    copy_rows(step, CSA_KV, seq, begin, pos + 1, to);
    to += (size_t)(pos + 1 - begin) * p->head_dim;
    uint32_t n = csa_choose(step, row, chosen, worker);
    if (n == 0) {
        copy_rows(step, CSA_ENTRY, seq, 0, csa_visible(p, pos), to);
    }
    for (uint32_t i = 0; i < n; i++) {
        copy_rows(step, CSA_ENTRY, seq, chosen[i], chosen[i] + 1, to + (size_t)i * p->head_dim);
    }
}

static uint32_t count_keys(const ds_csa *p, uint32_t pos)
{
    uint32_t visible = csa_visible(p, pos);
    uint32_t entries = p->when.index && visible > p->top_k ? p->top_k : visible;
    return pos + 1 - window_begin(p, pos) + entries;
}

static void attend_item(void *arg, uint32_t item, uint32_t worker)
{
    static const uint32_t from_start = 0;
    const csa_step *step = arg;
    const ds_csa *p = step->params;
    const csa_buffers *r = &step->buffers;
    uint32_t at = item % step->n_batch, row = step->first_row + at;
    uint32_t head = item / step->n_batch * HEADS, left = p->n_heads - head, n = 0;
    uint32_t n_keys = count_keys(p, step->span->pos[row]);
    const float *keys = r->picked + (size_t)at * r->keys_max * p->head_dim;
    zoo_segment *segs = r->segs + (size_t)worker * r->segs_max;
    for (uint32_t k = 0; k < n_keys; k += ZOO_PAGE) {
        segs[n++] = (zoo_segment){.page = keys + (size_t)k * p->head_dim,
                                  .n_rows = n_keys - k < ZOO_PAGE ? n_keys - k : ZOO_PAGE,
                                  .row = k};
    }
    size_t place = (size_t)row * p->q_rows + (size_t)head * p->head_dim;
    step->ctx->kernels->attend(&(zoo_attend_args){.q = r->q + place,
                                                  .out = r->out + place,
                                                  .k = segs,
                                                  .v = segs,
                                                  .first = &from_start,
                                                  .sinks = step->weights->sinks + head,
                                                  .n_segments = n,
                                                  .n_queries = 1,
                                                  .n_heads = left < HEADS ? left : HEADS,
                                                  .head_dim = p->head_dim,
                                                  .v_dim = p->head_dim,
                                                  .pos = n_keys - 1,
                                                  .scale = p->scale,
                                                  .scratch = r->attend + worker * r->attend_size});
}

static void turn_back(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const csa_step *step = arg;
    const ds_csa *p = step->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *out = step->buffers.out + (size_t)row * p->q_rows + p->head_dim - p->rope_dim;
        zoo_rope_rotate(step->ctx->kernels, p->back, step->back, row, out, p->n_heads, p->head_dim);
    }
}

void csa_attend(csa_step *step)
{
    const ds_csa *p = step->params;
    uint32_t n_rows = step->span->n_rows, n_groups = (p->n_heads + HEADS - 1) / HEADS;
    for (uint32_t row = 0; row < n_rows; row += step->buffers.n_batch) {
        step->first_row = row;
        step->n_batch = n_rows - row < step->buffers.n_batch ? n_rows - row : step->buffers.n_batch;
        step->ctx->parallel(step->ctx, step->n_batch, gather_item, step);
        step->ctx->parallel(step->ctx, step->n_batch * n_groups, attend_item, step);
    }
    zoo_rows(step->ctx, n_rows, p->q_rows, turn_back, step);
}
