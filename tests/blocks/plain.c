/* plain.c: what the pages of plain.h have in common. */
#include "plain.h"

#include <math.h>

double plain_dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

void plain_multiply(const double *w, size_t rows, size_t cols, const double *x, double *y)
{
    for (size_t r = 0; r < rows; r++) {
        y[r] = plain_dot(w + r * cols, x, cols);
    }
}

void plain_rms_norm(double *x, size_t n, const double *weight, double eps)
{
    double length = sqrt(plain_dot(x, x, n) / (double)n + eps);
    for (size_t i = 0; i < n; i++) {
        x[i] = x[i] / length * weight[i];
    }
}

void plain_layer_norm(double *x, size_t n, const double *weight, const double *bias, double eps)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++) {
        mean += x[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] -= mean;
    }
    plain_rms_norm(x, n, weight, eps);
    for (size_t i = 0; i < n; i++) {
        x[i] += bias[i];
    }
}

void plain_rotate(double *x, size_t n, double position, const double *frequency)
{
    for (size_t i = 0; i < n / 2; i++) {
        double angle = position * frequency[i];
        double a = x[i], b = x[i + n / 2];
        x[i] = a * cos(angle) - b * sin(angle);
        x[i + n / 2] = b * cos(angle) + a * sin(angle);
    }
}

void plain_softmax(const double *s, const bool *visible, size_t n, double *p)
{
    double largest = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++) {
        largest = visible[j] ? fmax(largest, s[j]) : largest;
    }
    for (size_t j = 0; j < n; j++) {
        p[j] = visible[j] ? exp(s[j] - largest) : 0;
        sum += p[j];
    }
    for (size_t j = 0; j < n; j++) {
        p[j] /= sum;
    }
}

double plain_silu(double x)
{
    return x / (1 + exp(-x));
}

double plain_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

double plain_softplus(double x)
{
    return log1p(exp(x));
}
