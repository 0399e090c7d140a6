/*
 * clipped_rows.c: queries and keys of bounded length, and their attention, one row and key head at
 * a time (formulas: clipped.h).
 */
#include <math.h>
#include <string.h>

#include "clipped.h"

typedef struct clip_heads {
    float *x;           /* n_heads of width */
    const float *scale; /* of each element, or null */
    uint32_t n_heads, width;
    float limit, factor;
} clip_heads;

static void clip(const zoo_kernels *k, const clip_heads *c)
{
    if (c->scale) {
        k->mul(c->x, c->scale, c->x, (size_t)c->n_heads * c->width);
    }
    for (uint32_t h = 0; h < c->n_heads; h++) {
        float *x = c->x + (size_t)h * c->width;
        float length = sqrtf(k->dot(x, x, c->width));
        k->scale(fminf(c->limit / (length + 1e-6f), 1.0f), x, x, c->width);
    }
    if (c->factor != 1.0f) {
        k->scale(c->factor, c->x, c->x, (size_t)c->n_heads * c->width);
    }
}

static void shape_range(void *arg, uint32_t begin, uint32_t end, uint32_t worker)
{
    const clipped_job *job = arg;
    const clipped_params *p = job->params;
    const clipped_weights *w = job->weights;
    const zoo_gqa_shape *s = &p->gqa.shape;
    const gqa_buffers *b = &job->step.buffers;
    const zoo_kernels *kernels = job->step.ctx->kernels;
    (void)worker;
    for (uint32_t row = begin; row < end; row++) {
        float t = hybrid_temperature(&p->distances, job->step.span->pos[row]);
        const clip_heads heads[] = {{b->q + (size_t)row * p->gqa.derived.q_rows, w->scale_q,
                                     s->n_heads, s->head_dim, p->qk_limit, t},
                                    {b->k + (size_t)row * p->gqa.derived.k_rows, NULL,
                                     s->n_kv_heads, s->head_dim, p->qk_limit, 1.0f},
                                    {job->r + (size_t)row * p->r_rows, w->scale_r, s->n_heads,
                                     p->distances.rank, p->r_limit, t}};
        for (size_t i = 0; i < ZOO_COUNT(heads); i++) {
            clip(kernels, &heads[i]);
        }
    }
}

void hybrid_clipped_shape(clipped_job *job)
{
    size_t cost = 4 * (size_t)job->params->gqa.derived.q_rows;
    zoo_rows(job->step.ctx, job->step.span->n_rows, cost, shape_range, job);
    zoo_gqa_shape_rows(&job->step);
}

static void attend_item(void *arg, uint32_t item, uint32_t worker)
{
    const clipped_job *job = arg;
    const clipped_params *p = job->params;
    const relative_worker *buffers = &job->workers[worker];
    const gqa_buffers *b = &job->step.buffers;
    const zoo_gqa_shape *s = &p->gqa.shape;
    uint32_t row = item / s->n_kv_heads, head = item % s->n_kv_heads,
             group = s->n_heads / s->n_kv_heads, pos = job->step.span->pos[row];
    uint32_t first = s->window && pos + 1 > s->window ? pos + 1 - s->window : 0;
    const float *r = job->r + (size_t)row * p->r_rows + (size_t)head * group * p->distances.rank;
    for (uint32_t i = 0; i < group; i++) {
        hybrid_distance_bias(&p->distances, job->weights->bank, r + (size_t)i * p->distances.rank,
                             first, pos, buffers->bias + (size_t)i * job->length);
    }
    for (uint32_t key = first; key <= pos; key++) {
        buffers->keys[key - first] = key;
    }
    const gqa_keys keys = {buffers->keys, pos + 1 - first, buffers->bias, job->length,
                           job->sinks + (size_t)row * s->n_heads + (size_t)head * group};
    zoo_gqa_chosen_attend(&job->step, &buffers->chosen, row, head, &keys);
    size_t n = (size_t)group * s->v_dim, at = (size_t)row * p->gqa.derived.o_cols + head * n;
    job->step.ctx->kernels->act_mul(ZOO_ACT_SIGMOID, b->gate + at, b->out + at, b->out + at, n);
}

void hybrid_clipped_attend(clipped_job *job)
{
    zoo_ctx *ctx = job->step.ctx;
    ctx->parallel(ctx, job->step.span->n_rows * job->params->gqa.shape.n_kv_heads, attend_item,
                  job);
}
