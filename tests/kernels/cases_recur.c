/*
 * cases_recur.c: convolution and recurrences against their formulas in double; cuts between rows.
 */
#include "kt.h"

#include <math.h>
#include <string.h>

enum { CASES = 40 };

typedef struct tally {
    bool equal, cut;
    double worst;
} tally;

static void add(tally *t, const float *y, const float *scalar, const float *parts,
                const double *want, size_t n)
{
    double e = kt_worst(y, want, n, 0.1);
    t->worst = e > t->worst ? e : t->worst;
    t->equal &= kt_same(y, scalar, n);
    t->cut &= kt_same(y, parts, n);
}

static void end(const kt_pair *k, const char *slot, const tally *t)
{
    kt_check(t->worst < 2e-5, "%s %s: error %.1e", slot, k->isa, t->worst);
    kt_check(t->equal, "%s %s: the bits of scalar", slot, k->isa);
    kt_check(t->cut, "%s %s: the same bits when rows are cut into calls", slot, k->isa);
    kt_clear();
}

static double *state_in_double(const float *state, size_t n)
{
    double *s = kt_take(n * sizeof *s);
    for (size_t i = 0; i < n; i++) {
        s[i] = (double)state[i];
    }
    return s;
}

static float *conv_run(const zoo_kernels *k, zoo_conv_args a, const float *state, uint32_t cut)
{
    size_t kept = (size_t)(a.taps - 1) * a.channels, n = (size_t)a.n_rows * a.channels;
    float *y = kt_floats(n + kept);
    uint32_t rows = a.n_rows, half = a.channels / 2;
    a.state = kt_copy(state, kept);
    a.y = y;
    a.y_stride = a.channels;
    for (uint32_t part = 0; part < 2; part++) {
        a.n_rows = part ? rows - cut : cut;
        a.channel_begin = 0;
        a.channel_end = half;
        k->conv(&a);
        a.channel_begin = half;
        a.channel_end = a.channels;
        k->conv(&a);
        a.x += cut * a.x_stride;
        a.y += cut * a.y_stride;
    }
    memcpy(y + n, a.state, kept * sizeof *y);
    return y;
}

static void convs(const kt_pair *k)
{
    tally t = {true, true, 0};
    for (uint32_t i = 0; i < CASES; i++) {
        zoo_conv_args a = {.n_rows = 1 + i % 7, .channels = 1 + kt_below(70), .taps = 1 + i % 10};
        a.x_stride = a.channels + i % 3;
        a.x = kt_values((a.n_rows - 1) * a.x_stride + a.channels, 1);
        a.weight = kt_values((size_t)a.channels * a.taps, 1);
        a.bias = i % 2 ? kt_values(a.channels, 1) : NULL;
        a.act = i % 3 ? ZOO_ACT_SILU : ZOO_ACT_NONE;
        size_t kept = (size_t)(a.taps - 1) * a.channels, n = (size_t)a.n_rows * a.channels;
        float *state = kt_values(kept, 1);
        double *want = kt_take((n + kept) * sizeof *want);
        for (uint32_t r = 0; r < a.n_rows + a.taps - 1; r++) {
            for (uint32_t c = 0; c < a.channels; c++) {
                double sum = a.bias ? (double)a.bias[c] : 0;
                for (uint32_t j = 0; j < a.taps && r < a.n_rows; j++) {
                    uint32_t at = r + j;
                    float x = at < a.taps - 1 ? state[at * a.channels + c]
                                              : a.x[(at - a.taps + 1) * a.x_stride + c];
                    sum += (double)a.weight[c * a.taps + j] * (double)x;
                }
                want[r * a.channels + c] = a.act == ZOO_ACT_SILU ? sum / (1 + exp(-sum)) : sum;
                if (r >= a.n_rows) {
                    want[r * a.channels + c] =
                        (double)(r < a.taps - 1 ? state[r * a.channels + c]
                                                : a.x[(r - a.taps + 1) * a.x_stride + c]);
                }
            }
        }
        add(&t, conv_run(k->best, a, state, 0), conv_run(k->scalar, a, state, 0),
            conv_run(k->best, a, state, kt_below(a.n_rows + 1)), want, n + kept);
    }
    end(k, "conv", &t);
}

/* Step sizes. */
static float *positive(size_t n)
{
    float *x = kt_values(n, 1);
    for (size_t i = 0; i < n; i++) {
        x[i] = fabsf(x[i]);
    }
    return x;
}

