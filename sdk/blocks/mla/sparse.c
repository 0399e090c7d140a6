/*
 * sparse.c: absorbed queries over the chosen rows of the latent cache.
 *
 * The chosen rows of a batch of queries are gathered and widened once, then read by all heads: a
 * row costs chosen_max rows of the cache, whatever its position. Memory: n_batch chosen_max
 * (kv_lora + rope) floats.
 */
#include "blocks/mla/impl.h"

enum {
    AHEAD = 4
}; /* rows prefetched before they are read: the stream outgrows the caches of the CPU */

/* Prefetches row `row` of a stream, as far as its kind keeps rows one after the other. */
static void fetch(const mla_step *step, uint32_t stream, uint32_t width, const zoo_seq *seq,
                  uint32_t row)
{
#ifdef __GNUC__
    zoo_segment s = step->cache->get(step->cache, stream, seq, 0, row);
    size_t n = step->cache->kinds[stream]->bytes(width, 1);
    for (size_t i = 0; i < n; i += 64) {
        __builtin_prefetch((const char *)s.page + s.at * n + i);
    }
#else
    (void)step, (void)stream, (void)width, (void)seq, (void)row;
#endif
}

/* Item: a page of the chosen rows of one query. */
static void gather_item(void *arg, uint32_t item, uint32_t worker)
{
    const mla_step *step = arg;
    const zoo_mla *p = step->params;
    uint32_t most = p->chosen_max, n_pages = (most + ZOO_PAGE - 1) / ZOO_PAGE;
    uint32_t at = item / n_pages, begin = item % n_pages * ZOO_PAGE;
    uint32_t row = step->sparse[step->first_row + at];
    const zoo_seq *seq = &step->span->seqs[step->span->seq_of[row]];
    const zoo_cache *cache = step->cache;
    const uint32_t *chosen = step->chosen + (size_t)row * most;
    float *c = step->buffers.picked + (size_t)at * most * p->kv_lora;
    float *k_pe = step->buffers.picked_rope + (size_t)at * most * p->rope_dim;
    uint32_t n = zoo_mla_chosen(p, step->span->pos[row]);
    uint32_t end = begin + ZOO_PAGE < n ? begin + ZOO_PAGE : n;
    (void)worker;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t next = chosen[i + AHEAD < end ? i + AHEAD : end - 1];
        fetch(step, MLA_LATENT, p->kv_lora, seq, next);
        cache->read(cache, MLA_LATENT, seq, 0, chosen[i], 1, c + (size_t)i * p->kv_lora);
        if (p->rope_dim) {
            fetch(step, MLA_ROPE, p->rope_dim, seq, next);
            cache->read(cache, MLA_ROPE, seq, 0, chosen[i], 1, k_pe + (size_t)i * p->rope_dim);
        }
    }
}

static void attend_item(void *arg, uint32_t item, uint32_t worker)
{
    static const uint32_t from_start = 0;
    const mla_step *step = arg;
    const zoo_mla *p = step->params;
    const mla_buffers *buffers = &step->buffers;
    uint32_t at = item % step->n_batch;
    uint32_t head = item / step->n_batch * step->per_group, left = p->n_heads - head;
    uint32_t of = step->sparse[step->first_row + at], n = zoo_mla_chosen(p, step->span->pos[of]);
    size_t row = (size_t)of * p->n_heads + head, place = (size_t)at * p->chosen_max;
    zoo_segment *c = buffers->segs + (size_t)worker * 2 * buffers->segs_max,
                *k_pe = c + buffers->segs_max;
    zoo_attend_args args = {.q = buffers->query + row * p->kv_rows,
                            .out = buffers->latent + row * p->kv_lora,
                            .k = c,
                            .v = c,
                            .tail = p->rope_dim ? k_pe : NULL,
                            .first = &from_start,
                            .n_queries = 1,
                            .n_heads = left < step->per_group ? left : step->per_group,
                            .head_dim = p->kv_rows,
                            .v_dim = p->kv_lora,
                            .tail_dim = p->rope_dim,
                            .pos = n - 1,
                            .scale = p->scale,
                            .sinks = p->sinks ? step->weights->sinks + head : NULL,
                            .scratch = buffers->attend + worker * buffers->attend_size};
    args.n_segments = zoo_rows_segments(buffers->picked + place * p->kv_lora, p->kv_lora, n, c);
    if (p->rope_dim) {
        (void)zoo_rows_segments(buffers->picked_rope + place * p->rope_dim, p->rope_dim, n, k_pe);
    }
    step->ctx->kernels->attend(&args);
}

void zoo_mla_attend_chosen(mla_step *step)
{
    const zoo_mla *p = step->params;
    uint32_t n_pages = (p->chosen_max + ZOO_PAGE - 1) / ZOO_PAGE;
    for (uint32_t i = 0; i < step->n_sparse; i += step->buffers.n_batch) {
        uint32_t left = step->n_sparse - i;
        step->first_row = i;
        step->n_batch = left < step->buffers.n_batch ? left : step->buffers.n_batch;
        step->per_group = zoo_mla_group(p->n_heads, step->n_batch, step->ctx->n_threads);
        uint32_t n_groups = (p->n_heads + step->per_group - 1) / step->per_group;
        step->ctx->parallel(step->ctx, step->n_batch * n_pages, gather_item, step);
        step->ctx->parallel(step->ctx, step->n_batch * n_groups, attend_item, step);
    }
}
