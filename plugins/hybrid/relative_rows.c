/*
 * relative_rows.c: scores with a bias for each distance (formulas: relative.h), one row and key
 * head at a time.
 */
#include <math.h>
#include <string.h>

#include "relative.h"

static float temperature(const relative_params *p, uint32_t pos)
{
    if (!(p->log_floor > 0)) {
        return 1.0f;
    }
    return 1.0f + p->log_alpha * logf(fmaxf((float)(pos + 1) / p->log_floor, 1.0f));
}

/* The biases of one query head for keys first .. pos, by key. */
static void make_bias(const relative_job *job, const float *r, float t, uint32_t first,
                      uint32_t pos, float *out)
{
    const relative_params *p = job->params;
    for (uint32_t key = first; key <= pos; key++) {
        uint32_t distance = pos - key;
        float sum = 0;
        for (uint32_t i = 0; distance < p->extent && i < p->rank; i++) {
            sum += r[i] * job->weights->bank[(size_t)i * p->extent + distance];
        }
        out[key] = t * sum;
    }
}

static void attend_item(void *arg, uint32_t item, uint32_t worker)
{
    const relative_job *job = arg;
    const relative_params *p = job->params;
    const relative_worker *buffers = &job->workers[worker];
    const zoo_gqa_shape *s = &p->gqa.shape;
    uint32_t row = item / s->n_kv_heads, head = item % s->n_kv_heads,
             group = s->n_heads / s->n_kv_heads, pos = job->step.span->pos[row];
    uint32_t first = s->window && pos + 1 > s->window ? pos + 1 - s->window : 0;
    float t = temperature(p, pos);
    float *q =
        job->step.buffers.q + ((size_t)row * s->n_heads + (size_t)head * group) * s->head_dim;
    const float *r = job->r + (size_t)row * p->r_rows + (size_t)head * group * p->rank;
    for (uint32_t i = 0; i < group; i++) {
        make_bias(job, r + (size_t)i * p->rank, t, first, pos,
                  buffers->bias + (size_t)i * job->length);
    }
    if (p->log_floor > 0) {
        job->step.ctx->kernels->scale(t, q, q, (size_t)group * s->head_dim);
    }
    for (uint32_t key = first; key <= pos; key++) {
        buffers->keys[key - first] = key;
    }
    const gqa_keys keys = {buffers->keys, pos + 1 - first, buffers->bias, job->length};
    zoo_gqa_chosen_attend(&job->step, &buffers->chosen, row, head, &keys);
}

void hybrid_relative_attend(relative_job *job)
{
    zoo_ctx *ctx = job->step.ctx;
    ctx->parallel(ctx, job->step.span->n_rows * job->params->gqa.shape.n_kv_heads, attend_item,
                  job);
}