static float *ssm_run(const zoo_kernels *k, zoo_ssm_args a, const float *state, uint32_t cut)
{
    size_t n = (size_t)a.n_rows * a.head_dim, kept = (size_t)a.head_dim * a.state_size;
    float *y = kt_floats(n + kept);
    uint32_t rows = a.n_rows;
    a.state = kt_copy(state, kept);
    a.y = y;
    a.y_stride = a.head_dim;
    a.n_rows = cut;
    k->ssm(&a);
    a.n_rows = rows - cut;
    a.x += cut * a.x_stride;
    a.b += cut * a.b_stride;
    a.c += cut * a.c_stride;
    a.dt += cut * a.dt_stride;
    a.y += cut * a.y_stride;
    k->ssm(&a);
    memcpy(y + n, a.state, kept * sizeof *y);
    return y;
}

static void ssms(const kt_pair *k)
{
    tally t = {true, true, 0};
    for (uint32_t i = 0; i < CASES; i++) {
        zoo_ssm_args a = {.n_rows = i % 4 ? 1 + i % 5 : 30 + i, .a = -0.5f, .d = 0.7f};
        a.head_dim = 1 + kt_below(150);
        a.state_size = 1 + kt_below(70);
        a.x_stride = a.head_dim;
        a.b_stride = a.c_stride = a.state_size;
        a.dt_stride = 1;
        a.x = kt_values(a.n_rows * a.x_stride, 1);
        a.b = kt_values(a.n_rows * a.b_stride, 1);
        a.c = kt_values(a.n_rows * a.c_stride, 1);
        a.dt = positive(a.n_rows);
        size_t n = (size_t)a.n_rows * a.head_dim, kept = (size_t)a.head_dim * a.state_size;
        float *state = kt_values(kept, 1);
        double *want = kt_take((n + kept) * sizeof *want), *s = state_in_double(state, kept);
        for (uint32_t r = 0; r < a.n_rows; r++) {
            for (uint32_t p = 0; p < a.head_dim; p++) {
                double x = (double)a.x[r * a.x_stride + p], dt = (double)a.dt[r];
                double sum = (double)a.d * x;
                for (uint32_t j = 0; j < a.state_size; j++) {
                    double *at = &s[j * a.head_dim + p];
                    *at = exp(dt * (double)a.a) * *at + dt * x * (double)a.b[r * a.b_stride + j];
                    sum += *at * (double)a.c[r * a.c_stride + j];
                }
                want[r * a.head_dim + p] = sum;
            }
        }
        memcpy(want + n, s, kept * sizeof *s);
        add(&t, ssm_run(k->best, a, state, 0), ssm_run(k->scalar, a, state, 0),
            ssm_run(k->best, a, state, kt_below(a.n_rows + 1)), want, n + kept);
    }
    end(k, "ssm", &t);
}

static float *scan_run(const zoo_kernels *k, zoo_scan_args a, const float *state, uint32_t cut)
{
    size_t n = (size_t)a.n_rows * a.channels, kept = (size_t)a.channels * a.state_size;
    float *y = kt_floats(n + kept);
    uint32_t rows = a.n_rows;
    a.state = kt_copy(state, kept);
    a.y = y;
    a.y_stride = a.channels;
    a.n_rows = cut;
    k->scan(&a);
    a.n_rows = rows - cut;
    a.x += cut * a.x_stride;
    a.b += cut * a.b_stride;
    a.c += cut * a.c_stride;
    a.dt += cut * a.dt_stride;
    a.y += cut * a.y_stride;
    k->scan(&a);
    memcpy(y + n, a.state, kept * sizeof *y);
    return y;
}

