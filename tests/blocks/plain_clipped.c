/*
 * plain_clipped.c: attention over queries and keys of bounded length.
 *
 *   clip_c(u) = u min(1, c / (|u| + 1e-6))
 *   q = t clip_c(s Wq x),  k = clip_c(conv(Wk x)),  v = conv(Wv x) / rms,  each head by itself
 *   score_j = q . k_j / sqrt(head_dim) + r . P[:, i - j],  r = t clip_d(s' Wr x)
 *   out = sum_j softmax(scores and one of the token's own)_j v_j;  y = Wo( sigmoid(Wg x) out )
 *
 * Where is a token? No rotation says it: the token makes a short row r for each head, and r chooses
 * among stored profiles how much a key counts that lies so far back. What bounds a score is the
 * length of its query and key, not a norm that makes all of them equally long; and a head that
 * finds nothing gives its weight to the sink, which the token makes too. Keys and values first take
 * up a little of the tokens before (conv), with taps to which the token adds where all keys are
 * seen. t grows with the position, as more keys take part.
 *
 * The block: plugins/hybrid/clipped.c. Source: the reference's modeling file of inkling2.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void clip(double *x, size_t n, double limit)
{
    double length = sqrt(plain_dot(x, x, n));
    double factor = fmin(1, limit / (length + 1e-6));
    for (size_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
}

static double temperature(const plain_clipped *p, size_t i)
{
    return p->floor > 0 ? 1 + p->alpha * log(fmax((double)(i + 1) / p->floor, 1)) : 1;
}

/* Rows of a matrix for token i, heads of `size`, scaled, clipped, tempered. */
static void make_heads(const plain_clipped *p, const double *w, const double *scale, size_t size,
                       const double *x, size_t i, double limit, double *out)
{
    plain_multiply(w, p->n_heads * size, p->width, x + i * p->inputs * p->width, out);
    for (size_t j = 0; j < p->n_heads * size; j++) {
        out[j] *= scale[j];
    }
    for (size_t h = 0; h < p->n_heads; h++) {
        clip(out + h * size, size, limit);
    }
    for (size_t j = 0; j < p->n_heads * size; j++) {
        out[j] *= temperature(p, i);
    }
}

/* Keys (input 1) or values (input 2) of all tokens, after the convolution. */
static void convolve(const plain_clipped *p, const double *w, const double *taps, const double *mix,
                     size_t input, const double *x, size_t n, double *out)
{
    size_t rows = p->n_groups * p->head_dim;
    double *raw = calloc(n * rows, sizeof *raw), *own = calloc(rows * p->taps, sizeof *own);
    for (size_t i = 0; i < n; i++) {
        const double *in = x + (i * p->inputs + (p->inputs > 1 ? input : 0)) * p->width;
        plain_multiply(w, rows, p->width, in, raw + i * rows);
        if (mix) {
            plain_multiply(mix, p->n_groups * p->taps, p->width, in, own);
        }
        for (size_t c = 0; c < rows; c++) {
            double sum = raw[i * rows + c];
            for (size_t back = 0; back < p->taps && back <= i; back++) {
                double tap = mix ? taps[back * rows + c] + own[c / p->head_dim * p->taps + back]
                                 : taps[c * p->taps + p->taps - 1 - back];
                sum += tap * raw[(i - back) * rows + c];
            }
            out[i * rows + c] = sum / sqrt((double)(mix ? 2 * p->taps : p->taps) + 1);
        }
    }
    free(raw);
    free(own);
}

/* One head of token i over the keys that it sees. */
static void attend(const plain_clipped *p, const double *q, const double *r, double sink,
                   const double *k, const double *v, size_t i, double *out)
{
    size_t rows = p->n_groups * p->head_dim;
    size_t first = p->window && i + 1 > p->window ? i + 1 - p->window : 0;
    double *weight = calloc(i + 1, sizeof *weight), sum = exp(sink);
    for (size_t j = first; j <= i; j++) {
        double bias = 0;
        for (size_t a = 0; a < p->rank && i - j < p->extent; a++) {
            bias += r[a] * p->bank[a * p->extent + i - j];
        }
        double score = plain_dot(q, k + j * rows, p->head_dim) / sqrt((double)p->head_dim) + bias;
        weight[j] = exp(score);
        sum += weight[j];
    }
    memset(out, 0, p->head_dim * sizeof *out);
    for (size_t j = first; j <= i; j++) {
        for (size_t c = 0; c < p->head_dim; c++) {
            out[c] += weight[j] / sum * v[j * rows + c];
        }
    }
    free(weight);
}

void plain_clipped_run(const plain_clipped *p, const double *x, size_t n, double *y)
{
    size_t rows = p->n_groups * p->head_dim, cols = p->n_heads * p->head_dim;
    double *k = calloc(n * rows, sizeof *k), *v = calloc(n * rows, sizeof *v);
    double *q = calloc(cols, sizeof *q), *r = calloc(p->n_heads * p->rank, sizeof *r);
    double *sinks = calloc(p->n_heads, sizeof *sinks), *gate = calloc(cols, sizeof *gate);
    double *out = calloc(cols, sizeof *out), *ones = calloc(p->head_dim, sizeof *ones);
    for (size_t c = 0; c < p->head_dim; c++) {
        ones[c] = 1;
    }
    convolve(p, p->wk, p->conv_k, p->mix_k, 1, x, n, k);
    convolve(p, p->wv, p->conv_v, p->mix_v, 2, x, n, v);
    for (size_t i = 0; i < n; i++) {
        const double *in = x + i * p->inputs * p->width;
        for (size_t g = 0; g < p->n_groups; g++) {
            clip(k + i * rows + g * p->head_dim, p->head_dim, p->limit);
            plain_rms_norm(v + i * rows + g * p->head_dim, p->head_dim, ones, p->eps);
        }
        make_heads(p, p->wq, p->scale_q, p->head_dim, x, i, p->limit, q);
        make_heads(p, p->wr, p->scale_r, p->rank, x, i, p->limit_r, r);
        plain_multiply(p->ws, p->n_heads, p->width, in, sinks);
        plain_multiply(p->wg, cols, p->width, in, gate);
        for (size_t h = 0; h < p->n_heads; h++) {
            size_t at = h / (p->n_heads / p->n_groups) * p->head_dim;
            attend(p, q + h * p->head_dim, r + h * p->rank, sinks[h], k + at, v + at, i,
                   out + h * p->head_dim);
        }
        for (size_t c = 0; c < cols; c++) {
            out[c] *= plain_sigmoid(gate[c]);
        }
        plain_multiply(p->wo, p->width_out, cols, out, y + i * p->width_out);
    }
    double *all[] = {k, v, q, r, sinks, gate, out, ones};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]);
    }
}
