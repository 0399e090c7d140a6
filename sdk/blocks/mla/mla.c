/*
 * mla.c: the block of latent attention: scratch, forward.
 */
#include "blocks/mla/impl.h"

static uint32_t batch_rows(const mla_sizes *s)
{
    uint32_t n = 2 * s->n_threads;
    return n < s->n_rows ? n : s->n_rows;
}

static mla_buffers lay_out(const zoo_mla *p, const mla_sizes *s, zoo_scratch_layout *layout)
{
    bool indexed = p->when.index || p->index.follows;
    bool sparse = indexed && s->length_max > p->chosen_max;
    uint32_t most = sparse ? p->chosen_max : 0;
    uint32_t longest = s->length_max > most ? s->length_max : most;
    size_t heads = (size_t)s->n_rows * p->n_heads;
    mla_buffers b = {.prepared_size = zoo_heads_size(p->kv_lora > p->nope ? p->kv_lora : p->nope),
                     .attend_size = zoo_attend_scratch(p->kv_rows, p->kv_lora),
                     .segs_max = longest / ZOO_PAGE + 2,
                     .n_batch = batch_rows(s)};
    b.q_a = zoo_scratch_layout_floats(layout, s->n_rows, p->q_lora ? p->q_in : 0);
    b.q = zoo_scratch_layout_floats(layout, s->n_rows, p->q_rows);
    b.kv = zoo_scratch_layout_floats(layout, s->n_rows, p->kv_rows);
    b.gate = zoo_scratch_layout_floats(layout, s->n_rows, p->gate_rows);
    b.query = zoo_scratch_layout_floats(layout, heads, p->kv_rows);
    b.latent = zoo_scratch_layout_floats(layout, heads, p->kv_lora);
    b.out = zoo_scratch_layout_floats(layout, heads, p->v_dim);
    b.tiles = zoo_scratch_layout_take(layout, s->n_rows * sizeof(mla_tile));
    b.prepared = zoo_scratch_layout_take(layout, s->n_threads * b.prepared_size);
    b.attend = zoo_scratch_layout_floats(layout, s->n_threads, b.attend_size);
    b.segs = zoo_scratch_layout_take(layout,
                                     (size_t)s->n_threads * 2 * b.segs_max * sizeof(zoo_segment));
    b.first = zoo_scratch_layout_take(layout, (size_t)s->n_threads * MLA_TILE * sizeof(uint32_t));
    if (sparse) {
        size_t parts = zoo_mla_parts(p), heads_all = (size_t)p->n_heads * (p->kv_lora + 2);
        b.picked = zoo_scratch_layout_floats(layout, (size_t)s->n_threads * ZOO_PART, p->kv_rows);
        b.parts = zoo_scratch_layout_take(layout, s->n_threads * parts * sizeof *b.parts);
        b.sums = zoo_scratch_layout_floats(layout, b.n_batch * parts, heads_all);
    }
    if (p->when.index) {
        b.index_q = zoo_scratch_layout_floats(layout, s->n_rows, p->index_q_rows);
        b.index_k = zoo_scratch_layout_floats(layout, s->n_rows, p->index.dim);
        b.index_w = zoo_scratch_layout_floats(layout, s->n_rows, p->index.n_heads);
        b.index_x =
            zoo_scratch_layout_floats(layout, s->n_rows, p->when.index_input ? p->width_in : 0);
        b.index_gate = zoo_scratch_layout_floats(layout, s->n_rows, p->index_gate_row);
    }
    if (p->when.index && sparse) {
        b.score = zoo_scratch_layout_floats(layout, b.n_batch, s->length_max);
        b.keys = zoo_scratch_layout_floats(layout, (size_t)s->n_threads * ZOO_PAGE, p->index.dim);
    }
    return b;
}

static size_t mla_scratch(const void *params, const zoo_limits *limits)
{
    const zoo_mla *p = params;
    const mla_sizes sizes = {limits->rows_max, limits->n_threads, limits->context_max};
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, &sizes, &layout);
    (void)zoo_scratch_layout_take(&layout, limits->rows_max * sizeof(uint32_t));
    return layout.used + zoo_linear_scratch(p->width_in, limits->rows_max) +
           zoo_linear_scratch(p->q_in, limits->rows_max) +
           zoo_linear_scratch(p->index_q_in, limits->rows_max) +
           zoo_linear_scratch(p->o_cols, limits->rows_max);
}

