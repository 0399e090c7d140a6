/* factor.c: see factor.h. */
#include "quantise/factor.h"

#include <stdlib.h>

#include "base/mem.h"
#include "kernels/rotate.h"

static const float *diagonal_at;
static uint32_t diagonal_n;

static int by_diagonal(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    float x = diagonal_at[(size_t)i * diagonal_n + i], y = diagonal_at[(size_t)j * diagonal_n + j];
    return x == y ? (i > j) - (i < j) : x < y ? 1 : -1;
}

static void permute(zoo_factor *f, const float *h, uint32_t n, float n_rows)
{
    diagonal_at = h;
    diagonal_n = n;
    for (uint32_t i = 0; i < n; i++) {
        f->order[i] = i;
        f->weight[i] = h[(size_t)i * n + i] / n_rows + 1e-20f;
    }
    qsort(f->order, n, sizeof *f->order, by_diagonal);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = i; j < n; j++) {
            uint32_t a = f->order[i], b = f->order[j];
            float x = a < b ? h[(size_t)a * n + b] : h[(size_t)b * n + a];
            f->h[(size_t)i * n + j] = x / n_rows;
        }
    }
}

/* Of h, the upper triangle, all of R h R^T; out [n, n]. */
static void rotate(const float *h, uint32_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            out[i * n + j] = i < j ? h[i * n + j] : h[j * n + i];
        }
        zoo_rotate(out + i * n, n, ZOO_ROTATE_MAX);
    }
    for (size_t step = ZOO_ROTATE_MAX / 2; step; step /= 2) {
        for (size_t i = 0; i < n; i++) {
            float *a = out + i * n, *b = a + step * n;
            for (size_t j = 0; j < n && !(i & step); j++) {
                float x = a[j], y = b[j];
                a[j] = x + y;
                b[j] = x - y;
            }
        }
    }
}

void zoo_factor_free(zoo_factor *f)
{
    zoo_mem_free(f->h);
    zoo_mem_free(f->factor);
    zoo_mem_free(f->weight);
    zoo_mem_free(f->order);
    *f = (zoo_factor){.damping = ZOO_DAMPING_MIN};
}

zoo_status zoo_factor_make(const zoo_blas *blas, const float *h, uint32_t cols, double n_rows,
                           bool rotated, zoo_factor *out, zoo_error *err)
{
    zoo_factor_free(out);
    float *turned = rotated ? zoo_mem_array((size_t)cols * cols, sizeof *turned) : NULL;
    out->h = zoo_mem_array((size_t)cols * cols, sizeof *out->h);
    out->factor = zoo_mem_array((size_t)cols * cols, sizeof *out->factor);
    out->weight = zoo_mem_array(cols, sizeof *out->weight);
    out->order = zoo_mem_array(cols, sizeof *out->order);
    if (!out->h || !out->factor || !out->weight || !out->order || (rotated && !turned)) {
        zoo_mem_free(turned);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the factor of %u inputs", cols);
    }
    if (rotated) {
        rotate(h, cols, turned);
    }
    permute(out, rotated ? turned : h, cols, (float)n_rows);
    zoo_mem_free(turned);
    if (zoo_blas_inverse_factor(blas, out->h, cols, &out->damping, out->factor) != ZOO_OK) {
        zoo_mem_free(out->factor);
        out->factor = NULL; /* no feedback; the weights of squares still apply */
    }
    return ZOO_OK;
}
