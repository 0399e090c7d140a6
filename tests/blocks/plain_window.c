/*
 * plain_window.c: attention over a sliding window, token by token, with a cache of fixed size.
 *
 *   token i sees itself and the w - 1 tokens before it:   i - w < j <= i
 *
 * Everything else is as in plain_gqa.c. A token older than the window is never read again, so its
 * key and value can be written over: the cache is a ring of w places, and token i stands in place
 * i mod w. However long the text gets, memory and the work for a token stay the same. Information
 * still travels farther than w: each layer carries it by up to w - 1 tokens.
 *
 *   w = 4, after token 6:     place   0    1    2    3
 *                             token   4    5    6    3      token 7 will take the place of 3
 *
 * Papers: Beltagy et al., "Longformer", arXiv 2004.05150; Jiang et al., "Mistral 7B",
 * arXiv 2310.06825.
 * The block: sdk/blocks/gqa with a window; its ring: host/cache.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>

/* Rows of one token: out [heads * D], turned by its position if `turns`. */
static void project(const plain_gqa *p, const double *w, size_t heads, bool turns, const double *x,
                    size_t position, double *out)
{
    plain_multiply(w, heads * p->head_dim, p->width, x, out);
    for (size_t h = 0; turns && h < heads; h++) {
        plain_rotate(out + h * p->head_dim, p->head_dim, (double)position, p->frequency);
    }
}

void plain_window_run(const plain_gqa *p, const double *x, size_t n, double *y)
{
    size_t D = p->head_dim, H = p->n_heads, G = p->n_groups, W = p->window;
    double *k_ring = calloc(W * G * D, sizeof *k_ring), *v_ring = calloc(W * G * D, sizeof *v_ring);
    double *q = calloc(H * D, sizeof *q), *out = calloc(H * D, sizeof *out);
    double *score = calloc(W, sizeof *score), *share = calloc(W, sizeof *share);
    bool *filled = calloc(W, sizeof *filled);

    for (size_t i = 0; i < n; i++) {
        size_t place = i % W;
        project(p, p->wq, H, true, x + i * p->width, i, q);
        project(p, p->wk, G, true, x + i * p->width, i, k_ring + place * G * D);
        project(p, p->wv, G, false, x + i * p->width, i, v_ring + place * G * D);
        filled[place] = true;

        for (size_t h = 0; h < H; h++) {
            size_t g = h / (H / G);
            for (size_t j = 0; j < W; j++) { /* places, in no order: a sum has none */
                score[j] = plain_dot(q + h * D, k_ring + (j * G + g) * D, D) / sqrt((double)D);
            }
            plain_softmax(score, filled, W, share);
            for (size_t c = 0; c < D; c++) {
                out[h * D + c] = 0;
                for (size_t j = 0; j < W; j++) {
                    out[h * D + c] += share[j] * v_ring[(j * G + g) * D + c];
                }
            }
        }
        plain_multiply(p->wo, p->width, H * D, out, y + i * p->width);
    }
    free(k_ring), free(v_ring), free(q), free(out), free(score), free(share), free(filled);
}