static zoo_status mla_check(const void *params, zoo_error *err)
{
    const zoo_mla *p = params;
    if (!p->o_cols || !p->kv_rows) {
        return zoo_fail(err, ZOO_E_INTERNAL, "latent attention: params without zoo_mla_finish");
    }
    return ZOO_OK;
}

static void gate_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const mla_step *step = arg;
    const zoo_mla *p = step->params;
    const zoo_kernels *k = step->ctx->kernels;
    (void)worker;
    for (uint32_t i = begin; i < end; i++) {
        float *out = step->buffers.out + (size_t)i * p->v_dim;
        if (p->gate == ZOO_MLA_GATE_HEAD) {
            float *gate = step->buffers.gate + i;
            k->act(ZOO_ACT_SIGMOID, gate, gate, 1);
            k->scale(*gate, out, out, p->v_dim);
            continue;
        }
        const float *gate = p->gate == ZOO_MLA_GATE_ELEMENT
                                ? step->buffers.gate + (size_t)i * p->v_dim
                                : step->buffers.q + (size_t)i * p->q_head + p->nope + p->rope_dim;
        k->act_mul(ZOO_ACT_SIGMOID, gate, out, out, p->v_dim);
    }
}

/* Lists the rows that read chosen keys and finds the choice of this step. */
static void find_sparse(mla_step *step)
{
    const zoo_mla *p = step->params;
    zoo_ctx *ctx = step->ctx;
    bool fresh;
    if (!p->when.index && !p->index.follows) {
        return;
    }
    step->sparse = ctx->take(ctx, step->span->n_rows * sizeof(uint32_t));
    for (uint32_t s = 0; s < step->span->n_seqs; s++) {
        const zoo_seq *seq = &step->span->seqs[s];
        for (uint32_t i = zoo_mla_dense_rows(p, seq); i < seq->n; i++) {
            step->sparse[step->n_sparse++] = seq->row + i;
        }
    }
    if (step->n_sparse) {
        size_t n = (size_t)step->span->n_rows * p->chosen_max * sizeof(uint32_t);
        step->chosen = ctx->memo(ctx, p->index.choice, n, &fresh);
    }
}

static void mla_forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                        const float *x, float *y, const zoo_span *span)
{
    const zoo_mla *p = params;
    const zoo_mla_weights *w = weights;
    mla_sizes sizes = {span->n_rows, ctx->n_threads, 0};
    for (uint32_t s = 0; s < span->n_seqs; s++) {
        uint32_t length = span->seqs[s].pos + span->seqs[s].n;
        sizes.length_max = length > sizes.length_max ? length : sizes.length_max;
    }
    zoo_scratch_layout layout = {.ctx = ctx};
    mla_step step = {.ctx = ctx, .params = p, .weights = w, .cache = cache, .span = span};
    step.length_max = sizes.length_max;
    step.buffers = lay_out(p, &sizes, &layout);
    if (p->rope) {
        step.rope = zoo_rope_rows_of(ctx, w->rope ? w->rope : p->rope, span);
    }
    zoo_mla_project(&step, x);
    find_sparse(&step);
    zoo_mla_attend(&step);
    if (p->when.index) {
        zoo_mla_choose(&step);
    }
    zoo_mla_attend_chosen(&step);
    const zoo_heads values = {.weights = w->v_up,
                              .x = step.buffers.latent,
                              .x_row = (size_t)p->n_heads * p->kv_lora,
                              .x_head = p->kv_lora,
                              .y = step.buffers.out,
                              .y_row = p->o_cols,
                              .y_head = p->v_dim,
                              .n_rows = span->n_rows,
                              .n_heads = p->n_heads,
                              .prepared = step.buffers.prepared,
                              .prepared_size = step.buffers.prepared_size};
    zoo_heads_run(ctx, &values);
    if (p->gate) {
        zoo_rows(ctx, span->n_rows * p->n_heads, (size_t)p->v_dim * 4, gate_range, &step);
    }
    const zoo_proj out = {&w->o, w->o_bias, y, 0};
    zoo_linear(ctx, &out, 1, step.buffers.out, p->o_cols, span->n_rows);
}

const zoo_block_ops zoo_mla_ops = {.size = sizeof(zoo_block_ops),
                                   .weights_size = sizeof(zoo_mla_weights),
                                   .name = "mla",
                                   .binds = zoo_mla_binds,
                                   .streams = zoo_mla_streams,
                                   .scratch = mla_scratch,
                                   .check = mla_check,
                                   .prepare = zoo_mla_prepare,
                                   .forward = mla_forward,
                                   .explain = zoo_mla_explain,
                                   .facts = zoo_mla_facts};
