/*
 * blas_library.h: OpenBLAS, opened once and held to one thread a call.
 *
 * Opened when it is first needed, since some builds of it start threads at once. A build without
 * threads of its own ("serial") hands the same work buffer to callers that come at the same moment
 * and then computes wrongly: its calls are let in one at a time.
 *
 * Memory: none of its own; the library keeps a buffer for each calling thread and stays loaded.
 */
#ifndef ZOO_KERNELS_BLAS_LIBRARY_H
#define ZOO_KERNELS_BLAS_LIBRARY_H

#include <cblas.h>
#include <stddef.h>

typedef void zoo_lapack_triangle(const char *uplo, const int *n, float *a, const int *lda,
                                 int *info, size_t uplo_length);

typedef struct zoo_blas_library {
    __typeof__(&cblas_sgemm) gemm;
    __typeof__(&cblas_ssyrk) syrk;
    __typeof__(&cblas_ssymm) symm;
    zoo_lapack_triangle *potrf, *potri; /* null where it was built without LAPACK; one thread */
    const char *config;                 /* "OpenBLAS 0.3.21 DYNAMIC_ARCH ..." */
    const char *core;                   /* what it took this CPU for */
} zoo_blas_library;

/* Null: not there, or it lacks one of the calls. gemm, syrk and symm are for any number of threads
 * at once. Opened by one thread. [load] */
const zoo_blas_library *zoo_blas_library_open(void);

#endif
