/*
 * plain_dsa.c: sparse attention: a cheap indexer chooses the keys that attention then reads.
 *
 *   a_i = norm(Wdq x_i)                             the query latent of plain_mla.c
 *   q_ih = turn(Wqi_h a_i)                          a few small index heads h
 *   k_j  = turn(layer_norm(Wki x_j))                one index key of a token, shared by the heads
 *   w_ih = Wwi_h x_i                                how much head h counts for token i
 *
 *   I_ij = sum_h  w_ih  max(q_ih . k_j, 0)          how much token i wants token j
 *
 *   token i sees the `top` keys j <= i of the largest I_ij; of equal ones the earlier
 *
 * and with these keys alone attention goes on as in plain_mla.c. The indexer still looks at every
 * key, but its heads are few and small; the expensive attention over a text of a million tokens
 * reads, say, 2048 rows. A token with at most `top` keys before it reads them all, so short texts
 * are computed as without an indexer.
 *
 * With pools an index key stands for `pool` tokens, a mean of theirs by number c of the key:
 *
 *   K_wc = sum_t softmax_t(Wg_c x_t + place_tc) k_tc       over the tokens t of pool w
 *
 * and token i sees the tokens of the best top / pool pools that end before it or with it, and those
 * of the pool in which it stands.
 *
 * Only the first `rope` numbers of an index vector turn. A constant factor on I changes no order
 * and is left out.
 *
 * Paper: DeepSeek-AI, "DeepSeek-V3.2-Exp" (2025), section 2.1. The block: sdk/blocks/mla/index.c,
 * pool.c.
 */
#include "plain.h"

#include <stdlib.h>

/* How much token i wants each of the first n_keys keys [][index_dim], to want [n_keys]. */
static void wish(const plain_mla *p, const double *x, size_t i, const double *keys, size_t n_keys,
                 double *want)
{
    size_t d = p->index_dim, H = p->index_heads;
    double *a = calloc(p->query_rank, sizeof *a), *q = calloc(H * d, sizeof *q);
    double *w = calloc(H, sizeof *w);
    plain_multiply(p->wq_down, p->query_rank, p->width, x + i * p->width, a);
    plain_rms_norm(a, p->query_rank, p->query_norm, p->eps);
    plain_multiply(p->index_wq, H * d, p->query_rank, a, q);
    plain_multiply(p->index_weight, H, p->width, x + i * p->width, w);
    for (size_t h = 0; h < H; h++) {
        plain_rotate(q + h * d, p->rope, (double)i, p->frequency);
    }
    for (size_t j = 0; j < n_keys; j++) {
        want[j] = 0;
        for (size_t h = 0; h < H; h++) {
            double match = plain_dot(q + h * d, keys + j * d, d);
            want[j] += match > 0 ? w[h] * match : 0;
        }
    }
    free(a), free(q), free(w);
}

/* keys [n][index_dim] become n / pool ones. */
static void pool_keys(const plain_mla *p, const double *x, size_t n, double *keys)
{
    size_t d = p->index_dim, pool = p->index_pool;
    double *gate = calloc(d, sizeof *gate), *score = calloc(d * pool, sizeof *score);
    double *share = calloc(pool, sizeof *share);
    bool *all = calloc(pool, sizeof *all);
    for (size_t t = 0; t < pool; t++) {
        all[t] = true;
    }
    for (size_t w = 0; w < n / pool; w++) {
        for (size_t t = 0; t < pool; t++) {
            plain_multiply(p->index_gate, d, p->width, x + (w * pool + t) * p->width, gate);
            for (size_t c = 0; c < d; c++) {
                score[c * pool + t] = gate[c] + p->index_place[t * d + c];
            }
        }
        for (size_t c = 0; c < d; c++) {
            double key = 0;
            plain_softmax(score + c * pool, all, pool, share);
            for (size_t t = 0; t < pool; t++) {
                key += share[t] * keys[(w * pool + t) * d + c];
            }
            keys[w * d + c] = key;
        }
    }
    free(gate), free(score), free(share), free(all);
}

void plain_dsa_choose(const plain_mla *p, const double *x, size_t n, bool *visible)
{
    size_t d = p->index_dim, pool = p->index_pool ? p->index_pool : 1;
    double *keys = calloc(n * d, sizeof *keys), *want = calloc(n, sizeof *want);
    for (size_t i = 0; i < n; i++) {
        plain_multiply(p->index_wk, d, p->width, x + i * p->width, keys + i * d);
        plain_layer_norm(keys + i * d, d, p->index_norm, p->index_bias, p->index_eps);
        plain_rotate(keys + i * d, p->rope, (double)i, p->frequency);
    }
    if (p->index_pool) {
        pool_keys(p, x, n, keys);
    }
    for (size_t i = 0; i < n; i++) {
        size_t full = (i + 1) / pool; /* pools that token i can choose */
        wish(p, x, i, keys, full, want);
        for (size_t j = 0; j < n; j++) {
            size_t w = j / pool, n_before = 0; /* pools that token i would rather have than w */
            for (size_t other = 0; w < full && other < full; other++) {
                n_before += want[other] > want[w] || (want[other] == want[w] && other < w);
            }
            visible[i * n + j] = j <= i && (w >= full || n_before < p->index_top / pool);
        }
    }
    free(keys), free(want);
}

void plain_dsa_run(const plain_mla *p, const double *x, size_t n, double *y)
{
    bool *visible = calloc(n * n, sizeof *visible);
    plain_dsa_choose(p, x, n, visible);
    plain_mla_run(p, x, n, visible, y);
    free(visible);
}
