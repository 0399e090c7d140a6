/*
 * positions.c: y = x + table[position + offset].
 *
 * The table is stored (tensor weight [rows, width]), or computed: the first half of a row is
 * sin(p f_i), the second cos(p f_i), p = position + offset, f_i = 10000^(-i / (n_freq - 1)) or
 * 10000^(-2 i / width), an odd last column 0. f and p f are float32, as in the reference.
 *
 * With skips_padding the row of a token is offset plus the number of tokens before it that are no
 * padding, and a padding token takes row offset - 1; a state counts the padding of a sequence.
 *
 * Memory: a row for each thread. What it will not do: positions beyond a stored table; the plan
 * bounds the context by it, and loading refuses a longer one.
 */
#include <math.h>
#include <string.h>

#include "classic.h"

typedef struct weights {
    zoo_table table;
} weights;

static const zoo_bind binds[] = {
    ZOO_BIND(weights, table, ZOO_BIND_TABLE, 0, "weight", classic_positions, rows,
             ZOO_AT(classic_positions, width), ZOO_AT(classic_positions, learned)),
    {.name = NULL},
};

typedef struct buffers {
    float *rows;  /* [n_threads, width] */
    uint32_t *at; /* [n_rows]: the row of the table */
} buffers;

static buffers lay_out(const classic_positions *p, uint32_t n_threads, uint32_t n_rows,
                       zoo_scratch_layout *layout)
{
    return (buffers){zoo_scratch_layout_floats(layout, n_threads, p->width),
                     zoo_scratch_layout_take(layout, n_rows * sizeof(uint32_t))};
}

static size_t scratch(const void *params, const zoo_limits *limits)
{
    zoo_scratch_layout layout = {0};
    (void)lay_out(params, limits->n_threads, limits->rows_max, &layout);
    return layout.used;
}

static uint32_t streams(const void *params, zoo_stream *out)
{
    const classic_positions *p = params;
    out[0] = (zoo_stream){.name = "padding", .kind = ZOO_STATE, .width = 1, .heads = 1};
    return p->skips_padding;
}

static zoo_status prepare(const void *params, void *own, zoo_setup *setup, zoo_error *err)
{
    const classic_positions *p = params;
    (void)own;
    if (p->learned && setup->limits->context_max > p->rows - p->offset) {
        return zoo_fail(err, ZOO_E_LIMIT, "positions: a context of %u, but the model has %u",
                        setup->limits->context_max, p->rows - p->offset);
    }
    return ZOO_OK;
}

typedef struct job {
    const classic_positions *params;
    const weights *weights;
    const zoo_kernels *kernels;
    const float *x;
    float *y;
    buffers b;
} job;

static void compute_row(const classic_positions *p, uint32_t row, float *out)
{
    memset(out, 0, p->width * sizeof *out);
    for (uint32_t i = 0; row != p->padding_row && i < p->n_freq; i++) {
        float angle = (float)row * p->freq[i];
        out[i] = (float)sin((double)angle);
        out[p->n_freq + i] = (float)cos((double)angle);
    }
}

/* The row of each token of one sequence. */
static void find_rows(const classic_positions *p, const zoo_span *span, const zoo_seq *seq,
                      float *padding, uint32_t *at)
{
    for (uint32_t i = seq->row; i < seq->row + seq->n; i++) {
        bool pads = (uint32_t)span->tokens[i] == p->padding_token;
        at[i] = pads ? p->offset - 1 : span->pos[i] + p->offset - (uint32_t)*padding;
        *padding += pads ? 1.0f : 0.0f;
    }
}

static void find_all(const classic_positions *p, zoo_cache *cache, const zoo_span *span,
                     uint32_t *at)
{
    for (uint32_t i = 0; i < span->n_rows; i++) {
        at[i] = span->pos[i] + p->offset;
    }
    for (uint32_t i = 0; i < span->n_seqs && p->skips_padding; i++) {
        const zoo_seq *seq = &span->seqs[i];
        find_rows(p, span, seq, cache->state(cache, 0, seq), at);
    }
}

static void add_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const job *j = arg;
    const classic_positions *p = j->params;
    float *row = j->b.rows + (size_t)worker * p->width;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t at = j->b.at[i];
        if (p->learned) {
            j->weights->table.read(&j->weights->table, at < p->rows ? at : p->rows - 1, row);
        } else {
            compute_row(p, at, row);
        }
        j->kernels->add(j->x + (size_t)i * p->width, row, j->y + (size_t)i * p->width, p->width);
    }
}

static void forward(zoo_ctx *ctx, const void *params, const void *own, zoo_cache *cache,
                    const float *x, float *y, const zoo_span *span)
{
    const classic_positions *p = params;
    zoo_scratch_layout layout = {.ctx = ctx};
    job j = {p, own, ctx->kernels, x, y, lay_out(p, ctx->n_threads, span->n_rows, &layout)};
    find_all(p, cache, span, j.b.at);
    zoo_rows(ctx, span->n_rows, (size_t)p->width * (p->learned ? 2 : 64), add_range, &j);
}

static void explain(const void *params, char *text, size_t n)
{
    const classic_positions *p = params;
    (void)snprintf(text, n, "%s positions %u + %u [%u]", p->learned ? "learned" : "sinusoidal",
                   p->rows - p->offset, p->offset, p->width);
}

const zoo_block_ops classic_positions_ops = {
    .size = sizeof(zoo_block_ops),
    .weights_size = sizeof(weights),
    .name = "positions",
    .binds = binds,
    .streams = streams,
    .scratch = scratch,
    .prepare = prepare,
    .forward = forward,
    .explain = explain,
    .facts = classic_positions_facts,
};
