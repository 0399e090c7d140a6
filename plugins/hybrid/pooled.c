/*
 * pooled.c: attention over blocks of keys that an index of pooled keys chooses (formulas in
 * pooled.h).
 *
 * Keys: indexer_n_heads, indexer_head_dim, indexer_budget, indexer_compress_ratio,
 * indexer_kv_heads. Memory: index vectors and chosen keys of each row; for each worker the scores
 * of all blocks, and the chosen keys and values of one head.
 */
#include <string.h>

#include "blocks/rows.h"
#include "pooled.h"

/* clang-format off */
static const zoo_bind binds[] = {
#include "blocks/gqa/binds.inc"
#undef ZOO_ROW_WEIGHTS
#undef ZOO_ROW_PARAMS
#define ZOO_ROW_WEIGHTS pooled_weights
#define ZOO_ROW_PARAMS hybrid_pooled
    ZOO_ROW_MATRIX(index, "indexer.index_qk_proj.weight", 0, rows, gqa.shape.width_in, ZOO_NONE,
                   ZOO_NONE),
    ZOO_ROW_VECTOR(q_norm, "indexer.q_layernorm.weight", dim, ZOO_NONE, ZOO_NONE),
    ZOO_ROW_VECTOR(k_norm, "indexer.k_layernorm.weight", dim, ZOO_NONE, ZOO_NONE),
    {0}};
/* clang-format on */

static pooled_worker take_worker(const hybrid_pooled *p, uint32_t length,
                                 zoo_scratch_layout *layout)
{
    pooled_worker r = {0};
    r.score = zoo_scratch_layout_floats(layout, 1, (size_t)length / p->ratio + 1);
    r.page = zoo_scratch_layout_floats(layout, ZOO_PAGE + 2, p->dim);
    r.picks = zoo_scratch_layout_take(layout, p->top_blocks * sizeof(uint32_t));
    r.chosen = zoo_gqa_chosen_take(&p->gqa, p->keys_max, layout);
    return r;
}

