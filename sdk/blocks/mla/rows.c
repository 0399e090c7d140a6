/*
 * rows.c: the projections of a row: absorbed queries, latent, rope key, gate, index rows.
 *
 *   a = Wqa x + b          c_q = norm(a)              q = q_scale t(pos) Wqb c_q
 *   [c | k_pe] = Wkva x + b   c = latent_scale norm(c)   k_pe = norm(k_pe) with rope_norm;
 *   k_pe, q_pe rotated
 *   u_h = Wuk_h^T q_nope_h    query_h = [u_h | q_pe_h]
 *   index: q_i = Wi c_q, k_i = layer_norm(Wk x), both rotated in their first elements, w = Ww x
 */
#include "blocks/mla/impl.h"

#include <math.h>
#include <string.h>

static void norm_query(const mla_step *step, uint32_t row)
{
    const zoo_mla *p = step->params;
    float *a = step->buffers.q_a + (size_t)row * p->q_in;
    if (p->q_both) {
        memcpy(a + p->q_lora, a, p->q_lora * sizeof(float));
    }
    zoo_norm_run(step->ctx->kernels, ZOO_NORM_RMS,
                 (zoo_norm_args){.x = a,
                                 .y = a,
                                 .weight = step->weights->q_norm,
                                 .n_rows = 1,
                                 .width = p->q_lora,
                                 .eps = p->norm_eps});
}

static void shape_key(const mla_step *step, uint32_t row)
{
    const zoo_mla *p = step->params;
    const zoo_kernels *k = step->ctx->kernels;
    float *c = step->buffers.kv + (size_t)row * p->kv_rows;
    zoo_norm_run(k, ZOO_NORM_RMS,
                 (zoo_norm_args){.x = c,
                                 .y = c,
                                 .weight = step->weights->kv_norm,
                                 .n_rows = 1,
                                 .width = p->kv_lora,
                                 .eps = p->norm_eps});
    if (p->latent_scale != 1.0f) {
        k->scale(p->latent_scale, c, c, p->kv_lora);
    }
    if (p->when.rope_norm) {
        zoo_norm_run(k, ZOO_NORM_RMS,
                     (zoo_norm_args){.x = c + p->kv_lora,
                                     .y = c + p->kv_lora,
                                     .weight = step->weights->rope_norm,
                                     .n_rows = 1,
                                     .width = p->rope_dim,
                                     .eps = p->norm_eps});
    }
    if (p->rope) {
        zoo_rope_rotate(k, p->rope, step->rope, row, c + p->kv_lora, 1, p->rope_dim);
    }
}

static void shape_index_key(const mla_step *step, uint32_t row)
{
    const zoo_mla *p = step->params;
    const zoo_kernels *k = step->ctx->kernels;
    float *key = step->buffers.index_k + (size_t)row * p->index.dim;
    zoo_norm_run(k, ZOO_NORM_LAYER,
                 (zoo_norm_args){.x = key,
                                 .y = key,
                                 .weight = step->weights->index_norm,
                                 .bias = step->weights->index_norm_bias,
                                 .n_rows = 1,
                                 .width = p->index.dim,
                                 .eps = p->index.norm_eps});
    if (p->rope) {
        zoo_rope_rotate(k, &p->index_rope, step->rope, row, key + p->index_rotated, 1,
                        p->index.dim);
    }
}

static void shape_inputs(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const mla_step *step = arg;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        if (step->params->q_lora) {
            norm_query(step, row);
        }
        if (!step->params->shares) {
            shape_key(step, row);
        }
        if (step->params->when.index) {
            shape_index_key(step, row);
        }
    }
}

static void shape_query(const mla_step *step, uint32_t row)
{
    const zoo_mla *p = step->params;
    const zoo_kernels *k = step->ctx->kernels;
    float *q = step->buffers.q + (size_t)row * p->q_rows;
    float scale = p->q_scale;
    if (p->temp_scale != 0) {
        float periods = floorf((float)step->span->pos[row] / p->temp_period);
        scale *= 1.0f + p->temp_scale * logf(1.0f + periods);
    }
    for (uint32_t h = 0; h < p->n_heads && scale != 1.0f; h++) {
        float *head = q + (size_t)h * p->q_head;
        k->scale(scale, head, head, p->nope + p->rope_dim);
    }
    if (p->log_scaling) {
        zoo_mla_scale_heads(step, step->span->pos[row], step->weights->scaling,
                            step->weights->scaling_bias, q, p->n_heads, p->q_head);
    }
    if (p->rope) {
        zoo_rope_rotate(k, p->rope, step->rope, row, q + p->nope, p->n_heads, p->q_head);
    }
    for (uint32_t h = 0; h < p->n_heads; h++) {
        memcpy(step->buffers.query + ((size_t)row * p->n_heads + h) * p->kv_rows + p->kv_lora,
               q + (size_t)h * p->q_head + p->nope, p->rope_dim * sizeof(float));
    }
}

