/*
 * rules.c: pieces of routing rules: scores, groups, the two rounds of sparsemixer.
 *
 * Sources: DeepSeek-V3 report (groups, correction bias); GRIN, Liu et al. 2024 (sparsemixer, as it
 * is evaluated: no noise, weights of the two rounds not renormalised).
 */
#include "blocks/moe/impl.h"

#include <math.h>
#include <string.h>

void zoo_moe_score(const zoo_kernels *k, const zoo_router *r, float *logits)
{
    size_t n = r->n_experts;
    if (r->logit_scale != 0 && r->logit_scale != 1.0f) {
        k->scale(r->logit_scale, logits, logits, n);
    }
    if (r->softcap > 0) {
        k->softcap(r->softcap, logits, logits, n);
    }
    if (r->score == ZOO_SCORE_SOFTMAX) {
        k->softmax(logits, logits, n);
    } else if (r->score == ZOO_SCORE_SIGMOID) {
        k->act(ZOO_ACT_SIGMOID, logits, logits, n);
    } else if (r->score == ZOO_SCORE_SQRT_SOFTPLUS) {
        k->act(ZOO_ACT_SOFTPLUS, logits, logits, n);
        for (size_t e = 0; e < n; e++) {
            logits[e] = sqrtf(logits[e]);
        }
    }
}

/* The sum of the two largest of n values, or the largest. */
static float group_score(const float *x, uint32_t n, bool sum2)
{
    float best = -INFINITY, next = -INFINITY;
    for (uint32_t i = 0; i < n; i++) {
        if (x[i] > best) {
            next = best;
            best = x[i];
        } else if (x[i] > next) {
            next = x[i];
        }
    }
    return sum2 && n > 1 ? best + next : best;
}

void zoo_moe_refuse_groups(const zoo_kernels *k, const zoo_router *r, float *choice, float *groups,
                           uint32_t *picks)
{
    uint32_t size = r->n_experts / r->n_groups;
    for (uint32_t g = 0; g < r->n_groups; g++) {
        groups[g] = group_score(choice + (size_t)g * size, size, r->group_sum2 != 0);
    }
    k->topk(groups, r->n_groups, r->groups_kept, picks);
    for (uint32_t g = 0; g < r->n_groups; g++) {
        bool kept = false;
        for (uint32_t i = 0; i < r->groups_kept; i++) {
            kept = kept || picks[i] == g;
        }
        for (uint32_t e = g * size; !kept && e < (g + 1) * size; e++) {
            choice[e] = r->group_zero ? 0.0f : -INFINITY;
        }
    }
}

/* Softmax over the experts near enough to the best of `left`, at the best one. */
static float sparse_round(const float *scores, float *left, uint32_t n, float jitter, uint32_t *idx)
{
    uint32_t best = 0;
    for (uint32_t e = 1; e < n; e++) {
        best = left[e] > left[best] ? e : best;
    }
    float top = left[best], sum = 0;
    for (uint32_t e = 0; e < n; e++) {
        float size = fmaxf(fabsf(scores[e]), top);
        bool kept = !((top - scores[e]) / size > 2 * jitter);
        sum += kept ? expf(left[e] - top) : 0.0f;
    }
    left[best] = -INFINITY;
    *idx = best;
    return 1.0f / sum;
}

void zoo_moe_sparsemixer(const zoo_router *r, const float *scores, float *left, uint32_t *idx,
                         float *weight)
{
    memcpy(left, scores, r->n_experts * sizeof(float));
    for (uint32_t i = 0; i < r->top_k; i++) {
        weight[i] = sparse_round(scores, left, r->n_experts, r->jitter, &idx[i]);
    }
}
