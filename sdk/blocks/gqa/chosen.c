/*
 * chosen.c: softmax attention of one row over chosen keys: they are gathered and widened, then read
 * by all query heads of their key-value head.
 *
 * A bias on the scores is one more element: 1 / scale in the query, the bias in the key; where each
 * query head has its own, one element for each head, 0 in the queries of the others. Every row is
 * taken by itself, so its bits depend on its keys alone. Memory: the chosen keys and values of
 * one head for each worker.
 */
#include <string.h>

#include "blocks/gqa/impl.h"

static gqa_chosen take(const zoo_gqa *p, uint32_t n_biases, uint32_t keys_max,
                       zoo_scratch_layout *layout)
{
    gqa_chosen c = {.n_biases = n_biases};
    c.q = zoo_scratch_layout_floats(layout, p->shape.n_heads / p->shape.n_kv_heads,
                                    (size_t)p->shape.head_dim + n_biases);
    c.k = zoo_scratch_layout_floats(layout, keys_max, (size_t)p->shape.head_dim + n_biases);
    c.v = zoo_scratch_layout_floats(layout, keys_max, p->shape.v_dim);
    c.scratch = zoo_scratch_layout_floats(
        layout, 1, zoo_attend_scratch(p->shape.head_dim + n_biases, p->shape.v_dim));
    c.segs = zoo_scratch_layout_take(layout,
                                     2 * ((size_t)keys_max / ZOO_PAGE + 1) * sizeof(zoo_segment));
    return c;
}

gqa_chosen zoo_gqa_chosen_take(const zoo_gqa *p, uint32_t keys_max, zoo_scratch_layout *layout)
{
    return take(p, 1, keys_max, layout);
}

gqa_chosen zoo_gqa_biased_take(const zoo_gqa *p, uint32_t keys_max, zoo_scratch_layout *layout)
{
    return take(p, p->shape.n_heads / p->shape.n_kv_heads, keys_max, layout);
}

/* The queries of the head, each with its elements for the biases after it. */
static void copy_queries(const gqa_step *step, uint32_t row, uint32_t head, uint32_t width,
                         float *out)
{
    const zoo_gqa *p = step->params;
    uint32_t d = p->shape.head_dim, group = p->shape.n_heads / p->shape.n_kv_heads;
    const float *q = step->buffers.q + ((size_t)row * p->shape.n_heads + (size_t)head * group) * d;
    for (uint32_t i = 0; i < group; i++, q += d, out += width) {
        memcpy(out, q, d * sizeof(float));
        for (uint32_t b = d; b < width; b++) {
            out[b] = width == d + 1 || b == d + i ? 1.0f / p->options.scale : 0.0f;
        }
    }
}

void zoo_gqa_chosen_attend(const gqa_step *step, const gqa_chosen *buffers, uint32_t row,
                           uint32_t head, const gqa_keys *keys)
{
    static const uint32_t from_start = 0;
    const zoo_gqa *p = step->params;
    const zoo_seq *seq = &step->span->seqs[step->span->seq_of[row]];
    uint32_t group = p->shape.n_heads / p->shape.n_kv_heads,
             n_biases = keys->bias ? buffers->n_biases : 0, width = p->shape.head_dim + n_biases;
    copy_queries(step, row, head, width, buffers->q);
    for (uint32_t i = 0; i < keys->n; i++) {
        float *k = buffers->k + (size_t)i * width;
        step->cache->read(step->cache, 0, seq, head, keys->at[i], 1, k);
        for (uint32_t b = 0; b < n_biases; b++) {
            k[p->shape.head_dim + b] = keys->bias[b * keys->bias_stride + keys->at[i]];
        }
        step->cache->read(step->cache, 1, seq, head, keys->at[i], 1,
                          buffers->v + (size_t)i * p->shape.v_dim);
    }
    zoo_segment *v = buffers->segs + keys->n / ZOO_PAGE + 1;
    size_t out = (size_t)row * p->derived.o_cols + (size_t)head * group * p->shape.v_dim;
    zoo_attend_args args = {.q = buffers->q,
                            .out = step->buffers.out + out,
                            .k = buffers->segs,
                            .v = v,
                            .first = &from_start,
                            .n_queries = 1,
                            .n_heads = group,
                            .head_dim = width,
                            .v_dim = p->shape.v_dim,
                            .pos = keys->n - 1,
                            .scale = p->options.scale,
                            .sinks = keys->sinks,
                            .scratch = buffers->scratch};
    args.n_segments = zoo_rows_segments(buffers->k, width, keys->n, buffers->segs);
    (void)zoo_rows_segments(buffers->v, p->shape.v_dim, keys->n, v);
    step->ctx->kernels->attend(&args);
}
