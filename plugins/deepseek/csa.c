/*
 * csa.c: the block of attention over compressed entries: streams, scratch, forward.
 */
#include "csa.h"

typedef struct csa_sizes {
    uint32_t n_rows, n_threads, length_max;
} csa_sizes;

static void layout_keys(const ds_csa *p, const csa_sizes *s, csa_buffers *b,
                        zoo_scratch_layout *layout)
{
    uint32_t window = p->window < s->length_max ? p->window : s->length_max;
    b->entries_max = csa_visible(p, s->length_max);
    uint32_t read = p->when.index && b->entries_max > p->top_k ? p->top_k : b->entries_max;
    b->keys_max = window + read;
    b->segs_max = b->keys_max / ZOO_PAGE + 2;
    b->n_batch = 2 * s->n_threads < s->n_rows ? 2 * s->n_threads : s->n_rows;
    b->attend_size = zoo_attend_scratch(p->head_dim, p->head_dim);
    b->picked = zoo_scratch_layout_floats(layout, (size_t)b->n_batch * b->keys_max, p->head_dim);
    b->chosen = zoo_scratch_layout_take(layout, (size_t)b->n_batch * p->top_k * sizeof(uint32_t));
    b->score = zoo_scratch_layout_floats(layout, s->n_threads, b->entries_max);
    b->keys = zoo_scratch_layout_floats(layout, (size_t)s->n_threads * ZOO_PAGE, p->index_dim);
    b->attend = zoo_scratch_layout_floats(layout, s->n_threads, b->attend_size);
    b->segs =
        zoo_scratch_layout_take(layout, (size_t)s->n_threads * b->segs_max * sizeof(zoo_segment));
}

static csa_buffers lay_out(const ds_csa *p, const csa_sizes *s, zoo_scratch_layout *layout)
{
    csa_buffers b = {.prepared_size = zoo_heads_size(p->group_cols)};
    b.q_a = zoo_scratch_layout_floats(layout, s->n_rows, p->q_lora);
    b.q = zoo_scratch_layout_floats(layout, s->n_rows, p->q_rows);
    b.kv = zoo_scratch_layout_floats(layout, s->n_rows, p->head_dim);
    b.out = zoo_scratch_layout_floats(layout, s->n_rows, p->q_rows);
    b.mid = zoo_scratch_layout_floats(layout, s->n_rows, p->mid);
    b.pool_kv = zoo_scratch_layout_floats(layout, s->n_rows, p->pool_width);
    b.pool_gate = zoo_scratch_layout_floats(layout, s->n_rows, p->pool_width);
    b.ipool_kv = zoo_scratch_layout_floats(layout, s->n_rows, p->index_pool);
    b.ipool_gate = zoo_scratch_layout_floats(layout, s->n_rows, p->index_pool);
    b.index_q = zoo_scratch_layout_floats(layout, s->n_rows, p->index_q_rows);
    b.index_w = zoo_scratch_layout_floats(layout, s->n_rows, p->index_heads);
    b.prepared = zoo_scratch_layout_take(layout, s->n_threads * b.prepared_size);
    b.entry =
        zoo_scratch_layout_floats(layout, s->n_threads, p->head_dim + p->index_dim + p->rope_dim);
    layout_keys(p, s, &b, layout);
    return b;
}

static size_t csa_scratch(const void *params, const zoo_limits *limits)
{
    const ds_csa *p = params;
    const csa_sizes sizes = {limits->rows_max, limits->n_threads, limits->context_max};
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, &sizes, &layout);
    return layout.used + zoo_linear_scratch(p->width_in, limits->rows_max) +
           zoo_linear_scratch(p->q_lora, limits->rows_max) +
           zoo_linear_scratch(p->mid, limits->rows_max);
}