static void scans(const kt_pair *k)
{
    tally t = {true, true, 0};
    for (uint32_t i = 0; i < CASES; i++) {
        zoo_scan_args a = {.n_rows = 1 + i % 5, .channels = 1 + kt_below(40)};
        a.state_size = 1 + kt_below(40);
        a.x_stride = a.dt_stride = a.channels;
        a.b_stride = a.c_stride = a.state_size;
        a.x = kt_values(a.n_rows * a.x_stride, 1);
        a.dt = kt_values(a.n_rows * a.dt_stride, 1);
        a.b = kt_values(a.n_rows * a.b_stride, 1);
        a.c = kt_values(a.n_rows * a.c_stride, 1);
        a.d = kt_values(a.channels, 1);
        size_t n = (size_t)a.n_rows * a.channels, kept = (size_t)a.channels * a.state_size;
        a.a = kt_values(kept, 1);
        float *state = kt_values(kept, 1);
        double *want = kt_take((n + kept) * sizeof *want), *s = state_in_double(state, kept);
        for (uint32_t r = 0; r < a.n_rows; r++) {
            for (uint32_t c = 0; c < a.channels; c++) {
                double x = (double)a.x[r * a.x_stride + c], dt = (double)a.dt[r * a.dt_stride + c];
                double sum = (double)a.d[c] * x;
                for (uint32_t j = 0; j < a.state_size; j++) {
                    double *at = &s[c * a.state_size + j];
                    *at = exp(dt * (double)a.a[c * a.state_size + j]) * *at +
                          dt * x * (double)a.b[r * a.b_stride + j];
                    sum += *at * (double)a.c[r * a.c_stride + j];
                }
                want[r * a.channels + c] = sum;
            }
        }
        memcpy(want + n, s, kept * sizeof *s);
        add(&t, scan_run(k->best, a, state, 0), scan_run(k->scalar, a, state, 0),
            scan_run(k->best, a, state, kt_below(a.n_rows + 1)), want, n + kept);
    }
    end(k, "scan", &t);
}

static float *delta_run(const zoo_kernels *k, zoo_delta_args a, const float *state, uint32_t cut)
{
    size_t n = (size_t)a.n_rows * a.v_dim, kept = (size_t)a.k_dim * a.v_dim;
    float *y = kt_floats(n + kept);
    uint32_t rows = a.n_rows;
    a.state = kt_copy(state, kept);
    a.o = y;
    a.o_stride = a.v_dim;
    a.n_rows = cut;
    k->delta(&a);
    a.n_rows = rows - cut;
    a.q += cut * a.q_stride;
    a.k += cut * a.k_stride;
    a.v += cut * a.v_stride;
    a.g += cut * a.g_stride;
    a.beta += cut * a.beta_stride;
    a.o += cut * a.o_stride;
    k->delta(&a);
    memcpy(y + n, a.state, kept * sizeof *y);
    return y;
}

static void delta_row(const zoo_delta_args *a, uint32_t r, double *s, double *out)
{
    for (uint32_t v = 0; v < a->v_dim; v++) {
        double seen = 0;
        for (uint32_t j = 0; j < a->k_dim; j++) {
            double *at = &s[j * a->v_dim + v];
            *at *= exp((double)a->g[r * a->g_stride + (a->g_dim == 1 ? 0 : j)]);
            seen += *at * (double)a->k[r * a->k_stride + j];
        }
        double change = ((double)a->v[r * a->v_stride + v] - seen) * (double)a->beta[r];
        out[v] = 0;
        for (uint32_t j = 0; j < a->k_dim; j++) {
            double *at = &s[j * a->v_dim + v];
            *at += (double)a->k[r * a->k_stride + j] * change;
            out[v] += *at * (double)a->q[r * a->q_stride + j];
        }
    }
}

static void deltas(const kt_pair *k)
{
    tally t = {true, true, 0};
    for (uint32_t i = 0; i < CASES; i++) {
        zoo_delta_args a = {.n_rows = 1 + i % 5, .k_dim = 1 + kt_below(50)};
        a.v_dim = 1 + kt_below(150);
        a.g_dim = i % 2 ? a.k_dim : 1;
        a.q_stride = a.k_stride = a.k_dim;
        a.v_stride = a.v_dim;
        a.g_stride = a.g_dim;
        a.beta_stride = 1;
        a.q = kt_values(a.n_rows * a.q_stride, 0.3f);
        a.k = kt_values(a.n_rows * a.k_stride, 0.3f);
        a.v = kt_values(a.n_rows * a.v_stride, 1);
        a.g = kt_values(a.n_rows * a.g_stride, 0.5f);
        a.beta = kt_values(a.n_rows, 1);
        size_t n = (size_t)a.n_rows * a.v_dim, kept = (size_t)a.k_dim * a.v_dim;
        float *state = kt_values(kept, 1);
        double *want = kt_take((n + kept) * sizeof *want), *s = state_in_double(state, kept);
        for (uint32_t r = 0; r < a.n_rows; r++) {
            delta_row(&a, r, s, want + r * a.v_dim);
        }
        memcpy(want + n, s, kept * sizeof *s);
        add(&t, delta_run(k->best, a, state, 0), delta_run(k->scalar, a, state, 0),
            delta_run(k->best, a, state, kt_below(a.n_rows + 1)), want, n + kept);
    }
    end(k, "delta", &t);
}

void kt_recur(const kt_pair *k)
{
    convs(k);
    ssms(k);
    scans(k);
    deltas(k);
}
