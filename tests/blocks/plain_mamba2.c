/*
 * plain_mamba2.c: a selective state space: memory of a fixed size in place of a cache of keys.
 *
 *   z_t | u_t | dt_t = W_in x_t                     a gate, what goes into the state, step sizes
 *   x_t | B_t | C_t  = silu(conv(u)_t)              each channel of u mixed over its last few rows
 *
 *   dt_t = softplus(dt_t + bias)                    how long this token lasts, for each head
 *   A    = -e^{A_log}                               how fast the head forgets
 *
 *   S_t = e^{dt_t A} S_{t-1}  +  dt_t B_t x_t^T     S [places][channels of the head]
 *   o_t = C_t S_t  +  D x_t
 *
 *   y_t = W_out norm( o_t * silu(z_t) )
 *
 * Read S as a notebook of `places` lines. A token writes its x into the lines that B points to and
 * reads the lines that C points to; before that, all lines fade by e^{dt A}. "Selective" means that
 * B, C and dt come of the token itself: a large dt wipes the book and writes the token down, a dt
 * near 0 leaves it as it is. A text of any length costs the same memory, and each token the same
 * work, but what has faded is gone.
 *
 * Heads of a group share B and C, as query heads share keys. The norm is taken over each group's
 * channels by themselves.
 *
 * Paper: Dao and Gu, "Transformers are SSMs", arXiv 2405.21060.
 * The block: plugins/hybrid/mamba2.c.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>

void plain_mamba2_run(const plain_mamba2 *p, const double *x, size_t n, double *y)
{
    size_t H = p->n_heads, P = p->head_dim, N = p->places, G = p->n_groups, inner = H * P;
    size_t channels = inner + 2 * G * N, rows = inner + channels + H;
    double *in = calloc(n * rows, sizeof *in); /* z, u, dt of every token */
    double *xbc = calloc(channels, sizeof *xbc), *out = calloc(inner, sizeof *out);
    double *S = calloc(H * N * P, sizeof *S); /* the state of all heads, empty at first */

    for (size_t t = 0; t < n; t++) {
        plain_multiply(p->w_in, rows, p->width, x + t * p->width, in + t * rows);
        const double *z = in + t * rows, *dt = z + inner + channels;

        for (size_t c = 0; c < channels; c++) { /* the last tap lies on the token itself */
            double sum = p->conv_bias[c];
            for (size_t tap = 0; tap < p->taps; tap++) {
                size_t back = p->taps - 1 - tap;
                if (back <= t) {
                    sum += p->conv[c * p->taps + tap] * in[(t - back) * rows + inner + c];
                }
            }
            xbc[c] = plain_silu(sum);
        }

        for (size_t h = 0; h < H; h++) {
            size_t g = h / (H / G);
            const double *xh = xbc + h * P, *B = xbc + inner + g * N, *C = B + G * N;
            double step = plain_softplus(dt[h] + p->dt_bias[h]);
            double fade = exp(step * -exp(p->a_log[h]));
            for (size_t c = 0; c < P; c++) {
                double o = p->d[h] * xh[c];
                for (size_t s = 0; s < N; s++) {
                    double *cell = S + (h * N + s) * P + c;
                    *cell = fade * *cell + step * B[s] * xh[c];
                    o += C[s] * *cell;
                }
                out[h * P + c] = o * plain_silu(z[h * P + c]);
            }
        }
        for (size_t g = 0; g < G; g++) {
            plain_rms_norm(out + g * inner / G, inner / G, p->norm + g * inner / G, p->eps);
        }
        plain_multiply(p->w_out, p->width, inner, out, y + t * p->width);
    }
    free(in), free(xbc), free(out), free(S);
}
