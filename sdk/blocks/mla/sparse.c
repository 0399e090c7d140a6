/*
 * sparse.c: absorbed queries over the chosen rows of the latent cache.
 *
 * The chosen rows of a query are gathered a part (ZOO_PART) at a time, which stays in the caches of
 * the CPU until all heads have read it; a row costs chosen_max rows of the cache, whatever its
 * position. bf16 rows are gathered as they are, others widened. Items are (row, part), then (row,
 * group of heads), which joins the parts. Memory: a part of rows for each worker; n_batch parts H
 * (kv_lora + 2) floats of sums.
 */
#include "blocks/mla/impl.h"

#include <string.h>

enum {
    AHEAD = 4
}; /* rows prefetched before they are read: the stream outgrows the caches of the CPU */

/* One stream of a part: `n` chosen rows of a sequence, gathered to `to`. */
typedef struct gather {
    const zoo_seq *seq;
    const uint32_t *chosen;
    uint32_t stream, width, n, row; /* row: place of the first one among the chosen */
    void *to;
} gather;

static bool is_copied(const mla_step *step, uint32_t stream)
{
    return step->cache->kinds[stream]->form == ZOO_FORM_BF16;
}

static size_t row_bytes(const mla_step *step, uint32_t stream, uint32_t width)
{
    return width * (is_copied(step, stream) ? sizeof(uint16_t) : sizeof(float));
}

/* Row `row` as it lies in the cache, if its kind keeps rows one after the other. */
static const char *stored_row(const mla_step *step, const gather *g, uint32_t row, size_t *n)
{
    zoo_segment s = step->cache->get(step->cache, g->stream, g->seq, 0, row);
    *n = step->cache->kinds[g->stream]->bytes(g->width, 1);
    return (const char *)s.page + s.at * *n;
}

static void fetch(const mla_step *step, const gather *g, uint32_t row)
{
#ifdef __GNUC__
    size_t n;
    const char *at = stored_row(step, g, row, &n);
    for (size_t i = 0; i < n; i += 64) {
        __builtin_prefetch(at + i);
    }
#else
    (void)step, (void)g, (void)row;
#endif
}

static void gather_rows(const mla_step *step, const gather *g)
{
    bool copied = is_copied(step, g->stream);
    size_t bytes = row_bytes(step, g->stream, g->width);
    for (uint32_t i = 0; i < g->n; i++) {
        char *to = (char *)g->to + i * bytes;
        if (i + AHEAD < g->n) {
            fetch(step, g, g->chosen[i + AHEAD]);
        }
        if (copied) {
            memcpy(to, stored_row(step, g, g->chosen[i], &bytes), bytes);
        } else {
            step->cache->read(step->cache, g->stream, g->seq, 0, g->chosen[i], 1,
                              (float *)(void *)to);
        }
    }
}

/* The gathered rows as segments. */
static uint32_t list_segments(const mla_step *step, const gather *g, zoo_segment *out)
{
    size_t page = ZOO_PAGE * row_bytes(step, g->stream, g->width);
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n; i += ZOO_PAGE, n++) {
        uint32_t left = g->n - i;
        out[n] = (zoo_segment){.page = (char *)g->to + n * page,
                               .n_rows = left < ZOO_PAGE ? left : ZOO_PAGE,
                               .row = g->row + i};
    }
    return n;
}

static const zoo_cache_ops *gathered_kind(const mla_step *step, uint32_t stream)
{
    return is_copied(step, stream) ? step->cache->kinds[stream] : NULL;
}

/* All heads of one row; the segments are the caller's. */
static zoo_attend_args attend_args(const mla_step *step, uint32_t at, uint32_t worker)
{
    static const uint32_t from_start = 0;
    const zoo_mla *p = step->params;
    const mla_buffers *buffers = &step->buffers;
    uint32_t of = step->sparse[step->first_row + at];
    return (zoo_attend_args){.q = buffers->query + (size_t)of * p->n_heads * p->kv_rows,
                             .out = buffers->latent + (size_t)of * p->n_heads * p->kv_lora,
                             .first = &from_start,
                             .n_queries = 1,
                             .n_heads = p->n_heads,
                             .head_dim = p->kv_rows,
                             .v_dim = p->kv_lora,
                             .tail_dim = p->rope_dim,
                             .pos = zoo_mla_chosen(p, step->span->pos[of]) - 1,
                             .k_kind = gathered_kind(step, MLA_LATENT),
                             .v_kind = gathered_kind(step, MLA_LATENT),
                             .tail_kind = p->rope_dim ? gathered_kind(step, MLA_ROPE) : NULL,
                             .kernels = step->ctx->kernels,
                             .scale = p->scale,
                             .sinks = p->sinks ? step->weights->sinks : NULL,
                             .scratch = buffers->attend + worker * buffers->attend_size};
}