static void shape_queries(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const mla_step *step = arg;
    const zoo_mla *p = step->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        shape_query(step, row);
        if (p->when.index_scaling) {
            zoo_mla_scale_heads(step, step->span->pos[row], step->weights->index_scaling,
                                step->weights->index_scaling_bias,
                                step->buffers.index_q + (size_t)row * p->index_q_rows,
                                p->index.n_heads, p->index.dim);
        }
        if (p->when.index && p->rope) {
            zoo_rope_rotate(step->ctx->kernels, &p->index_rope, step->rope, row,
                            step->buffers.index_q + (size_t)row * p->index_q_rows +
                                p->index_rotated,
                            p->index.n_heads, p->index.dim);
        }
    }
}

static void store(mla_step *step)
{
    const zoo_mla *p = step->params;
    const mla_buffers *buffers = &step->buffers;
    for (uint32_t s = 0; s < step->span->n_seqs && !p->shares; s++) {
        const zoo_seq *seq = &step->span->seqs[s];
        const float *kv = buffers->kv + (size_t)seq->row * p->kv_rows;
        zoo_cache *cache = step->cache;
        cache->put(cache, MLA_LATENT, seq, seq->pos, seq->n, kv, p->kv_rows);
        if (p->rope_dim) {
            cache->put(cache, MLA_ROPE, seq, seq->pos, seq->n, kv + p->kv_lora, p->kv_rows);
        }
        if (p->when.index && !p->when.pool) {
            cache->put(cache, p->index_stream, seq, seq->pos, seq->n,
                       buffers->index_k + (size_t)seq->row * p->index.dim, p->index.dim);
        }
    }
}

void zoo_mla_project(mla_step *step, const float *x)
{
    const zoo_mla *p = step->params;
    const zoo_mla_weights *w = step->weights;
    const mla_buffers *buffers = &step->buffers;
    uint32_t n = step->span->n_rows;
    const zoo_proj in[] = {{&w->q_a, w->q_a_bias, buffers->q_a, p->q_in},
                           {&w->kv_a, w->kv_a_bias, buffers->kv, p->kv_rows},
                           {&w->gate, NULL, buffers->gate, p->gate_rows},
                           {&w->index_k, NULL, buffers->index_k, p->index_row},
                           {&w->index_w, NULL, buffers->index_w, p->index.n_heads},
                           {&w->index_gate, NULL, buffers->index_gate, p->index_gate_row}};
    const zoo_proj q[] = {{&w->q, NULL, buffers->q, p->q_rows}};
    zoo_linear(step->ctx, in, ZOO_COUNT(in), x, p->width_in, n);
    zoo_rows(step->ctx, n, (size_t)4 * (p->q_in + p->kv_rows + p->index_row), shape_inputs, step);
    store(step);
    zoo_mla_pool(step);
    zoo_linear(step->ctx, q, 1, p->q_lora ? buffers->q_a : x, p->q_in, n);
    if (p->when.index) {
        zoo_mla_index_queries(step, x);
    }
    zoo_rows(step->ctx, n, (size_t)4 * (p->q_rows + p->index_q_rows), shape_queries, step);
    const zoo_heads up = {.weights = w->k_up,
                          .x = buffers->q,
                          .x_row = p->q_rows,
                          .x_head = p->q_head,
                          .y = buffers->query,
                          .y_row = (size_t)p->n_heads * p->kv_rows,
                          .y_head = p->kv_rows,
                          .n_rows = n,
                          .n_heads = p->n_heads,
                          .prepared = buffers->prepared,
                          .prepared_size = buffers->prepared_size};
    zoo_heads_run(step->ctx, &up);
}
