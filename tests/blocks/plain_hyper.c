/*
 * plain_hyper.c: hyper-connections: several residual streams, mixed around every block.
 *
 * Where others keep one residual row x of a token and compute x = x + f(x), here it has n rows
 * X_1 .. X_n, the streams. Around a block f (attention or feed-forward, with its norm):
 *
 *   m = W [X_1 | ... | X_n] / rms(X)               n + n + n^2 numbers, cut in three:
 *   pre_i  = sigmoid(s_0 m_i + b_i) + eps          what the block reads of stream i
 *   post_k = mu sigmoid(s_1 m_k + b_k)             what it adds to stream k
 *   C      = balance(e^(s_2 m_jk + b_jk))          how stream j goes over into stream k
 *
 *   u   = f( sum_i pre_i X_i )
 *   X_k = post_k u + sum_j C_jk X_j
 *
 * A usual residual is the case of one stream, pre = post = C = 1. Hyper-connections let a model
 * learn how deep and how wide its paths are: a stream that C leaves alone is a path around a block.
 * Over many layers free matrices C would let the streams grow or die. So every row and every column
 * of C is brought to the sum 1, by dividing the rows by their sums, then the columns, and again
 * (Sinkhorn and Knopp): mixing then is an average, and what goes in comes out.
 *
 * The embedding of a token begins as n equal streams; after the last layer they become one, by a
 * `pre` of its own. A cache holds nothing more for them.
 *
 * Papers: Zhu et al., "Hyper-Connections", arXiv 2409.19606; Xie et al., "mHC", arXiv 2512.24880.
 * The block: sdk/blocks/hyper/hyper.c.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of C [n][n] to the sum 1, then columns. eps keeps a sum from being 0. */
static void balance(double *C, size_t n, double eps, bool columns)
{
    for (size_t a = 0; a < n; a++) {
        double sum = 0;
        for (size_t b = 0; b < n; b++) {
            sum += columns ? C[b * n + a] : C[a * n + b];
        }
        for (size_t b = 0; b < n; b++) {
            C[columns ? b * n + a : a * n + b] /= sum + eps;
        }
    }
}

/* The mixing matrix C [n][n] from its logits. */
static void mixing(const plain_hyper *p, double *C)
{
    size_t n = p->n_streams;
    bool *all = calloc(n, sizeof *all);
    double *row = calloc(n, sizeof *row);
    for (size_t j = 0; j < n; j++) {
        all[j] = true;
    }
    for (size_t j = 0; j < n; j++) { /* e^.. and the first division of rows */
        plain_softmax(C + j * n, all, n, row);
        for (size_t k = 0; k < n; k++) {
            C[j * n + k] = row[k] + p->eps;
        }
    }
    balance(C, n, p->eps, true);
    for (size_t round = 1; round < p->rounds; round++) {
        balance(C, n, p->eps, false);
        balance(C, n, p->eps, true);
    }
    free(all), free(row);
}

void plain_hyper_run(const plain_hyper *p, const plain_mix *w, plain_part *f, double *X)
{
    size_t n = p->n_streams, D = p->width, rows = 2 * n + n * n;
    double *m = calloc(rows, sizeof *m), *u = calloc(D, sizeof *u), *y = calloc(D, sizeof *y);
    double *new_X = calloc(n * D, sizeof *new_X);
    double length = sqrt(plain_dot(X, X, n * D) / (double)(n * D) + p->norm_eps);

    plain_multiply(w->w, rows, n * D, X, m);
    for (size_t i = 0; i < rows; i++) {
        m[i] = w->scale[i < n ? 0 : i < 2 * n ? 1 : 2] * m[i] / length + w->base[i];
    }
    mixing(p, m + 2 * n);
    for (size_t c = 0; c < D; c++) {
        for (size_t i = 0; i < n; i++) {
            u[c] += (plain_sigmoid(m[i]) + p->eps) * X[i * D + c];
        }
    }
    f(u, D, y);
    for (size_t k = 0; k < n; k++) {
        for (size_t c = 0; c < D; c++) {
            new_X[k * D + c] = p->magnitude * plain_sigmoid(m[n + k]) * y[c];
            for (size_t j = 0; j < n; j++) {
                new_X[k * D + c] += m[2 * n + j * n + k] * X[j * D + c];
            }
        }
    }
    memcpy(X, new_X, n * D * sizeof *X);
    free(m), free(u), free(y), free(new_X);
}