static float *sums_of(const mla_step *step, uint32_t at, uint32_t part)
{
    const zoo_mla *p = step->params;
    size_t size = (size_t)p->n_heads * (p->kv_lora + 2);
    return step->buffers.sums + ((size_t)at * zoo_mla_parts(p) + part) * size;
}

static void part_item(void *arg, uint32_t item, uint32_t worker)
{
    const mla_step *step = arg;
    const zoo_mla *p = step->params;
    uint32_t at = item % step->n_batch, part = item / step->n_batch, begin = part * ZOO_PART;
    uint32_t row = step->sparse[step->first_row + at];
    uint32_t n = zoo_mla_chosen(p, step->span->pos[row]);
    zoo_segment c[ZOO_PART / ZOO_PAGE], k_pe[ZOO_PART / ZOO_PAGE];
    zoo_attend_args args = attend_args(step, at, worker);
    float *picked = step->buffers.picked + (size_t)worker * ZOO_PART * p->kv_rows;
    gather latent = {.seq = &step->span->seqs[step->span->seq_of[row]],
                     .chosen = step->chosen + (size_t)row * p->chosen_max + begin,
                     .stream = MLA_LATENT,
                     .width = p->kv_lora,
                     .n = n - begin < ZOO_PART ? n - begin : ZOO_PART,
                     .row = begin,
                     .to = picked};
    if (begin >= n) {
        return;
    }
    gather_rows(step, &latent);
    args.n_segments = list_segments(step, &latent, c);
    args.k = args.v = c;
    if (p->rope_dim) {
        gather rope = latent;
        rope.stream = MLA_ROPE;
        rope.width = p->rope_dim;
        rope.to = picked + (size_t)ZOO_PART * p->kv_lora;
        gather_rows(step, &rope);
        (void)list_segments(step, &rope, k_pe);
        args.tail = k_pe;
    }
    step->ctx->kernels->attend_part(&args, sums_of(step, at, part));
}

static void join_item(void *arg, uint32_t item, uint32_t worker)
{
    const mla_step *step = arg;
    const zoo_mla *p = step->params;
    uint32_t at = item % step->n_batch, head = item / step->n_batch * step->per_group;
    uint32_t left = p->n_heads - head;
    const float **parts = step->buffers.parts + (size_t)worker * zoo_mla_parts(p);
    zoo_attend_args args = attend_args(step, at, worker);
    uint32_t n_parts = args.pos / ZOO_PART + 1;
    for (uint32_t i = 0; i < n_parts; i++) {
        parts[i] = sums_of(step, at, i) + (size_t)head * (p->kv_lora + 2);
    }
    args.n_heads = left < step->per_group ? left : step->per_group;
    args.out += (size_t)head * p->kv_lora;
    if (args.sinks) {
        args.sinks += head;
    }
    step->ctx->kernels->attend_join(&args, parts, n_parts);
}

void zoo_mla_attend_chosen(mla_step *step)
{
    const zoo_mla *p = step->params;
    for (uint32_t i = 0; i < step->n_sparse; i += step->buffers.n_batch) {
        uint32_t left = step->n_sparse - i;
        step->first_row = i;
        step->n_batch = left < step->buffers.n_batch ? left : step->buffers.n_batch;
        step->per_group = zoo_mla_group(p->n_heads, step->n_batch, step->ctx->n_threads);
        uint32_t n_groups = (p->n_heads + step->per_group - 1) / step->per_group;
        step->ctx->parallel(step->ctx, step->n_batch * zoo_mla_parts(p), part_item, step);
        step->ctx->parallel(step->ctx, step->n_batch * n_groups, join_item, step);
    }
}
