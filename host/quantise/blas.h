/*
 * blas.h: OpenBLAS and its LAPACK (kernels/blas_library.h) for calibration, and the Cholesky factor
 * that error feedback needs.
 *
 * Matrices are row-major; of symmetric ones only the upper triangle is stored, which is the lower
 * one in LAPACK's column-major order. A call uses one thread; callers parallelise themselves.
 */
#ifndef ZOO_QUANTISE_BLAS_H
#define ZOO_QUANTISE_BLAS_H

#include "base.h"
#include "kernels/blas_library.h"

typedef zoo_blas_library zoo_blas;

/* ZOO_E_UNSUPPORTED: the library is missing or has no LAPACK. Not thread-safe. [load] */
zoo_status zoo_blas_open(zoo_blas *out, zoo_error *err);

/*
 * Writes to factor [n, n] the upper triangular U with U^T U = (H + d I)^-1, h [n, n] the symmetric
 * H, which is not changed. d = *damping times the mean of H's diagonal; if that is not positive
 * definite *damping is multiplied by ten, up to 1, and left at the value used. ZOO_E_LIMIT: not
 * positive definite even then.
 */
zoo_status zoo_blas_inverse_factor(const zoo_blas *blas, const float *h, uint32_t n,
                                   double *damping, float *factor);

#endif
