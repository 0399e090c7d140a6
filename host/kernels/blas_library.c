/* blas_library.c: dlopen, symbols and the mutex for serial builds (blas_library.h). */
#include "kernels/blas_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>

static zoo_blas_library found;  /* the library's functions */
static zoo_blas_library shared; /* the same, serialised if needed */
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

static void gemm_alone(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE ta, enum CBLAS_TRANSPOSE tb,
                       blasint m, blasint n, blasint k, float alpha, const float *a, blasint lda,
                       const float *b, blasint ldb, float beta, float *c, blasint ldc)
{
    (void)pthread_mutex_lock(&one);
    found.gemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    (void)pthread_mutex_unlock(&one);
}

static void syrk_alone(enum CBLAS_ORDER order, enum CBLAS_UPLO uplo, enum CBLAS_TRANSPOSE t,
                       blasint n, blasint k, float alpha, const float *a, blasint lda, float beta,
                       float *c, blasint ldc)
{
    (void)pthread_mutex_lock(&one);
    found.syrk(order, uplo, t, n, k, alpha, a, lda, beta, c, ldc);
    (void)pthread_mutex_unlock(&one);
}

static void symm_alone(enum CBLAS_ORDER order, enum CBLAS_SIDE side, enum CBLAS_UPLO uplo,
                       blasint m, blasint n, float alpha, const float *a, blasint lda,
                       const float *b, blasint ldb, float beta, float *c, blasint ldc)
{
    (void)pthread_mutex_lock(&one);
    found.symm(order, side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc);
    (void)pthread_mutex_unlock(&one);
}

static bool find_all(void *library)
{
    __typeof__(&openblas_set_num_threads) set_num_threads;
    __typeof__(&openblas_get_parallel) get_parallel;
    __typeof__(&openblas_get_config) get_config;
    __typeof__(&openblas_get_corename) get_corename;
    *(void **)&set_num_threads = dlsym(library, "openblas_set_num_threads");
    *(void **)&get_parallel = dlsym(library, "openblas_get_parallel");
    *(void **)&get_config = dlsym(library, "openblas_get_config");
    *(void **)&get_corename = dlsym(library, "openblas_get_corename");
    *(void **)&found.gemm = dlsym(library, "cblas_sgemm");
    *(void **)&found.syrk = dlsym(library, "cblas_ssyrk");
    *(void **)&found.symm = dlsym(library, "cblas_ssymm");
    *(void **)&found.potrf = dlsym(library, "spotrf_");
    *(void **)&found.potri = dlsym(library, "spotri_");
    if (!set_num_threads || !get_parallel || !get_config || !get_corename || !found.gemm ||
        !found.syrk || !found.symm) {
        return false;
    }
    set_num_threads(1);
    found.config = get_config();
    found.core = get_corename();
    shared = found;
    if (get_parallel() == OPENBLAS_SEQUENTIAL) {
        shared.gemm = gemm_alone;
        shared.syrk = syrk_alone;
        shared.symm = symm_alone;
    }
    return true;
}

const zoo_blas_library *zoo_blas_library_open(void)
{
    if (!shared.gemm) {
        void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
        if (!library || !find_all(library)) {
            return NULL;
        }
    }
    return &shared;
}
