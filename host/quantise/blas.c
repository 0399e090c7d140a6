/* blas.c: loading, and the factor by two Cholesky decompositions and an inversion in place
 * (blas.h). */
#include "quantise/blas.h"

#include <string.h>

zoo_status zoo_blas_open(zoo_blas *out, zoo_error *err)
{
    const zoo_blas_library *library = zoo_blas_library_open();
    if (!library) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED,
                        "libopenblas.so.0 cannot be loaded; install libopenblas0-pthread");
    }
    if (!library->potrf || !library->potri) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED, "libopenblas.so.0 was built without LAPACK");
    }
    *out = *library;
    return ZOO_OK;
}

static double mean_diagonal(const float *h, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += (double)h[(size_t)i * n + i];
    }
    return sum / n;
}

zoo_status zoo_blas_inverse_factor(const zoo_blas *blas, const float *h, uint32_t n,
                                   double *damping, float *factor)
{
    int size = (int)n, info = 1;
    double mean = mean_diagonal(h, n);
    for (; *damping <= 1.0001; *damping *= 10) {
        memcpy(factor, h, (size_t)n * n * sizeof *factor);
        for (uint32_t i = 0; i < n; i++) {
            factor[(size_t)i * n + i] += (float)(*damping * mean);
        }
        blas->potrf("L", &size, factor, &size, &info, 1);
        if (info == 0) {
            blas->potri("L", &size, factor, &size, &info, 1);
        }
        if (info == 0) {
            blas->potrf("L", &size, factor, &size, &info, 1);
        }
        if (info == 0) {
            return ZOO_OK;
        }
    }
    return ZOO_E_LIMIT;
}
