/*
 * blocks.c: attention over blocks of keys that an indexer chooses.
 *
 *   qi_h = rotate( norm(Wqi_h x) ), h < Hi;   ki = rotate( norm(Wki x) ), one for all
 *   score_h[b] = max over the visible keys j of block b of qi_h . ki_j
 *   key-value head g reads the top_blocks blocks of highest score of its index head, among them the
 *   local_blocks last
 *
 * Blocks are `block` keys at absolute positions; equal scores take the lower block. The index
 * vectors are rotated by the angles of attention. The index is kept in a third stream, "index_key"
 * [dim], which only ranks and tolerates int8. Memory: for each worker the scores of all blocks, and
 * the chosen keys and values of one head.
 */
#include "blocks.h"
#include "blocks/rows.h"

/* clang-format off */
static const zoo_bind binds[] = {
#include "blocks/gqa/binds.inc"
#undef ZOO_ROW_WEIGHTS
#undef ZOO_ROW_PARAMS
#define ZOO_ROW_WEIGHTS blocks_weights
#define ZOO_ROW_PARAMS llama_blocks
    ZOO_ROW_MATRIX(index_q, "indexer.q_proj.weight", 0, index_rows, gqa.shape.width_in, ZOO_NONE,
                   ZOO_NONE),
    ZOO_ROW_MATRIX(index_k, "indexer.k_proj.weight", 0, index_dim, gqa.shape.width_in, ZOO_NONE,
                   ZOO_NONE),
    ZOO_ROW_VECTOR(index_q_norm, "indexer.q_norm.weight", index_dim, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(index_k_norm, "indexer.k_norm.weight", index_dim, ZOO_NONE, ZOO_NONE),
    {0}};
/* clang-format on */

static blocks_buffers take_worker(const llama_blocks *p, uint32_t length,
                                  zoo_scratch_layout *layout)
{
    blocks_buffers r = {0};
    r.score = zoo_scratch_layout_floats(layout, 1, (size_t)length / p->block + 1);
    r.page = zoo_scratch_layout_floats(layout, ZOO_PAGE, p->index_dim);
    r.picks = zoo_scratch_layout_take(layout, p->top_blocks * sizeof(uint32_t));
    r.keys = zoo_scratch_layout_take(layout, p->keys_max * sizeof(uint32_t));
    r.chosen = zoo_gqa_chosen_take(&p->gqa, p->keys_max, layout);
    return r;
}

static void lay_out(blocks_job *j, const llama_blocks *p, uint32_t n_rows, uint32_t n_threads,
                    uint32_t length, zoo_scratch_layout *layout)
{
    j->q = zoo_scratch_layout_floats(layout, n_rows, p->index_rows);
    j->k = zoo_scratch_layout_floats(layout, n_rows, p->index_dim);
    j->workers = zoo_scratch_layout_take(layout, n_threads * sizeof *j->workers);
    for (uint32_t i = 0; i < n_threads; i++) {
        blocks_buffers r = take_worker(p, length, layout);
        if (j->workers) {
            j->workers[i] = r;
        }
    }
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const llama_blocks *p = params;
    zoo_scratch_layout layout = {0};
    blocks_job j = {0};
    lay_out(&j, p, limits->rows_max, limits->n_threads, limits->context_max, &layout);
    return layout.used + zoo_gqa_scratch(params, limits) +
           zoo_linear_scratch(p->gqa.shape.width_in, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const llama_blocks *p = params;
    uint32_t n = zoo_gqa_streams(params, out);
    out[n] = (zoo_stream){.name = "index_key",
                          .kind = ZOO_ROWS,
                          .width = p->index_dim,
                          .heads = 1,
                          .stride = 1,
                          .dtype_min = ZOO_INT8};
    return n + 1;
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_blocks *p = params;
    const blocks_weights *w = bound;
    zoo_scratch_layout layout = {.ctx = ctx};
    blocks_job j = {.step = zoo_gqa_begin(ctx, &p->gqa, &w->gqa, cache, span), .p = p, .w = w};
    lay_out(&j, p, span->n_rows, ctx->n_threads, zoo_span_length(span), &layout);
    const zoo_proj index[] = {{&w->index_q, NULL, j.q, 0}, {&w->index_k, NULL, j.k, 0}};
    zoo_linear(ctx, index, 2, x, p->gqa.shape.width_in, span->n_rows);
    zoo_gqa_project(&j.step, x);
    zoo_rows(ctx, span->n_rows, (size_t)p->index_rows * 4, llama_blocks_shape, &j);
    for (uint32_t s = 0; s < span->n_seqs; s++) {
        const zoo_seq *seq = &span->seqs[s];
        cache->put(cache, 2, seq, seq->pos, seq->n, j.k + (size_t)seq->row * p->index_dim,
                   p->index_dim);
    }
    ctx->parallel(ctx, span->n_rows * p->gqa.shape.n_kv_heads, llama_blocks_attend, &j);
    const zoo_proj out = {&w->gqa.o, w->gqa.o_bias, y, 0};
    zoo_linear(ctx, &out, 1, j.step.buffers.out, p->gqa.derived.o_cols, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const llama_blocks *p = params;
    (void)snprintf(
        text, n, "%u heads over %u key-value heads of %u, %u blocks of %u keys chosen by an index",
        p->gqa.shape.n_heads, p->gqa.shape.n_kv_heads, p->gqa.shape.head_dim, p->top_blocks,
        p->block);
}

const zoo_block_ops llama_blocks_ops = {.size = sizeof(zoo_block_ops),
                                        .weights_size = sizeof(blocks_weights),
                                        .name = "blocks",
                                        .binds = binds,
                                        .streams = streams,
                                        .scratch = scratch,
                                        .check = zoo_gqa_check,
                                        .forward = forward,
                                        .explain = explain,
                                        .facts = llama_blocks_facts};
