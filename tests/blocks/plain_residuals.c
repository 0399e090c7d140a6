/*
 * plain_residuals.c: attention over the residuals of earlier layers.
 *
 * Where others let every block read the one residual x of a token and compute x = x + f(x), here a
 * block reads a mixture of residuals: the present one P and those B_1 .. B_m that were kept, where
 * every few layers the sum was stopped and began anew.
 *
 *   x^ = x / rms(x)
 *   mix(w) = sum_j p_j x^_j,  p = softmax(w . x^_j / sqrt(width)),  over the B and P
 *
 * The query w is learned, one for each block of the model, so a late layer can read what an early
 * one wrote without all that was added in between. It is attention over depth: a token looks back
 * over its own layers, not over other tokens, so a cache holds nothing more for it.
 *
 *   a = f( mix(w) );   begins: B_m+1 = P, P = a;  else P = P + a
 *   P = P + g( mix(u) )
 *
 * The layer: plugins/hybrid/residuals.c. Source: the reference's modeling file of inkling2.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* rows [n][width], the present one first. */
void plain_residual_mix(const double *query, const double *rows, size_t n, size_t width, double *y)
{
    double *normed = calloc(n * width, sizeof *normed), *score = calloc(n, sizeof *score);
    double *ones = calloc(width, sizeof *ones), sum = 0;
    for (size_t c = 0; c < width; c++) {
        ones[c] = 1;
    }
    memcpy(normed, rows, n * width * sizeof *normed);
    memset(y, 0, width * sizeof *y);
    for (size_t j = 0; j < n; j++) {
        plain_rms_norm(normed + j * width, width, ones, 1e-6);
        score[j] = exp(plain_dot(query, normed + j * width, width) / sqrt((double)width));
        sum += score[j];
    }
    for (size_t j = 0; j < n; j++) {
        for (size_t c = 0; c < width; c++) {
            y[c] += score[j] / sum * normed[j * width + c];
        }
    }
    free(normed);
    free(score);
    free(ones);
}

void plain_residuals_run(const plain_residuals *p, plain_part *f, plain_part *g, double *rows)
{
    size_t n = p->n_kept + 1;
    double *mixed = calloc(p->width, sizeof *mixed), *add = calloc(p->width, sizeof *add);
    plain_residual_mix(p->w, rows, n, p->width, mixed);
    f(mixed, p->width, add);
    if (p->begins) {
        memcpy(rows + n * p->width, rows, p->width * sizeof *rows);
        memset(rows, 0, p->width * sizeof *rows);
        n++;
    }
    for (size_t c = 0; c < p->width; c++) {
        rows[c] += add[c];
    }
    plain_residual_mix(p->u, rows, n, p->width, mixed);
    g(mixed, p->width, add);
    for (size_t c = 0; c < p->width; c++) {
        rows[c] += add[c];
    }
    free(mixed);
    free(add);
}
