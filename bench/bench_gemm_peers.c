/*
 * bench_gemm_peers.c: matrix products by other libraries: weights [outputs, cols] packed beforehand
 * in the library's preferred format, a few to many rows, one thread.
 *
 *   bench_gemm_peers [SECONDS]      JSON lines; bench_kernels --only gemm_ gives ours
 *
 * oneDNN: matmul primitives whose weights have the format that the library prefers (s8 without
 * scales, so less work than ours). LIBXSMM: one generated kernel for each panel of 64 outputs.
 * OpenBLAS: sgemm, which packs the weights at each call. Times are the best of many runs, in
 * processor time. Built with those of the libraries that are installed (libdnnl-dev, libxsmm-dev,
 * libopenblas-dev).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "zoo.h"

enum { COLS = 2048, OUTPUTS = 8192, ROWS_MAX = 512, PANEL = 64 };

typedef enum kind { KIND_F32, KIND_BF16, KIND_INT8 } kind;
static const char *const kind_names[] = {"f32", "bf16", "int8"};
static const uint32_t rows_of[] = {1, 4, 32, 64, 512};

/* One product of n rows; false: the library cannot. */
typedef struct product {
    const char *engine;
    kind kind;
    int n;
    void *x, *w, *y;
    void *state;
} product;

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void time_product(const product *p, void (*run)(const product *), double seconds)
{
    double best = 1e300, begin = now(), end = begin;
    for (int i = 0; i < 3 || end < begin + seconds; i++) {
        double start = now();
        run(p);
        end = now();
        best = end - start < best ? end - start : best;
    }
    printf(
        "{\"tool\":\"bench_gemm_peers\",\"engine\":\"%s\",\"kind\":\"%s\",\"shape\":\"%dx%dx%d\","
        "\"us\":%.2f,\"gflop_s\":%.1f}\n",
        p->engine, kind_names[p->kind], p->n, COLS, OUTPUTS, best * 1e6,
        2.0 * p->n * COLS * OUTPUTS / best * 1e-9);
    (void)fflush(stdout);
}

#ifdef ZOO_WITH_DNNL
#include <oneapi/dnnl/dnnl.h>

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static dnnl_memory_t memory_of(const dnnl_memory_desc_t *desc, void *data)
{
    dnnl_memory_t memory = NULL;
    (void)dnnl_memory_create(&memory, desc, engine, data);
    return memory;
}

static dnnl_memory_desc_t plain_desc(int rows, int cols, dnnl_data_type_t type,
                                     dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    const dnnl_dims_t dims = {rows, cols};
    (void)dnnl_memory_desc_init_by_tag(&desc, 2, dims, type, tag);
    return desc;
}

typedef struct dnnl_state {
    dnnl_primitive_t matmul;
    dnnl_exec_arg_t args[3];
} dnnl_state;

static void dnnl_run(const product *p)
{
    const dnnl_state *s = p->state;
    (void)dnnl_primitive_execute(s->matmul, stream, 3, s->args);
    (void)dnnl_stream_wait(stream);
}

/* Weights in the library's own format. */
static void dnnl_product(product *p, double seconds)
{
    static const dnnl_data_type_t types[] = {dnnl_f32, dnnl_bf16, dnnl_s8};
    dnnl_memory_desc_t x = plain_desc(p->n, COLS, types[p->kind], dnnl_ab);
    dnnl_memory_desc_t w = plain_desc(COLS, OUTPUTS, types[p->kind], dnnl_format_tag_any);
    dnnl_memory_desc_t y =
        plain_desc(p->n, OUTPUTS, p->kind == KIND_INT8 ? dnnl_s32 : dnnl_f32, dnnl_ab);
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t chosen;
    dnnl_state s;
    if (dnnl_matmul_desc_init(&desc, &x, &w, NULL, &y) != dnnl_success ||
        dnnl_primitive_desc_create(&chosen, &desc, NULL, engine, NULL) != dnnl_success ||
        dnnl_primitive_create(&s.matmul, chosen) != dnnl_success) {
        return;
    }
    const dnnl_memory_desc_t *asked =
        dnnl_primitive_desc_query_md(chosen, dnnl_query_weights_md, 0);
    void *packed = malloc(dnnl_memory_desc_get_size(asked));
    if (!packed) {
        return;
    }
    memset(packed, 1, dnnl_memory_desc_get_size(asked)); /* pages of its own, small numbers */
    s.args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, memory_of(&x, p->x)};
    s.args[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, memory_of(asked, packed)};
    s.args[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, memory_of(&y, p->y)};
    p->engine = "oneDNN";
    p->state = &s;
    time_product(p, dnnl_run, seconds);
    for (int i = 0; i < 3; i++) {
        (void)dnnl_memory_destroy(s.args[i].memory);
    }
    (void)dnnl_primitive_destroy(s.matmul);
    (void)dnnl_primitive_desc_destroy(chosen);
    free(packed);
}
#endif

