/*
 * csa_rows.c: queries, shared keys and values, index queries of the rows of a step.
 */
#include "csa.h"

static void norm(const csa_step *step, float *x, const float *weight, uint32_t n, uint32_t width)
{
    step->ctx->kernels->rms_norm(&(zoo_norm_args){.x = x,
                                                  .y = x,
                                                  .weight = weight,
                                                  .x_stride = width,
                                                  .y_stride = width,
                                                  .n_rows = n,
                                                  .width = width,
                                                  .eps = step->params->norm_eps});
}

/* Rotates the last elements of n heads of `width`. */
static void turn(const csa_step *step, uint32_t row, float *x, uint32_t n, uint32_t width)
{
    const ds_csa *p = step->params;
    zoo_rope_rotate(step->ctx->kernels, p->rope, step->rope, row, x + width - p->rope_dim, n,
                    width);
}

static void shape_inputs(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const csa_step *step = arg;
    const ds_csa *p = step->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *kv = step->buffers.kv + (size_t)row * p->head_dim;
        norm(step, step->buffers.q_a + (size_t)row * p->q_lora, step->weights->q_norm, 1,
             p->q_lora);
        norm(step, kv, step->weights->kv_norm, 1, p->head_dim);
        turn(step, row, kv, 1, p->head_dim);
    }
}

static void shape_queries(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const csa_step *step = arg;
    const ds_csa *p = step->params;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float *q = step->buffers.q + (size_t)row * p->q_rows;
        norm(step, q, NULL, p->n_heads, p->head_dim);
        turn(step, row, q, p->n_heads, p->head_dim);
        if (p->when.index) {
            turn(step, row, step->buffers.index_q + (size_t)row * p->index_q_rows, p->index_heads,
                 p->index_dim);
        }
    }
}

void csa_project(csa_step *step, const float *x)
{
    const ds_csa *p = step->params;
    const ds_csa_weights *w = step->weights;
    const csa_buffers *buffers = &step->buffers;
    uint32_t n = step->span->n_rows;
    const zoo_proj in[] = {{&w->q_a, NULL, buffers->q_a, 0},
                           {&w->kv, NULL, buffers->kv, 0},
                           {&w->pool.kv, NULL, buffers->pool_kv, 0},
                           {&w->pool.gate, NULL, buffers->pool_gate, 0},
                           {&w->index_pool.kv, NULL, buffers->ipool_kv, 0},
                           {&w->index_pool.gate, NULL, buffers->ipool_gate, 0},
                           {&w->index_w, NULL, buffers->index_w, 0}};
    const zoo_proj q[] = {{&w->q_b, NULL, buffers->q, 0}, {&w->index_q, NULL, buffers->index_q, 0}};
    zoo_linear(step->ctx, in, ZOO_COUNT(in), x, p->width_in, n);
    zoo_rows(step->ctx, n, (size_t)4 * (p->q_lora + p->head_dim), shape_inputs, step);
    for (uint32_t s = 0; s < step->span->n_seqs; s++) {
        const zoo_seq *seq = &step->span->seqs[s];
        step->cache->put(step->cache, CSA_KV, seq, seq->pos, seq->n,
                         buffers->kv + (size_t)seq->row * p->head_dim, p->head_dim);
    }
    zoo_linear(step->ctx, q, ZOO_COUNT(q), buffers->q_a, p->q_lora, n);
    zoo_rows(step->ctx, n, (size_t)4 * (p->q_rows + p->index_q_rows), shape_queries, step);
}
