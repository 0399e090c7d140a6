/*
 * attend.c: absorbed queries over all rows of the latent cache, or those of a window.
 *
 * All heads of a query read the same two rows per position: k_t = [c_t | k_pe_t] in two streams,
 * v_t = c_t. Items are (tile of queries of one sequence, group of heads); the kernel walks keys in
 * fixed blocks, so the bits depend on neither split.
 */
#include "blocks/mla/impl.h"

uint32_t zoo_mla_group(uint32_t n_heads, uint32_t n_items, uint32_t n_threads)
{
    uint32_t group = n_heads < MLA_TILE ? n_heads : MLA_TILE;
    while (group > 8 && (uint64_t)n_items * ((n_heads + group - 1) / group) < 2 * n_threads) {
        group = (group + 1) / 2;
    }
    return group;
}

uint32_t zoo_mla_dense_rows(const zoo_mla *p, const zoo_seq *seq)
{
    bool sparse = p->when.index || p->index.follows;
    if (!sparse || seq->pos + seq->n <= p->chosen_max) {
        return seq->n;
    }
    return seq->pos < p->chosen_max ? p->chosen_max - seq->pos : 0;
}

static uint32_t list_segments(const mla_step *step, uint32_t stream, const zoo_seq *seq,
                              uint32_t begin, uint32_t end, zoo_segment *out)
{
    uint32_t n = 0;
    for (uint32_t row = begin; row < end; row += out[n++].n_rows) {
        out[n] = step->cache->get(step->cache, stream, seq, 0, row);
    }
    return n;
}

static void attend_item(void *arg, uint32_t item, uint32_t worker)
{
    const mla_step *step = arg;
    const zoo_mla *p = step->params;
    const mla_buffers *buffers = &step->buffers;
    const mla_tile *tile = &buffers->tiles[item % step->n_tiles];
    const zoo_seq *seq = &step->span->seqs[tile->seq];
    uint32_t head = item / step->n_tiles * step->per_group, left = p->n_heads - head;
    uint32_t pos = seq->pos + tile->begin;
    size_t row = ((size_t)seq->row + tile->begin) * p->n_heads + head;
    zoo_segment *c = buffers->segs + (size_t)worker * 2 * buffers->segs_max,
                *k_pe = c + buffers->segs_max;
    uint32_t *first = buffers->first + (size_t)worker * MLA_TILE;
    for (uint32_t i = 0; i < tile->n; i++) {
        first[i] = p->window && pos + i >= p->window ? pos + i + 1 - p->window : 0;
    }
    zoo_attend_args args = {.q = buffers->query + row * p->kv_rows,
                            .out = buffers->latent + row * p->kv_lora,
                            .q_stride = (size_t)p->n_heads * p->kv_rows,
                            .out_stride = (size_t)p->n_heads * p->kv_lora,
                            .k = c,
                            .v = c,
                            .tail = p->rope_dim ? k_pe : NULL,
                            .first = first,
                            .n_queries = tile->n,
                            .n_heads = left < step->per_group ? left : step->per_group,
                            .head_dim = p->kv_rows,
                            .v_dim = p->kv_lora,
                            .tail_dim = p->rope_dim,
                            .pos = pos,
                            .k_kind = step->cache->kinds[MLA_LATENT],
                            .v_kind = step->cache->kinds[MLA_LATENT],
                            .tail_kind = p->rope_dim ? step->cache->kinds[MLA_ROPE] : NULL,
                            .kernels = step->ctx->kernels,
                            .scale = p->scale,
                            .sinks = p->sinks ? step->weights->sinks + head : NULL,
                            .scratch = buffers->attend + worker * buffers->attend_size};
    args.n_segments = list_segments(step, MLA_LATENT, seq, first[0], pos + tile->n, c);
    if (p->rope_dim) {
        (void)list_segments(step, MLA_ROPE, seq, first[0], pos + tile->n, k_pe);
    }
    step->ctx->kernels->attend(&args);
}

static uint32_t list_tiles(const mla_step *step, uint32_t size)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < step->span->n_seqs; s++) {
        uint32_t left = zoo_mla_dense_rows(step->params, &step->span->seqs[s]);
        for (uint32_t begin = 0; left > 0; n++) {
            uint32_t take = left < size ? left : size;
            step->buffers.tiles[n] = (mla_tile){s, begin, take};
            begin += take;
            left -= take;
        }
    }
    return n;
}

void zoo_mla_attend(mla_step *step)
{
    uint32_t n_heads = step->params->n_heads;
    uint32_t size = n_heads < MLA_TILE ? MLA_TILE / n_heads : 1;
    step->n_tiles = list_tiles(step, size);
    if (step->n_tiles == 0) {
        return;
    }
    step->per_group = zoo_mla_group(n_heads, step->n_tiles, step->ctx->n_threads);
    uint32_t n_groups = (n_heads + step->per_group - 1) / step->per_group;
    step->ctx->parallel(step->ctx, n_groups * step->n_tiles, attend_item, step);
}