#ifdef ZOO_WITH_XSMM
#include <libxsmm.h>

/* Panels [cols / 1, 2 or 4][64][1, 2 or 4], rows [n, cols], sums [n, outputs]. */
static void xsmm_run(const product *p)
{
    const libxsmm_xmmfunction *f = p->state;
    size_t size = p->kind == KIND_F32 ? 4 : p->kind == KIND_BF16 ? 2 : 1;
    for (size_t o = 0; o < OUTPUTS; o += PANEL) {
        f->xmm((char *)p->w + o * COLS * size, p->x, (float *)p->y + o);
    }
}

static void xsmm_product(product *p, double seconds)
{
    const int lda = PANEL, ldb = COLS, ldc = OUTPUTS;
    const float one = 1, zero = 0;
    const int one_int = 1, zero_int = 0;
    int flags = p->kind == KIND_F32 ? 0 : LIBXSMM_GEMM_FLAG_VNNI_A;
    libxsmm_xmmfunction f = {0};
    if (p->kind == KIND_F32) {
        f.smm = libxsmm_smmdispatch(PANEL, p->n, COLS, &lda, &ldb, &ldc, &one, &zero, &flags, NULL);
    } else if (p->kind == KIND_BF16) {
        f.bsmm =
            libxsmm_bsmmdispatch(PANEL, p->n, COLS, &lda, &ldb, &ldc, &one, &zero, &flags, NULL);
    } else {
        f.subimm = libxsmm_subimmdispatch(PANEL, p->n, COLS, &lda, &ldb, &ldc, &one_int, &zero_int,
                                          &flags, NULL);
    }
    if (f.xmm) {
        p->engine = "LIBXSMM";
        p->state = &f;
        time_product(p, xsmm_run, seconds);
    }
}
#endif

#ifdef ZOO_WITH_OPENBLAS
#include <cblas.h>

static void blas_run(const product *p)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, p->n, OUTPUTS, COLS, 1, p->x, COLS, p->w,
                COLS, 0, p->y, OUTPUTS);
}

static void blas_product(product *p, double seconds)
{
    if (p->kind == KIND_F32) {
        p->engine = "OpenBLAS";
        time_product(p, blas_run, seconds);
    }
}
#endif

/* Ones rather than zeros, which some CPUs multiply faster or with less power. */
static float *ones(size_t n)
{
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; x && i < n; i++) {
        x[i] = 1;
    }
    return x;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    product p = {.x = ones((size_t)ROWS_MAX * COLS),
                 .w = ones((size_t)OUTPUTS * COLS),
                 .y = ones((size_t)ROWS_MAX * OUTPUTS)};
    bool ready = p.x && p.w && p.y;
#ifdef ZOO_WITH_DNNL
    ready = ready && dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success &&
            dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success;
#endif
    for (int k = KIND_F32; ready && k <= KIND_INT8; k++) {
        for (size_t i = 0; i < ZOO_COUNT(rows_of); i++) {
            p.kind = (kind)k;
            p.n = (int)rows_of[i];
#ifdef ZOO_WITH_DNNL
            dnnl_product(&p, seconds);
#endif
#ifdef ZOO_WITH_XSMM
            xsmm_product(&p, seconds);
#endif
#ifdef ZOO_WITH_OPENBLAS
            blas_product(&p, seconds);
#endif
        }
    }
    if (!p.engine) {
        (void)fprintf(stderr, "bench_gemm_peers: built without oneDNN, LIBXSMM and OpenBLAS\n");
    }
    return p.engine ? 0 : 4;
}
