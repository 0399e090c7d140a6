/*
 * blas.h: OpenBLAS and its LAPACK (kernels/blas_library.h), opened when calibration needs them.
 *
 * Matrices are row-major and symmetric ones are their upper triangle, which LAPACK calls the lower
 * one of columns. A call uses one thread; callers share work out themselves.
 */
#ifndef ZOO_QUANTISE_BLAS_H
#define ZOO_QUANTISE_BLAS_H

#include "base.h"
#include "kernels/blas_library.h"

typedef zoo_blas_library zoo_blas;

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
