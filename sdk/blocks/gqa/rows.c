/*
 * rows.c: queries, keys, values and gates of the rows of a step (formulas: gqa.h).
 *
 * Rounded position biases are more elements: their bf16 products in the key, for each query head
 * that reads it, and a 1 in the query.
 */
#include "blocks/gqa/impl.h"

#include <math.h>
#include <string.h>

/* The value rounded to bf16, to nearest even. */
static float bf16_round(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits += 0x7fffu + (bits >> 16 & 1u);
    bits &= 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

typedef struct head_rows {
    float *x;
    const float *weight, *bias;
    uint32_t n_heads;
    float scale;
} head_rows;

/* The norm of queries or keys, if this side of the rotation is its place. */
static void norm_heads(const gqa_step *step, const head_rows *r, bool after_rope)
{
    const zoo_qk_norm *norm = &step->params->options.qk_norm;
    uint32_t d = step->params->shape.head_dim;
    zoo_norm_args args = {.x = r->x,
                          .y = r->x,
                          .weight = r->weight,
                          .bias = r->bias,
                          .x_stride = d,
                          .y_stride = d,
                          .n_rows = r->n_heads,
                          .width = d,
                          .eps = norm->eps};
    if (!norm->kind || after_rope != (norm->after_rope != 0)) {
        return;
    }
    if (norm->span == ZOO_QK_FULL) {
        args.n_rows = 1;
        args.width = r->n_heads * d;
    }
    if (norm->span != ZOO_QK_OWN) {
        zoo_norm_run(step->ctx->kernels, norm->kind, args);
        return;
    }
    args.n_rows = 1;
    for (uint32_t h = 0; h < r->n_heads; h++) {
        zoo_norm_run(step->ctx->kernels, norm->kind, args);
        args.x += d;
        args.y += d;
        args.weight = args.weight ? args.weight + d : NULL;
    }
}

/* norm, clip, rotation, norm, scale of the queries or keys of one row. */
static void shape_heads(const gqa_step *step, uint32_t row, const head_rows *r)
{
    const zoo_gqa *p = step->params;
    const zoo_kernels *k = step->ctx->kernels;
    size_t n = (size_t)r->n_heads * p->shape.head_dim;
    norm_heads(step, r, false);
    if (p->options.clip > 0) {
        k->clamp(-p->options.clip, p->options.clip, r->x, r->x, n);
    }
    if (p->options.rope) {
        zoo_rope_rotate(k, p->options.rope, step->rope, row, r->x, r->n_heads, p->shape.head_dim);
    }
    norm_heads(step, r, true);
    if (r->scale != 1.0f) {
        k->scale(r->scale, r->x, r->x, n);
    }
}

/* Makes room for one more element for each query head of a key-value head after each head, last
 * head first: their biases after a key, a one in its own place after a query. */
static void add_bias_elements(const zoo_gqa *p, float *x, uint32_t n_heads, const float *slopes,
                              uint32_t pos)
{
    uint32_t d = p->shape.head_dim, group = p->shape.n_heads / p->shape.n_kv_heads;
    float one = p->options.slopes_scaled ? 1.0f : 1.0f / p->options.scale;
    float at = bf16_round((float)pos);
    for (uint32_t h = n_heads; h-- > 0;) {
        float *to = x + (size_t)h * p->derived.k_width;
        memmove(to, x + (size_t)h * d, d * sizeof(float));
        for (uint32_t i = 0; i < group; i++) {
            float own = i == h % group ? one : 0.0f;
            to[d + i] = slopes ? bf16_round(bf16_round(slopes[(size_t)h * group + i]) * at) : own;
        }
    }
}

static float temperature(const zoo_gqa *p, uint32_t pos)
{
    const zoo_gqa_options *o = &p->options;
    float periods = ((float)pos + o->temp_shift) / o->temp_period;
    return o->temp_power != 0   ? expf(o->temp_power * log1pf(periods))
           : o->temp_scale != 0 ? 1.0f + o->temp_scale * logf(1.0f + floorf(periods))
                                : 1.0f;
}

/* Adds columns `from` .. of what stands after the row's input. */
static void add_given(const gqa_step *step, uint32_t row, uint32_t from, float *y, uint32_t n)
{
    if (step->added) {
        step->ctx->kernels->add(y, step->added + row * step->x_stride + from, y, n);
    }
}

static void shape_query(const gqa_step *step, uint32_t row)
{
    const zoo_gqa *p = step->params;
    uint32_t pos = step->span->pos[row];
    float *q = step->buffers.q + (size_t)row * p->shape.n_heads * p->derived.k_width;
    add_given(step, row, 0, q, p->derived.q_rows);
    head_rows r = {q, step->weights->q_norm, step->weights->q_norm_bias, p->shape.n_heads,
                   p->options.q_scale * temperature(p, pos)};
    shape_heads(step, row, &r);
    if (p->derived.k_width != p->shape.head_dim) {
        add_bias_elements(p, q, p->shape.n_heads, NULL, pos);
    }
}

static void shape_key_value(const gqa_step *step, uint32_t row)
{
    const zoo_gqa *p = step->params;
    const zoo_kernels *kernels = step->ctx->kernels;
    size_t n = (size_t)p->shape.n_kv_heads * p->shape.v_dim;
    float *k = step->buffers.k + (size_t)row * p->shape.n_kv_heads * p->derived.k_width,
          *v = step->buffers.v + row * n;
    add_given(step, row, p->derived.q_rows, k, p->derived.k_rows);
    add_given(step, row, p->derived.q_rows + p->derived.k_rows, v, p->derived.v_rows);
    if (p->options.k_is_v) {
        memcpy(v, k, n * sizeof(float));
    }
    if (p->options.clip > 0) {
        kernels->clamp(-p->options.clip, p->options.clip, v, v, n);
    }
    zoo_norm_args norm = {.x = v,
                          .y = v,
                          .x_stride = p->shape.v_dim,
                          .y_stride = p->shape.v_dim,
                          .n_rows = p->shape.n_kv_heads,
                          .width = p->shape.v_dim,
                          .eps = p->options.v_norm_eps};
    zoo_norm_run(kernels, p->options.v_norm, norm);
    if (p->options.v_scale != 1.0f) {
        kernels->scale(p->options.v_scale, v, v, n);
    }
    head_rows r = {k, step->weights->k_norm, step->weights->k_norm_bias, p->shape.n_kv_heads,
                   p->options.k_scale};
    shape_heads(step, row, &r);
    if (p->derived.k_width != p->shape.head_dim) {
        add_bias_elements(p, k, p->shape.n_kv_heads, p->options.slopes, step->span->pos[row]);
    }
}

static void shape_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const gqa_step *step = arg;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        shape_query(step, row);
        if (!step->params->options.shared) {
            shape_key_value(step, row);
        }
    }
}

/* Item 2 i stores the keys of sequence i, item 2 i + 1 its values. */
static void store_item(void *arg, uint32_t item, uint32_t worker)
{
    const gqa_step *step = arg;
    const zoo_gqa *p = step->params;
    const zoo_seq *seq = &step->span->seqs[item / 2];
    uint32_t stream = item % 2;
    size_t width = (size_t)p->shape.n_kv_heads * (stream ? p->shape.v_dim : p->derived.k_width);
    const float *x = stream ? step->buffers.v : step->buffers.k;
    (void)worker;
    step->cache->put(step->cache, stream, seq, seq->pos, seq->n, x + seq->row * width, width);
}

void zoo_gqa_shape_rows(gqa_step *step)
{
    const zoo_gqa_derived *d = &step->params->derived;
    uint32_t n_rows = step->span->n_rows;
    zoo_rows(step->ctx, n_rows, 4 * ((size_t)d->q_rows + d->k_rows), shape_range, step);
    if (!step->params->options.shared) {
        size_t rows = n_rows / step->span->n_seqs + 1;
        zoo_items(step->ctx, 2 * step->span->n_seqs, rows * d->k_rows, store_item, step);
    }
}
