/*
 * plain_gqa.c: grouped-query attention over one text.
 *
 *   q_i = Wq x_i    k_i = Wk x_i    v_i = Wv x_i            for each token i, cut into heads of D
 *
 *   q and k turn with the position i, two numbers at a time:
 *       (a, b)  ->  (a cos t - b sin t,  b cos t + a sin t),   t = i * frequency
 *
 *   s_ij = q_i . k_j / sqrt(D)                              for every j <= i: no token looks ahead
 *   p_ij = e^{s_ij} / sum_j e^{s_ij}                        how much token i takes from token j
 *   y_i  = Wo [ sum_j p_ij v_j  of head 1 | of head 2 | ... ]
 *
 * There are H query heads but only G heads of keys and values: the H / G query heads of a group
 * read the same keys. G = H is multi-head attention, G = 1 multi-query attention. Keys and values
 * are all that has to be kept of the tokens before, so a small G makes the cache small.
 *
 * Because both q and k turn, their product depends on i - j alone: on how far apart two tokens are,
 * not on where they stand.
 *
 * Papers: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762; Ainslie et al., "GQA",
 * arXiv 2305.13245; the rotation: Su et al., "RoFormer", arXiv 2104.09864.
 * The block: sdk/blocks/gqa.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>

/* Rows of q, k or v for every token: out [n][heads * D]; `turns`: with their positions. */
static void project(const plain_gqa *p, const double *w, size_t heads, bool turns, const double *x,
                    size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        double *row = out + i * heads * p->head_dim;
        plain_multiply(w, heads * p->head_dim, p->width, x + i * p->width, row);
        for (size_t h = 0; turns && h < heads; h++) {
            plain_rotate(row + h * p->head_dim, p->head_dim, (double)i, p->frequency);
        }
    }
}

void plain_gqa_run(const plain_gqa *p, const double *x, size_t n, double *y)
{
    size_t D = p->head_dim, H = p->n_heads, G = p->n_groups;
    double *q = calloc(n * H * D, sizeof *q), *out = calloc(H * D, sizeof *out);
    double *k = calloc(n * G * D, sizeof *k), *v = calloc(n * G * D, sizeof *v);
    double *score = calloc(n, sizeof *score), *share = calloc(n, sizeof *share);
    bool *visible = calloc(n, sizeof *visible);

    project(p, p->wq, H, true, x, n, q);
    project(p, p->wk, G, true, x, n, k);
    project(p, p->wv, G, false, x, n, v);

    for (size_t i = 0; i < n; i++) {
        visible[i] = true; /* and so are all tokens before it */
        for (size_t h = 0; h < H; h++) {
            size_t g = h / (H / G);
            for (size_t j = 0; j <= i; j++) {
                score[j] = plain_dot(q + (i * H + h) * D, k + (j * G + g) * D, D) / sqrt((double)D);
            }
            plain_softmax(score, visible, n, share);
            for (size_t c = 0; c < D; c++) {
                out[h * D + c] = 0;
                for (size_t j = 0; j <= i; j++) {
                    out[h * D + c] += share[j] * v[(j * G + g) * D + c];
                }
            }
        }
        plain_multiply(p->wo, p->width, H * D, out, y + i * p->width);
    }
    free(q), free(k), free(v), free(out), free(score), free(share), free(visible);
}
