/*
 * ngram.c: the table of n-grams as a part that maps residual streams to what is added to them
 * (formulas and tensors: ngram.h).
 *
 * Streams: STATE "tokens" [ngram - 1], the tokens before, each plus 1 (0: before the sequence);
 * STATE "conv" [back, n hidden]. Memory: the table's rows, keys and gated values of each row.
 */
#include <math.h>
#include <string.h>

#include "ngram.h"

typedef struct ngram_step {
    zoo_ctx *ctx;
    const hybrid_ngram *params;
    const hybrid_ngram_weights *weights;
    zoo_cache *cache;
    const zoo_span *span;
    uint32_t *tokens; /* [n_seqs (ngram - 1) + n_rows], each sequence after those before it */
    uint32_t *ids;    /* [n_rows, n_heads] */
    float *embed;     /* [n_rows, embed] */
    float *key;       /* [n_rows, flat], in the end the normed gated values */
    float *query;     /* [n_rows, flat], in the end the gated values */
    float *value;     /* [n_rows, hidden] */
    float *y;         /* [n_rows, flat] */
} ngram_step;

static ngram_step lay_out(const hybrid_ngram *p, uint32_t n_rows, uint32_t n_seqs,
                          zoo_scratch_layout *layout)
{
    size_t n_tokens = (size_t)n_rows + (size_t)n_seqs * (p->ngram - 1);
    return (ngram_step){
        .params = p,
        .tokens = zoo_scratch_layout_take(layout, n_tokens * sizeof(uint32_t)),
        .ids = zoo_scratch_layout_take(layout, (size_t)n_rows * p->n_heads * sizeof(uint32_t)),
        .embed = zoo_scratch_layout_floats(layout, n_rows, p->embed),
        .key = zoo_scratch_layout_floats(layout, n_rows, p->streams.flat),
        .query = zoo_scratch_layout_floats(layout, n_rows, p->streams.flat),
        .value = zoo_scratch_layout_floats(layout, n_rows, p->streams.hidden)};
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    const hybrid_ngram *p = params;
    zoo_scratch_layout layout = {0};
    (void)lay_out(p, limits->rows_max, limits->seqs_max, &layout);
    return layout.used + 2 * zoo_linear_scratch(p->embed, limits->rows_max);
}

/* The tokens of each sequence behind those before them, which the state then is. */
static void list_tokens(const ngram_step *s)
{
    uint32_t before = s->params->ngram - 1, *at = s->tokens;
    for (uint32_t i = 0; i < s->span->n_seqs; i++, at += before) {
        const zoo_seq *seq = &s->span->seqs[i];
        float *state = s->cache->state(s->cache, HYBRID_NGRAM_TOKENS, seq);
        for (uint32_t t = 0; t < before; t++) {
            at[t] = state[t] > 0 ? (uint32_t)state[t] - 1 : s->params->end_token;
        }
        for (uint32_t t = 0; t < seq->n; t++) {
            at[before + t] = (uint32_t)s->span->tokens[seq->row + t];
        }
        at += seq->n;
        for (uint32_t t = 0; t < before; t++) {
            state[t] = (float)(at[t] + 1);
        }
    }
}

static void read_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const ngram_step *s = arg;
    const hybrid_ngram *p = s->params;
    const zoo_table *table = &s->weights->table;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        uint32_t *ids = s->ids + (size_t)row * p->n_heads;
        hybrid_ngram_ids(p, s->weights->hashes,
                         s->tokens + row + (s->span->seq_of[row] + 1) * (p->ngram - 1), ids);
        for (uint32_t h = 0; h < p->n_heads; h++) {
            table->read(table, ids[h], s->embed + (size_t)row * p->embed + (size_t)h * p->head_dim);
        }
    }
}

static void gate_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const ngram_step *s = arg;
    const hybrid_streams *p = &s->params->streams;
    const zoo_kernels *k = s->ctx->kernels;
    float root = sqrtf((float)p->hidden);
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        for (uint32_t i = 0; i < p->n; i++) {
            size_t at = (size_t)row * p->flat + (size_t)i * p->hidden;
            float score = k->dot(s->key + at, s->query + at, p->hidden) / root;
            float size = sqrtf(fmaxf(fabsf(score), 1e-6f));
            float gate = score > 0 ? size : score < 0 ? -size : 0.0f;
            k->act(ZOO_ACT_SIGMOID, &gate, &gate, 1);
            k->scale(gate, s->value + (size_t)row * p->hidden, s->query + at, p->hidden);
        }
    }
}

