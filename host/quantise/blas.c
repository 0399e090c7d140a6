/* blas.c: see blas.h. Needs no memory of its own; the library stays loaded. */
#include "quantise/blas.h"

#include <dlfcn.h>
#include <string.h>

zoo_status zoo_blas_open(zoo_blas *out, zoo_error *err)
{
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    __typeof__(&openblas_set_num_threads) set_num_threads;
    if (!library) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED,
                        "libopenblas.so.0 is not there; install libopenblas0");
    }
    *(void **)&set_num_threads = dlsym(library, "openblas_set_num_threads");
    *(void **)&out->syrk = dlsym(library, "cblas_ssyrk");
    *(void **)&out->gemm = dlsym(library, "cblas_sgemm");
    *(void **)&out->symm = dlsym(library, "cblas_ssymm");
    *(void **)&out->potrf = dlsym(library, "spotrf_");
    *(void **)&out->potri = dlsym(library, "spotri_");
    if (!set_num_threads || !out->syrk || !out->gemm || !out->symm || !out->potrf || !out->potri) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED, "libopenblas.so.0 was built without LAPACK");
    }
    set_num_threads(1);
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
