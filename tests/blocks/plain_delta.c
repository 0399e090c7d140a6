/*
 * plain_delta.c: the gated delta rule: a memory that replaces what it holds under a key.
 *
 *   q_t | k_t | v_t = silu(conv(W x)_t)             each channel mixed over its last few rows
 *   q_t = q_t / |q_t| / sqrt(K)    k_t = k_t / |k_t|                  K numbers a key
 *   b_t = sigmoid(Wb x_t)                           how much of the new value is taken
 *   a_t = e^{-e^A softplus(Wa x_t + bias)}          how much of the memory stays
 *
 *   S_t = a_t S_{t-1}                               S [K][V], one for each head
 *   S_t = S_t + k_t (b_t (v_t - S_t^T k_t))^T
 *   o_t = S_t^T q_t
 *
 *   y_t = Wo [ norm(o_t) * silu(Wz x_t) ]           the norm over each head by itself
 *
 * S maps keys to values. Linear attention adds k v^T for every token, so values under one key pile
 * up. Here S^T k, what the memory gives for the key now, is taken off the value first: with b = 1
 * the memory then gives exactly v for k, as if the old entry had been written over. The decay a
 * forgets everything a little, the delta rule one key at a time.
 *
 * Heads of a group share q and k, each with a value of its own. In Kimi Linear a decays each of the
 * K rows of S by a number of its own, and a sigmoid takes the place of the gate's silu.
 *
 * Papers: Yang et al., "Gated Delta Networks", arXiv 2412.06464; "Kimi Linear", arXiv 2510.26692.
 * The block: plugins/hybrid/delta.c.
 */
#include "plain.h"

#include <math.h>
#include <stdlib.h>

/* q, k and v of token t after their convolution, to out [2 groups * key + heads * value]. */
static void mix_rows(const plain_delta *p, const double *rows, size_t t, size_t channels,
                     double *out)
{
    for (size_t c = 0; c < channels; c++) { /* the last tap lies on the token itself */
        double sum = 0;
        for (size_t tap = 0; tap < p->taps; tap++) {
            size_t back = p->taps - 1 - tap;
            sum += back <= t ? p->conv[c * p->taps + tap] * rows[(t - back) * channels + c] : 0;
        }
        out[c] = plain_silu(sum);
    }
    for (size_t i = 0; i < 2 * p->n_groups; i++) { /* every q and every k to length 1 */
        double *u = out + i * p->key, length = sqrt(plain_dot(u, u, p->key) + 1e-6);
        for (size_t c = 0; c < p->key; c++) {
            u[c] /= i < p->n_groups ? length * sqrt((double)p->key) : length;
        }
    }
}

/* One token of one head: S [key][value] and o [value] change. a: one number, or one per key. */
static void step(const plain_delta *p, double *S, const double *q, const double *k, const double *v,
                 const double *a, double b, double *o)
{
    for (size_t c = 0; c < p->value; c++) {
        double held = 0;
        for (size_t r = 0; r < p->key; r++) {
            S[r * p->value + c] *= a[p->decays > 1 ? r : 0];
            held += S[r * p->value + c] * k[r];
        }
        o[c] = 0;
        for (size_t r = 0; r < p->key; r++) {
            S[r * p->value + c] += k[r] * b * (v[c] - held);
            o[c] += S[r * p->value + c] * q[r];
        }
    }
}

void plain_delta_run(const plain_delta *p, const double *x, size_t n, double *y)
{
    size_t H = p->n_heads, K = p->key, V = p->value, channels = 2 * p->n_groups * K + H * V;
    double *rows = calloc(n * channels, sizeof *rows), *qkv = calloc(channels, sizeof *qkv);
    double *a = calloc(H * p->decays, sizeof *a), *b = calloc(H, sizeof *b);
    double *z = calloc(H * V, sizeof *z), *out = calloc(H * V, sizeof *out);
    double *S = calloc(H * K * V, sizeof *S); /* the memory of all heads, empty at first */

    for (size_t t = 0; t < n; t++) {
        const double *xt = x + t * p->width;
        plain_multiply(p->w, channels, p->width, xt, rows + t * channels);
        plain_multiply(p->wa, H * p->decays, p->width, xt, a);
        plain_multiply(p->wb, H, p->width, xt, b);
        plain_multiply(p->wz, H * V, p->width, xt, z);
        mix_rows(p, rows, t, channels, qkv);
        for (size_t h = 0; h < H; h++) {
            const double *q = qkv + h / (H / p->n_groups) * K, *k = q + p->n_groups * K;
            double *ah = a + h * p->decays, *o = out + h * V;
            for (size_t i = 0; i < p->decays; i++) {
                double pace = plain_softplus(ah[i] + p->a_bias[h * p->decays + i]);
                ah[i] = exp(-exp(p->a_log[h]) * pace);
            }
            step(p, S + h * K * V, q, k, qkv + 2 * p->n_groups * K + h * V, ah, plain_sigmoid(b[h]),
                 o);
            plain_rms_norm(o, V, p->norm, p->eps);
            for (size_t c = 0; c < V; c++) {
                double gate = z[h * V + c];
                o[c] *= p->decays > 1 ? plain_sigmoid(gate) : plain_silu(gate);
            }
        }
        plain_multiply(p->wo, p->width, H * V, out, y + t * p->width);
    }
    free(rows), free(qkv), free(a), free(b), free(z), free(out), free(S);
}