/* The row of normed values that lies `back` rows before row `at` of its sequence. */
static const float *row_before(const ngram_step *s, const zoo_seq *seq, const float *state,
                               uint32_t at, uint32_t back)
{
    size_t flat = s->params->streams.flat;
    return at >= back ? s->key + (seq->row + at - back) * flat
                      : state + (s->params->back + at - back) * flat;
}

static void convolve_rows(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const ngram_step *s = arg;
    const hybrid_ngram *p = s->params;
    uint32_t flat = p->streams.flat;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        const zoo_seq *seq = &s->span->seqs[s->span->seq_of[row]];
        const float *state = s->cache->state(s->cache, HYBRID_NGRAM_CONV, seq);
        float *y = s->y + (size_t)row * flat;
        memset(y, 0, flat * sizeof *y);
        for (uint32_t t = 0; t < p->taps; t++) {
            const float *x =
                row_before(s, seq, state, row - seq->row, (p->taps - 1 - t) * p->ngram);
            const float *taps = s->weights->turned + (size_t)t * flat;
            for (uint32_t c = 0; c < flat; c++) {
                y[c] += taps[c] * x[c];
            }
        }
        s->ctx->kernels->act(ZOO_ACT_SILU, y, y, flat);
        s->ctx->kernels->add(y, s->query + (size_t)row * flat, y, flat);
    }
}

/* The last `back` rows of a sequence become its state. */
static void keep_item(void *arg, uint32_t item, uint32_t worker)
{
    const ngram_step *s = arg;
    const zoo_seq *seq = &s->span->seqs[item];
    float *state = s->cache->state(s->cache, HYBRID_NGRAM_CONV, seq);
    size_t flat = s->params->streams.flat, back = s->params->back;
    size_t n = seq->n < back ? seq->n : back;
    (void)worker;
    memmove(state, state + n * flat, (back - n) * flat * sizeof *state);
    memcpy(state + (back - n) * flat, s->key + (seq->row + seq->n - n) * flat,
           n * flat * sizeof *state);
}

static void forward(zoo_ctx *ctx, const void *params, const void *weights, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const hybrid_ngram *p = params;
    const hybrid_ngram_weights *w = weights;
    uint32_t n = span->n_rows;
    zoo_scratch_layout layout = {.ctx = ctx};
    ngram_step s = lay_out(p, n, span->n_seqs, &layout);
    s.ctx = ctx;
    s.weights = w;
    s.cache = cache;
    s.span = span;
    s.y = y;
    list_tokens(&s);
    zoo_rows(ctx, n, (size_t)16 * p->embed, read_rows, &s);
    const zoo_proj out[] = {{&w->key, NULL, s.key, 0}, {&w->value, NULL, s.value, 0}};
    zoo_linear(ctx, out, 2, s.embed, p->embed, n);
    hybrid_group_norm(ctx, &p->streams, w->norm_key, s.key, s.key, n);
    hybrid_group_norm(ctx, &p->streams, w->norm_query, x, s.query, n);
    zoo_rows(ctx, n, (size_t)3 * p->streams.flat, gate_rows, &s);
    hybrid_group_norm(ctx, &p->streams, w->norm_conv, s.query, s.key, n);
    zoo_rows(ctx, n, (size_t)p->taps * p->streams.flat, convolve_rows, &s);
    ctx->parallel(ctx, span->n_seqs, keep_item, &s);
}

static void explain(const void *params, char *text, size_t n)
{
    const hybrid_ngram *p = params;
    (void)snprintf(text, n,
                   "n-grams of 2 to %u tokens: %u rows of %u from a table of %u, added to every "
                   "residual stream",
                   p->ngram, p->n_heads, p->head_dim, p->rows);
}

const zoo_block_ops hybrid_ngram_ops = {.size = sizeof(zoo_block_ops),
                                        .weights_size = sizeof(hybrid_ngram_weights),
                                        .name = "ngram",
                                        .binds = hybrid_ngram_binds,
                                        .streams = hybrid_ngram_streams,
                                        .scratch = scratch,
                                        .prepare = hybrid_ngram_prepare,
                                        .forward = forward,
                                        .explain = explain,
                                        .facts = hybrid_ngram_facts};
