/*
 * blas.h: OpenBLAS and its LAPACK, loaded when they are needed: some builds start threads at once.
 *
 * Matrices are row-major and symmetric ones are their upper triangle, which LAPACK calls the lower
 * one of columns. A call uses one thread; callers share work out themselves.
 */
#ifndef ZOO_QUANTISE_BLAS_H
#define ZOO_QUANTISE_BLAS_H

#include <cblas.h>

#include "base.h"

typedef struct zoo_blas {
    __typeof__(&cblas_ssyrk) syrk;
    __typeof__(&cblas_sgemm) gemm;
    __typeof__(&cblas_ssymm) symm;
    void (*potrf)(const char *uplo, const int *n, float *a, const int *lda, int *info, size_t);
    void (*potri)(const char *uplo, const int *n, float *a, const int *lda, int *info, size_t);
} zoo_blas;

/* ZOO_E_UNSUPPORTED: the library is not there or has no LAPACK. By one thread. [load] */
zoo_status zoo_blas_open(zoo_blas *out, zoo_error *err);

/*
 * factor [n, n] holds a symmetric H and leaves with U, the upper triangle of U^T U = (H + d I)^-1.
 * d is `damping` of the mean of H's diagonal, ten times more where H is not positive definite, up
 * to the mean itself; *damping is what was taken. ZOO_E_LIMIT: not even then. h holds H still.
 */
zoo_status zoo_blas_inverse_factor(const zoo_blas *blas, const float *h, uint32_t n,
                                   double *damping, float *factor);

#endif
