/*
 * plain_mla.c: multi-head latent attention: all heads' keys and values come of one short row.
 *
 *   c_i = norm(Wdkv x_i)          [latent]    the row that is kept of token i ...
 *   r_i = turn(Wkr x_i)           [rope]      ... and one small key that carries its position
 *   q_i = Wuq norm(Wdq x_i)                   head h: q_nope | turn(q_rope)
 *   k_jh = Wuk_h c_j | r_j                    every head unpacks its own key ...
 *   v_jh = Wuv_h c_j                          ... and its own value
 *   s_ij = q_ih . k_jh / sqrt(nope + rope),   p = softmax,   y_i = Wo [ sum_j p_ij v_jh , ... ]
 *
 * The cache holds latent + rope numbers of a token, whatever H is: 576 in place of the 32768 of
 * ordinary attention in DeepSeek-V2. This page unpacks keys as the formula says. The fast block
 * moves the product from every key to the one query ("absorbed") and applies Wuv after the sum:
 *       q_nope . (Wuk_h c_j)  =  (Wuk_h^T q_nope) . c_j
 * A turn by the position j between q and c_j could not be moved so: hence the separate key r_j.
 *
 * Paper: DeepSeek-AI, "DeepSeek-V2", arXiv 2405.04434. The block: sdk/blocks/mla.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>

/* What token i asks: q [n_heads][nope + rope]. */
static void query(const plain_mla *p, const double *x, size_t i, double *q)
{
    size_t head = p->nope + p->rope;
    double *a = calloc(p->query_rank, sizeof *a);
    plain_multiply(p->wq_down, p->query_rank, p->width, x + i * p->width, a);
    plain_rms_norm(a, p->query_rank, p->query_norm, p->eps);
    plain_multiply(p->wq_up, p->n_heads * head, p->query_rank, a, q);
    for (size_t h = 0; h < p->n_heads; h++) {
        plain_rotate(q + h * head + p->nope, p->rope, (double)i, p->frequency);
    }
    free(a);
}

/* What is kept of token i: c [latent] and r [rope], side by side. */
static void remember(const plain_mla *p, const double *x, size_t i, double *kept)
{
    plain_multiply(p->wkv_down, p->latent + p->rope, p->width, x + i * p->width, kept);
    plain_rms_norm(kept, p->latent, p->latent_norm, p->eps);
    plain_rotate(kept + p->latent, p->rope, (double)i, p->frequency);
}

void plain_mla_run(const plain_mla *p, const double *x, size_t n, const bool *visible, double *y)
{
    size_t H = p->n_heads, L = p->latent, V = p->value, head = p->nope + p->rope,
           kept = L + p->rope;
    double *cache = calloc(n * kept, sizeof *cache), *q = calloc(H * head, sizeof *q);
    double *k = calloc(p->nope, sizeof *k), *v = calloc(V, sizeof *v);
    double *out = calloc(H * V, sizeof *out), *share = calloc(n, sizeof *share);
    double *score = calloc(n, sizeof *score);
    bool *sees = calloc(n, sizeof *sees);
    for (size_t i = 0; i < n; i++) {
        remember(p, x, i, cache + i * kept);
        query(p, x, i, q);
        for (size_t j = 0; j <= i; j++) {
            sees[j] = visible ? visible[i * n + j] : true;
        }
        for (size_t h = 0; h < H; h++) {
            const double *q_nope = q + h * head, *q_rope = q_nope + p->nope;
            for (size_t j = 0; j <= i; j++) {
                const double *c = cache + j * kept, *r = c + L;
                plain_multiply(p->wk_up + h * p->nope * L, p->nope, L, c, k);
                double dot = plain_dot(q_nope, k, p->nope) + plain_dot(q_rope, r, p->rope);
                score[j] = dot / sqrt((double)head);
            }
            plain_softmax(score, sees, n, share);
            for (size_t j = 0; j <= i; j++) {
                plain_multiply(p->wv_up + h * V * L, V, L, cache + j * kept, v);
                for (size_t e = 0; e < V; e++) {
                    out[h * V + e] = (j ? out[h * V + e] : 0) + share[j] * v[e];
                }
            }
        }
        plain_multiply(p->wo, p->width, H * V, out, y + i * p->width);
    }
    free(cache), free(q), free(k), free(v), free(out), free(score), free(share), free(sees);
}