static void lay_out(pooled_job *j, const hybrid_pooled *p, uint32_t n_rows, uint32_t n_threads,
                    uint32_t length, zoo_scratch_layout *layout)
{
    j->index = zoo_scratch_layout_floats(layout, n_rows, p->rows);
    j->keys = zoo_scratch_layout_take(layout, (size_t)n_rows * p->keys_max * sizeof(uint32_t));
    j->n_keys = zoo_scratch_layout_take(layout, n_rows * sizeof(uint32_t));
    j->workers = zoo_scratch_layout_take(layout, n_threads * sizeof *j->workers);
    for (uint32_t i = 0; i < n_threads; i++) {
        pooled_worker r = take_worker(p, length, layout);
        if (j->workers) {
            j->workers[i] = r;
        }
    }
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const hybrid_pooled *p = params;
    zoo_scratch_layout layout = {0};
    pooled_job j = {0};
    lay_out(&j, p, limits->rows_max, limits->n_threads, limits->context_max, &layout);
    return layout.used + zoo_gqa_scratch(params, limits) +
           zoo_linear_scratch(p->gqa.shape.width_in, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const hybrid_pooled *p = params;
    uint32_t n = zoo_gqa_streams(params, out);
    out[n] = (zoo_stream){.name = "index_key",
                          .kind = ZOO_ROWS,
                          .width = p->dim,
                          .heads = 1,
                          .stride = p->ratio,
                          .dtype_min = ZOO_INT8};
    out[n + 1] = hybrid_state("open", p->dim);
    return n + 2;
}

/* Item: a row and a key-value head. */
static void attend_item(void *arg, uint32_t item, uint32_t worker)
{
    const pooled_job *j = arg;
    uint32_t n = j->p->gqa.shape.n_kv_heads, row = item / n;
    const gqa_keys keys = {.at = j->keys + (size_t)row * j->p->keys_max, .n = j->n_keys[row]};
    zoo_gqa_chosen_attend(&j->step, &j->workers[worker].chosen, row, item % n, &keys);
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const hybrid_pooled *p = params;
    const pooled_weights *w = bound;
    uint32_t n = span->n_rows, width = p->gqa.derived.o_cols;
    zoo_scratch_layout layout = {.ctx = ctx};
    pooled_job j = {.step = zoo_gqa_begin(ctx, &p->gqa, &w->gqa, cache, span), .p = p, .w = w};
    lay_out(&j, p, n, ctx->n_threads, zoo_span_length(span), &layout);
    const zoo_proj index = {&w->index, NULL, j.index, 0};
    zoo_linear(ctx, &index, 1, x, p->gqa.shape.width_in, n);
    zoo_gqa_project(&j.step, x);
    pooled_index(&j);
    ctx->parallel(ctx, n * p->gqa.shape.n_kv_heads, attend_item, &j);
    if (p->gqa.options.gate) {
        const hybrid_gated_norm gate = {.y = j.step.buffers.out,
                                        .z = j.step.buffers.gate,
                                        .y_stride = width,
                                        .z_stride = width,
                                        .width = width,
                                        .n_groups = 1,
                                        .act = (zoo_act)p->gqa.options.gate_act};
        hybrid_gated_norm_run(ctx, &gate, n);
    }
    const zoo_proj out = {&w->gqa.o, w->gqa.o_bias, y, 0};
    zoo_linear(ctx, &out, 1, j.step.buffers.out, width, n);
}

static void explain(const void *params, char *text, size_t n)
{
    const hybrid_pooled *p = params;
    (void)snprintf(
        text, n,
        "%u heads over %u key-value heads of %u, %u blocks of %u keys chosen by an index "
        "of pooled keys",
        p->gqa.shape.n_heads, p->gqa.shape.n_kv_heads, p->gqa.shape.head_dim, p->top_blocks,
        p->ratio);
}

void hybrid_pooled_facts(const void *params, const zoo_facts *to)
{
    const hybrid_pooled *p = params;
    zoo_gqa_facts(params, to);
    to->number(to, "index_heads", p->n_heads);
    to->number(to, "index_dim", p->dim);
    to->number(to, "block", p->ratio);
    to->number(to, "blocks", p->top_blocks);
    to->number(to, "read.k", p->keys_max);
    to->number(to, "read.v", p->keys_max);
    to->number(to, "flops.index_key", 2.0 * p->n_heads * p->dim);
}

zoo_status hybrid_pooled_part(zoo_decoder *b, uint32_t layer, zoo_part *out)
{
    const zoo_config *c = b->config;
    hybrid_pooled *p = b->setup->take(b->setup, sizeof *p);
    ZOO_TRY(zoo_decoder_attention(b, layer, out));
    if (!p) {
        return zoo_fail(b->err, ZOO_E_MEMORY, "no memory for the plan");
    }
    memcpy(p, out->params, sizeof p->gqa);
    uint32_t budget = c->whole(c, "indexer_budget", 0);
    p->n_heads = c->whole(c, "indexer_n_heads", 0);
    p->dim = c->whole(c, "indexer_head_dim", 0);
    p->ratio = c->whole(c, "indexer_compress_ratio", 0);
    p->top_blocks = p->ratio ? budget / p->ratio : 0;
    uint32_t rotated = p->gqa.options.rope ? 2 * p->gqa.options.rope->n_pairs : 0;
    if (!p->n_heads || p->n_heads > 1u << 12 || !p->dim || p->dim > 1u << 12 || p->dim < rotated ||
        !p->top_blocks || budget > 1u << 20 || budget % p->ratio != 0 ||
        c->whole(c, "indexer_kv_heads", 0) != 1) {
        c->refuse(c,
                  "an index of indexer_n_heads %u, indexer_head_dim %u (at least the %u that "
                  "rotate), indexer_kv_heads 1, that chooses indexer_budget %u keys in blocks of "
                  "indexer_compress_ratio %u",
                  p->n_heads, p->dim, rotated, budget, p->ratio);
        return ZOO_OK;
    }
    p->rows = (p->n_heads + 1) * p->dim;
    p->keys_max = budget + p->ratio - 1;
    out->params = p;
    out->ops = &hybrid_pooled_ops;
    return ZOO_OK;
}

const zoo_block_ops hybrid_pooled_ops = {.size = sizeof(zoo_block_ops),
                                         .weights_size = sizeof(pooled_weights),
                                         .name = "pooled",
                                         .binds = binds,
                                         .streams = streams,
                                         .scratch = scratch,
                                         .check = zoo_gqa_check,
                                         .forward = forward,
                                         .explain = explain,
                                         .facts = hybrid_pooled_facts};
