/*
 * attend.c: softmax attention of the rows of a step over the cache, gate and inner norm.
 *
 * Items are (tile of queries of one sequence, key-value head); a tile's queries share the walk over
 * the keys. The kernel walks keys in fixed blocks, so the bits do not depend on the tiling.
 * Memory: per worker the kernel's scratch and lists of cache segments.
 */
#include "blocks/gqa/impl.h"

static uint32_t first_visible(const zoo_gqa *p, uint32_t pos)
{
    if (p->shape.chunk) {
        return pos / p->shape.chunk * p->shape.chunk;
    }
    return p->shape.window && pos >= p->shape.window ? pos - p->shape.window + 1 : 0;
}

static uint32_t list_segments(const gqa_step *step, uint32_t stream, const zoo_seq *seq,
                              uint32_t head, uint32_t begin, uint32_t end, zoo_segment *out)
{
    uint32_t n = 0;
    for (uint32_t row = begin; row < end; row += out[n++].n_rows) {
        out[n] = step->cache->get(step->cache, stream, seq, head, row);
    }
    return n;
}

uint32_t zoo_gqa_segments(const gqa_step *step, uint32_t worker, const zoo_seq *seq, uint32_t head,
                          uint32_t begin, uint32_t end)
{
    const gqa_buffers *buffers = &step->buffers;
    zoo_segment *k = buffers->k_segs + (size_t)worker * buffers->segs_max;
    zoo_segment *v = buffers->v_segs + (size_t)worker * buffers->segs_max;
    (void)list_segments(step, 1, seq, step->v_first + head % step->v_heads, begin, end, v);
    return list_segments(step, 0, seq, head, begin, end, k);
}

zoo_attend_args zoo_gqa_args(const gqa_step *step, uint32_t worker, uint32_t head, uint32_t row,
                             uint32_t n, uint32_t pos)
{
    const zoo_gqa *p = step->params;
    const gqa_buffers *buffers = &step->buffers;
    uint32_t group = p->shape.n_heads / p->shape.n_kv_heads;
    uint32_t *first = buffers->first + (size_t)worker * GQA_TILE;
    zoo_attend_args args = {.k = buffers->k_segs + (size_t)worker * buffers->segs_max,
                            .v = buffers->v_segs + (size_t)worker * buffers->segs_max,
                            .first = first,
                            .n_queries = n,
                            .n_heads = group,
                            .head_dim = p->derived.k_width,
                            .v_dim = p->shape.v_dim,
                            .pos = pos,
                            .k_kind = step->cache->kinds[0],
                            .v_kind = step->cache->kinds[1],
                            .kernels = step->ctx->kernels,
                            .scale = p->options.scale,
                            .softcap = p->options.softcap};
    for (uint32_t i = 0; i < n; i++) {
        first[i] = first_visible(p, pos + i);
    }
    args.q_stride = (size_t)p->shape.n_heads * p->derived.k_width;
    args.out_stride = p->derived.o_cols;
    args.q = buffers->q + row * args.q_stride + (size_t)head * group * p->derived.k_width;
    args.out = buffers->out + row * args.out_stride + (size_t)head * group * p->shape.v_dim;
    args.sinks = p->options.sinks ? step->weights->sinks + (size_t)head * group : NULL;
    args.slopes = buffers->slopes ? buffers->slopes + (size_t)head * group : NULL;
    args.scratch = buffers->attend + worker * buffers->attend_size;
    return args;
}

static void attend_item(void *arg, uint32_t item, uint32_t worker)
{
    const gqa_step *step = arg;
    const zoo_gqa *p = step->params;
    const gqa_tile *tile = &step->buffers.tiles[item / p->shape.n_kv_heads];
    const zoo_seq *seq = &step->span->seqs[tile->seq];
    uint32_t head = item % p->shape.n_kv_heads, pos = seq->pos + tile->begin;
    if (tile->run) {
        zoo_gqa_join(step, tile, head, worker);
        return;
    }
    zoo_attend_args args = zoo_gqa_args(step, worker, head, seq->row + tile->begin, tile->n, pos);
    args.n_segments = zoo_gqa_segments(step, worker, seq, head, args.first[0], pos + tile->n);
    step->ctx->kernels->attend(&args);
}

static uint32_t list_tiles(const gqa_step *step)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < step->span->n_seqs; s++) {
        uint32_t left = step->span->seqs[s].n;
        for (uint32_t begin = 0; left > 0; n++) {
            uint32_t take = left < step->tile ? left : step->tile;
            step->buffers.tiles[n] = (gqa_tile){s, begin, take, 0};
            begin += take;
            left -= take;
        }
    }
    return n;
}

static void gate_row(const gqa_step *step, float *out, float *gate)
{
    const zoo_gqa *p = step->params;
    const zoo_kernels *k = step->ctx->kernels;
    if (p->options.gate != ZOO_GATE_HEAD) {
        k->act_mul((zoo_act)p->options.gate_act, gate, out, out, p->derived.o_cols);
        return;
    }
    k->act((zoo_act)p->options.gate_act, gate, gate, p->shape.n_heads);
    for (uint32_t h = 0; h < p->shape.n_heads; h++) {
        float *head = out + (size_t)h * p->shape.v_dim;
        k->scale(gate[h], head, head, p->shape.v_dim);
    }
}

static void norm_heads(const gqa_step *step, float *out)
{
    const zoo_gqa *p = step->params;
    zoo_norm_args norm = {.x = out,
                          .y = out,
                          .x_stride = p->shape.v_dim,
                          .y_stride = p->shape.v_dim,
                          .n_rows = p->shape.n_heads,
                          .width = p->shape.v_dim,
                          .eps = p->options.head_norm_eps};
    zoo_norm_run(step->ctx->kernels, p->options.head_norm, norm);
}

static void finish_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const gqa_step *step = arg;
    const zoo_gqa *p = step->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *out = step->buffers.out + (size_t)row * p->derived.o_cols;
        zoo_norm_args norm = {.x = out,
                              .y = out,
                              .weight = step->weights->sub_norm,
                              .n_rows = 1,
                              .width = p->derived.o_cols,
                              .eps = p->options.sub_norm_eps};
        if (p->options.head_norm) {
            norm_heads(step, out);
        }
        if (p->options.gate) {
            gate_row(step, out, step->buffers.gate + (size_t)row * p->derived.gate_rows);
        }
        zoo_norm_run(step->ctx->kernels, p->options.sub_norm, norm);
    }
}

void zoo_gqa_attend(gqa_step *step)
{
    const zoo_gqa *p = step->params;
    if (p->options.slopes && p->derived.k_width == p->shape.head_dim) {
        float factor = p->options.slopes_scaled ? p->options.scale : 1.0f;
        step->ctx->kernels->scale(factor, p->options.slopes, step->buffers.slopes,
                                  p->shape.n_heads);
    }
    step->n_tiles = list_tiles(step);
    zoo_gqa_sum_parts(step);
    step->ctx->parallel(step->ctx, step->n_tiles * p->shape.n_kv_heads, attend_item, step);
    if (p->options.gate || p->options.sub_norm || p->options.head_norm) {
        zoo_rows(step->ctx, step->span->n_rows, (size_t)p->derived.o_cols * 4, finish_range, step);
    }
}
