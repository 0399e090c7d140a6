/*
 * blas_library.h: loads OpenBLAS once and limits it to one thread per call.
 *
 * It is loaded on first use, since some builds start threads when loaded. A build without threads
 * ("serial") is not reentrant: concurrent callers get the same work buffer and wrong results, so
 * its calls are serialised by a mutex.
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
    zoo_lapack_triangle *potrf, *potri; /* one thread at a time; null: built without LAPACK */
    const char *config;                 /* "OpenBLAS 0.3.21 DYNAMIC_ARCH ..." */
    const char *core;                   /* the CPU type that it detected */
} zoo_blas_library;

/* Null: the library is missing or lacks a function. gemm, syrk and symm are thread-safe; this call
 * is not. [load] */
const zoo_blas_library *zoo_blas_library_open(void);

#endif
