/*
 * masked.c: attention with a bias on each key that comes from its values, over the keys of largest
 * bias.
 *
 *   b_g = exp( A_g softplus( (Wdt v + bdt)_g ) ),  v all values of the key's row, g a key head
 *   s_j = scale q_h . k_j + b_g,j  over all visible keys, or the keep_window_size of largest b_g
 *
 * The biases are a third stream, "bias" [G], float32: they choose. Equal ones take the lower key.
 * Memory: for each worker the biases of one head and its chosen keys and values. Source: the
 * reference's modeling file; Shi et al., "Doge" (2025).
 */
#include <string.h>

#include "blocks/rows.h"
#include "llama.h"

typedef struct weights {
    zoo_gqa_weights gqa;
    zoo_weight dt;
    const float *dt_bias, *a;
} weights;

/* clang-format off */
static const zoo_bind binds[] = {
#include "blocks/gqa/binds.inc"
#undef ZOO_ROW_WEIGHTS
#undef ZOO_ROW_PARAMS
#define ZOO_ROW_WEIGHTS weights
#define ZOO_ROW_PARAMS llama_masked
    ZOO_ROW_MATRIX(dt, "dt_proj.weight", ZOO_BIND_EXACT, gqa.shape.n_kv_heads, v_width, ZOO_NONE,
                   ZOO_NONE),
    ZOO_ROW_VECTOR(dt_bias, "dt_proj.bias", gqa.shape.n_kv_heads, ZOO_NONE,
                   ZOO_ROW_AT(gqa.shape.v_bias)),
    ZOO_ROW_VECTOR(a, "A", gqa.shape.n_kv_heads, ZOO_NONE, ZOO_NONE),
    {0}};
/* clang-format on */

typedef struct worker_buffers {
    float *bias;    /* [length] */
    uint32_t *keys; /* [length] */
    gqa_chosen chosen;
} worker_buffers;

typedef struct job {
    gqa_step step;
    const llama_masked *p;
    const weights *w;
    float *bias;             /* [n_rows, n_kv_heads] */
    worker_buffers *workers; /* [n_threads] */
} job;

static void lay_out(job *j, const llama_masked *p, uint32_t n_rows, uint32_t n_threads,
                    uint32_t length, zoo_scratch_layout *layout)
{
    uint32_t keys_max = p->keys_max < length ? p->keys_max : length;
    j->bias = zoo_scratch_layout_floats(layout, n_rows, p->gqa.shape.n_kv_heads);
    j->workers = zoo_scratch_layout_take(layout, n_threads * sizeof *j->workers);
    for (uint32_t i = 0; i < n_threads; i++) {
        worker_buffers r = {zoo_scratch_layout_floats(layout, 1, length),
                            zoo_scratch_layout_take(layout, (size_t)length * sizeof(uint32_t)),
                            zoo_gqa_chosen_take(&p->gqa, keys_max, layout)};
        if (j->workers) {
            j->workers[i] = r;
        }
    }
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const llama_masked *p = params;
    zoo_scratch_layout layout = {0};
    job j = {0};
    lay_out(&j, p, limits->rows_max, limits->n_threads, limits->context_max, &layout);
    return layout.used + zoo_gqa_scratch(params, limits) +
           zoo_linear_scratch(p->v_width, limits->rows_max);
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const llama_masked *p = params;
    uint32_t n = zoo_gqa_streams(params, out);
    out[n] = (zoo_stream){.name = "bias",
                          .kind = out[0].kind,
                          .width = p->gqa.shape.n_kv_heads,
                          .heads = p->gqa.shape.n_kv_heads,
                          .window = out[0].window,
                          .stride = 1,
                          .dtype_min = ZOO_F32};
    return n + 1;
}

