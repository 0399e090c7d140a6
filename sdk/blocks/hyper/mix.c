/*
 * mix.c: the numbers that mix the streams of one row (formulas: hyper.h).
 */
#include "blocks/hyper/hyper.h"

#include <math.h>

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

void zoo_hyper_logits(zoo_ctx *ctx, const zoo_hyper *p, const zoo_hyper_mix *w, const float *x,
                      float *normed, float *logits, uint32_t n_rows)
{
    const zoo_proj proj = {&w->fn, NULL, logits, 0};
    zoo_norm_rows(ctx, ZOO_NORM_RMS,
                  (zoo_norm_args){.x = x,
                                  .y = normed,
                                  .x_stride = p->flat,
                                  .y_stride = p->flat,
                                  .n_rows = n_rows,
                                  .width = p->flat,
                                  .eps = p->norm_eps});
    zoo_linear(ctx, &proj, 1, normed, p->flat, n_rows);
}

void zoo_hyper_pre(const zoo_hyper *p, const zoo_hyper_mix *w, const float *logits, float *pre)
{
    for (uint32_t i = 0; i < p->n; i++) {
        pre[i] = sigmoid(logits[i] * w->scale[0] + w->base[i]) + p->eps;
    }
}

static void divide_rows(const zoo_hyper *p, float *comb)
{
    for (uint32_t j = 0; j < p->n; j++) {
        float sum = 0;
        for (uint32_t k = 0; k < p->n; k++) {
            sum += comb[j * p->n + k];
        }
        for (uint32_t k = 0; k < p->n; k++) {
            comb[j * p->n + k] /= sum + p->eps;
        }
    }
}

static void divide_columns(const zoo_hyper *p, float *comb)
{
    for (uint32_t k = 0; k < p->n; k++) {
        float sum = 0;
        for (uint32_t j = 0; j < p->n; j++) {
            sum += comb[j * p->n + k];
        }
        for (uint32_t j = 0; j < p->n; j++) {
            comb[j * p->n + k] /= sum + p->eps;
        }
    }
}

static void softmax_row(const zoo_hyper *p, float *row)
{
    float top = row[0], sum = 0;
    for (uint32_t k = 1; k < p->n; k++) {
        top = row[k] > top ? row[k] : top;
    }
    for (uint32_t k = 0; k < p->n; k++) {
        row[k] = expf(row[k] - top);
        sum += row[k];
    }
    for (uint32_t k = 0; k < p->n; k++) {
        row[k] = row[k] / sum + p->eps;
    }
}

void zoo_hyper_post(const zoo_hyper *p, const zoo_hyper_mix *w, const float *logits, float *post,
                    float *comb)
{
    uint32_t n = p->n;
    for (uint32_t k = 0; k < n; k++) {
        post[k] =
            p->magnitude * sigmoid(logits[n + k] * w->scale[1] + w->base[n + k]) + p->post_eps;
    }
    if (!p->iters) {
        return;
    }
    for (uint32_t i = 0; i < n * n; i++) {
        comb[i] = logits[2 * n + i] * w->scale[2] + w->base[2 * n + i];
    }
    for (uint32_t j = 0; j < n; j++) {
        softmax_row(p, comb + j * n);
    }
    divide_columns(p, comb);
    for (uint32_t i = 1; i < p->iters; i++) {
        divide_rows(p, comb);
        divide_columns(p, comb);
    }
}