static uint32_t csa_streams(const void *params, zoo_stream *out)
{
    const ds_csa *p = params;
    out[CSA_KV] = (zoo_stream){.name = "kv",
                               .kind = ZOO_RING,
                               .width = p->head_dim,
                               .heads = 1,
                               .window = p->window,
                               .stride = 1,
                               .dtype_min = ZOO_BF16};
    if (!p->when.pool) {
        return 1;
    }
    out[CSA_ENTRY] = out[CSA_KV];
    out[CSA_ENTRY].name = "entry";
    out[CSA_ENTRY].kind = ZOO_ROWS;
    out[CSA_ENTRY].window = 0;
    out[CSA_ENTRY].stride = p->ratio;
    out[CSA_OPEN] = (zoo_stream){
        .name = "open", .kind = ZOO_STATE, .width = csa_open_width(p, p->head_dim), .heads = 1};
    if (!p->when.index) {
        return CSA_OPEN + 1;
    }
    out[CSA_INDEX_ENTRY] = out[CSA_ENTRY];
    out[CSA_INDEX_ENTRY].name = "index_entry";
    out[CSA_INDEX_ENTRY].width = p->index_dim;
    out[CSA_INDEX_ENTRY].dtype_min = ZOO_INT8;
    out[CSA_INDEX_OPEN] = out[CSA_OPEN];
    out[CSA_INDEX_OPEN].name = "index_open";
    out[CSA_INDEX_OPEN].width = csa_open_width(p, p->index_dim);
    return CSA_STREAMS;
}

static void csa_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                        const float *x, float *y, const zoo_span *span)
{
    const ds_csa *p = params;
    const ds_csa_weights *w = weights;
    csa_sizes sizes = {span->n_rows, ctx->n_threads, 0};
    for (uint32_t s = 0; s < span->n_seqs; s++) {
        uint32_t length = span->seqs[s].pos + span->seqs[s].n;
        sizes.length_max = length > sizes.length_max ? length : sizes.length_max;
    }
    zoo_scratch_layout layout = {.ctx = ctx};
    csa_step step = {.ctx = ctx, .params = p, .weights = w, .cache = cache, .span = span};
    step.buffers = lay_out(p, &sizes, &layout);
    step.rope = zoo_rope_rows_of(ctx, p->rope, span);
    step.back = zoo_rope_rows_of(ctx, p->back, span);
    csa_project(&step, x);
    csa_pool(&step);
    csa_attend(&step);
    zoo_heads_run(ctx, &(zoo_heads){.weights = w->o_a,
                                    .x = step.buffers.out,
                                    .x_row = p->q_rows,
                                    .x_head = p->group_cols,
                                    .y = step.buffers.mid,
                                    .y_row = p->mid,
                                    .y_head = p->o_lora,
                                    .n_rows = span->n_rows,
                                    .n_heads = p->n_groups,
                                    .prepared = step.buffers.prepared,
                                    .prepared_size = step.buffers.prepared_size});
    const zoo_proj out = {&w->o_b, NULL, y, 0};
    zoo_linear(ctx, &out, 1, step.buffers.mid, p->mid, span->n_rows);
}

static void csa_explain(const void *params, char *text, size_t n)
{
    const ds_csa *p = params;
    int used =
        snprintf(text, n, "%u heads share one row of %u per token; the last %u tokens are read",
                 p->n_heads, p->head_dim, p->window);
    if (used < 0 || (size_t)used >= n || !p->ratio) {
        return;
    }
    text += used;
    n -= (size_t)used;
    if (p->when.index) {
        (void)snprintf(
            text, n,
            " and the %u best of older entries, one for every %u tokens, chosen by index "
            "keys of %u; %u bytes a token beyond the window in bf16",
            p->top_k, p->ratio, p->index_dim, 2 * (p->head_dim + p->index_dim) / p->ratio);
    } else {
        (void)snprintf(text, n,
                       " and one entry for every %u tokens before; %u bytes a token beyond the "
                       "window in bf16",
                       p->ratio, 2 * p->head_dim / p->ratio);
    }
}

const zoo_block_ops ds_csa_ops = {.size = sizeof(zoo_block_ops),
                                  .weights_size = sizeof(ds_csa_weights),
                                  .name = "compressed",
                                  .binds = ds_csa_binds,
                                  .streams = csa_streams,
                                  .scratch = csa_scratch,
                                  .forward = csa_forward,
                                  .explain = csa_explain,
                                  .facts = ds_csa_facts};