static void bias_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    const zoo_kernels *k = j->step.ctx->kernels;
    uint32_t n = j->p->gqa.shape.n_kv_heads;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *bias = j->bias + (size_t)row * n;
        k->act(ZOO_ACT_SOFTPLUS, bias, bias, n);
        k->mul(bias, j->w->a, bias, n);
        k->act(ZOO_ACT_EXP, bias, bias, n);
    }
}

/* The keys of a row that sees first .. end - 1, ascending; returns how many. */
static uint32_t choose(const job *j, const worker_buffers *buffers, uint32_t first, uint32_t end)
{
    uint32_t n = 0, top = j->p->keys_max;
    if (end - first <= top) {
        for (; n < end - first; n++) {
            buffers->keys[n] = first + n;
        }
        return n;
    }
    j->step.ctx->kernels->topk(buffers->bias + first, end - first, top, buffers->keys);
    uint32_t last =
        first + buffers->keys[top - 1]; /* of the equal ones, the highest that is taken */
    float least = buffers->bias[last];
    for (uint32_t t = first; t < end; t++) {
        if (buffers->bias[t] > least || (buffers->bias[t] == least && t <= last)) {
            buffers->keys[n++] = t;
        }
    }
    return n;
}

static void attend_item(void *arg, uint32_t item, uint32_t worker)
{
    const job *j = arg;
    const worker_buffers *buffers = &j->workers[worker];
    const zoo_span *span = j->step.span;
    uint32_t row = item / j->p->gqa.shape.n_kv_heads, head = item % j->p->gqa.shape.n_kv_heads;
    const zoo_seq *seq = &span->seqs[span->seq_of[row]];
    uint32_t end = span->pos[row] + 1, window = j->p->gqa.shape.window;
    uint32_t first = window && end > window ? end - window : 0;
    j->step.cache->read(j->step.cache, 2, seq, head, first, end - first, buffers->bias + first);
    const gqa_keys keys = {
        .at = buffers->keys, .n = choose(j, buffers, first, end), .bias = buffers->bias};
    zoo_gqa_chosen_attend(&j->step, &buffers->chosen, row, head, &keys);
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_masked *p = params;
    const weights *w = bound;
    uint32_t n = p->gqa.shape.n_kv_heads;
    zoo_scratch_layout layout = {.ctx = ctx};
    job j = {.step = zoo_gqa_begin(ctx, &p->gqa, &w->gqa, cache, span), .p = p, .w = w};
    lay_out(&j, p, span->n_rows, ctx->n_threads, zoo_span_length(span), &layout);
    zoo_gqa_project(&j.step, x);
    const zoo_proj dt = {&w->dt, w->dt_bias, j.bias, 0};
    zoo_linear(ctx, &dt, 1, j.step.buffers.v, p->v_width, span->n_rows);
    zoo_rows(ctx, span->n_rows, n * (size_t)16, bias_range, &j);
    for (uint32_t s = 0; s < span->n_seqs; s++) {
        const zoo_seq *seq = &span->seqs[s];
        cache->put(cache, 2, seq, seq->pos, seq->n, j.bias + (size_t)seq->row * n, n);
    }
    ctx->parallel(ctx, span->n_rows * n, attend_item, &j);
    const zoo_proj out = {&w->gqa.o, w->gqa.o_bias, y, 0};
    zoo_linear(ctx, &out, 1, j.step.buffers.out, p->gqa.derived.o_cols, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const llama_masked *p = params;
    (void)snprintf(text, n, "%u heads over %u key-value heads of %u, the %u keys of largest bias",
                   p->gqa.shape.n_heads, p->gqa.shape.n_kv_heads, p->gqa.shape.head_dim,
                   p->keys_max);
}

const zoo_block_ops llama_masked_ops = {.size = sizeof(zoo_block_ops),
                                        .weights_size = sizeof(weights),
                                        .name = "masked",
                                        .binds = binds,
                                        .streams = streams,
                                        .scratch = scratch,
                                        .check = zoo_gqa_check,
                                        .forward = forward,
                                        .explain = explain,
                                        .facts = llama_masked_facts};
