/*
 * kept.c: attention of a generated token over the prompt and the last `window` tokens.
 *
 *   a token of the prompt: all positions up to its own
 *   a generated one at position t: those below n_prompt, and those above t - window
 *
 * Until more than `window` tokens have been generated, that is everything. All keys are kept: the
 * window bounds what is read, not what is stored. Memory: the keys and values that one row reads,
 * for each worker. Source: the reference's modeling file.
 */
#include <string.h>

#include "blocks/ops.h"
#include "llama.h"

typedef struct worker_buffers {
    uint32_t *keys; /* [length] */
    gqa_chosen chosen;
} worker_buffers;

typedef struct job {
    gqa_step step;
    const zoo_span *span;
    uint32_t window, n_late;
    uint32_t *late;          /* [n_rows] rows that do not see everything */
    zoo_seq *early;          /* [n_seqs] without them */
    worker_buffers *workers; /* [n_threads] */
} job;

static void lay_out(job *j, const llama_kept *p, const zoo_limits *s, zoo_scratch_layout *layout)
{
    j->late = zoo_scratch_layout_take(layout, s->rows_max * sizeof *j->late);
    j->early = zoo_scratch_layout_take(layout, s->seqs_max * sizeof *j->early);
    j->workers = zoo_scratch_layout_take(layout, s->n_threads * sizeof *j->workers);
    for (uint32_t i = 0; i < s->n_threads; i++) {
        worker_buffers r = {
            zoo_scratch_layout_take(layout, (size_t)s->context_max * sizeof(uint32_t)),
            zoo_gqa_chosen_take(&p->gqa, s->context_max, layout)};
        if (j->workers) {
            j->workers[i] = r;
        }
    }
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const llama_kept *p = params;
    zoo_scratch_layout layout = {0};
    job j = {0};
    zoo_limits sizes = *limits;
    sizes.seqs_max = limits->rows_max;
    lay_out(&j, p, &sizes, &layout);
    return layout.used + zoo_gqa_scratch(params, limits);
}

/* How many rows of a sequence's part see everything: they come first. */
static uint32_t count_early(const zoo_seq *seq, uint32_t window)
{
    uint32_t end = seq->n_prompt + window;
    if (seq->pos >= end) {
        return 0;
    }
    return end - seq->pos < seq->n ? end - seq->pos : seq->n;
}

/* Early rows of the n sequences at j->early, whose rows lie side by side. */
static void attend_early(const job *j, const zoo_seq *early, uint32_t n)
{
    zoo_span span = *j->span;
    gqa_step step = j->step;
    span.seqs = early;
    span.n_seqs = n;
    step.span = &span;
    if (n) {
        zoo_gqa_attend(&step);
    }
}

/* Attends early rows, and lists the late ones. */
static void part_rows(job *j)
{
    uint32_t first = 0, n = 0;
    for (uint32_t s = 0; s < j->span->n_seqs; s++) {
        const zoo_seq *seq = &j->span->seqs[s];
        uint32_t early = count_early(seq, j->window);
        j->early[n] = *seq;
        j->early[n].n = early;
        n += early ? 1 : 0;
        for (uint32_t i = early; i < seq->n; i++) {
            j->late[j->n_late++] = seq->row + i;
        }
        if (early < seq->n || s + 1 == j->span->n_seqs) {
            attend_early(j, j->early + first, n - first);
            first = n;
        }
    }
}

static void attend_late(void *arg, uint32_t item, uint32_t worker)
{
    const job *j = arg;
    const zoo_gqa *p = j->step.params;
    const worker_buffers *buffers = &j->workers[worker];
    uint32_t row = j->late[item / p->shape.n_kv_heads], head = item % p->shape.n_kv_heads;
    uint32_t pos = j->span->pos[row], n = 0;
    const zoo_seq *seq = &j->span->seqs[j->span->seq_of[row]];
    for (uint32_t i = 0; i < seq->n_prompt; i++) {
        buffers->keys[n++] = i;
    }
    for (uint32_t i = pos + 1 - j->window; i <= pos; i++) {
        buffers->keys[n++] = i;
    }
    const gqa_keys keys = {.at = buffers->keys, .n = n};
    zoo_gqa_chosen_attend(&j->step, &buffers->chosen, row, head, &keys);
}

static void forward(zoo_ctx *ctx, const void *params, const void *bound, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const llama_kept *p = params;
    const zoo_gqa_weights *w = bound;
    const zoo_limits sizes = {.rows_max = span->n_rows,
                              .seqs_max = span->n_seqs,
                              .context_max = zoo_span_length(span),
                              .n_threads = ctx->n_threads};
    zoo_scratch_layout layout = {.ctx = ctx};
    job j = {
        .step = zoo_gqa_begin(ctx, &p->gqa, w, cache, span), .span = span, .window = p->window};
    lay_out(&j, p, &sizes, &layout);
    zoo_gqa_project(&j.step, x);
    part_rows(&j);
    ctx->parallel(ctx, j.n_late * p->gqa.shape.n_kv_heads, attend_late, &j);
    const zoo_proj out = {&w->o, w->o_bias, y, 0};
    zoo_linear(ctx, &out, 1, j.step.buffers.out, p->gqa.derived.o_cols, span->n_rows);
}

static void explain(const void *params, char *text, size_t n)
{
    const llama_kept *p = params;
    (void)snprintf(text, n, "%u heads over %u key-value heads of %u, the prompt and a window of %u",
                   p->gqa.shape.n_heads, p->gqa.shape.n_kv_heads, p->gqa.shape.head_dim, p->window);
}

const zoo_block_ops llama_kept_ops = {.size = sizeof(zoo_block_ops),
                                      .weights_size = sizeof(zoo_gqa_weights),
                                      .name = "kept",
                                      .binds = zoo_gqa_binds,
                                      .streams = zoo_gqa_streams,
                                      .scratch = scratch,
                                      .check = zoo_gqa_check,
                                      .prepare = zoo_gqa_prepare,
                                      .forward = forward,
                                      .explain = explain,
                                      .facts = llama_kept_facts};
