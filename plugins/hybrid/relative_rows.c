/*
 * relative_rows.c: scores with a bias for each distance (formulas: relative.h), one row and key
 * head at a time.
 */
#include <math.h>
#include <string.h>

#include "relative.h"

float hybrid_temperature(const hybrid_distances *d, uint32_t pos)
{
    if (!(d->log_floor > 0)) {
        return 1.0f;
    }
    return 1.0f + d->log_alpha * logf(fmaxf((float)(pos + 1) / d->log_floor, 1.0f));
}

void hybrid_distance_bias(const hybrid_distances *d, const float *bank, const float *r,
                          uint32_t first, uint32_t pos, float *out)
{
    for (uint32_t key = first; key <= pos; key++) {
        uint32_t distance = pos - key;
        float sum = 0;
        for (uint32_t i = 0; distance < d->extent && i < d->rank; i++) {
            sum += r[i] * bank[(size_t)i * d->extent + distance];
        }
        out[key] = sum;
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
    float t = hybrid_temperature(&p->distances, pos);
    float *q =
        job->step.buffers.q + ((size_t)row * s->n_heads + (size_t)head * group) * s->head_dim;
    float *r = job->r + (size_t)row * p->r_rows + (size_t)head * group * p->distances.rank;
    if (p->distances.log_floor > 0) {
        job->step.ctx->kernels->scale(t, q, q, (size_t)group * s->head_dim);
        job->step.ctx->kernels->scale(t, r, r, (size_t)group * p->distances.rank);
    }
    for (uint32_t i = 0; i < group; i++) {
        hybrid_distance_bias(&p->distances, job->weights->bank, r + (size_t)i * p->distances.rank,
                             first, pos, buffers->bias + (size_t)i * job->length);
    }
    for (uint32_t key = first; key <= pos; key++) {
        buffers->keys[key - first] = key;
    }
    const gqa_keys keys = {.at = buffers->keys,
                           .n = pos + 1 - first,
                           .bias = buffers->bias,
                           .bias_stride = job->length};
    zoo_gqa_chosen_attend(&job->step, &buffers->chosen, row, head, &keys);
}

void hybrid_relative_attend(relative_job *job)
{
    zoo_ctx *ctx = job->step.ctx;
    ctx->parallel(ctx, job->step.span->n_rows * job->params->gqa.shape.n_kv_heads, attend_item,
                  job);
}
