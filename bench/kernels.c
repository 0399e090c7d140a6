/*
 * kernels.c: bench_kernels: GB/s and GFLOP/s of every kernel slot, one JSON line each.
 *
 *   bench_kernels [--isa NAME|all] [--threads N] [--seconds S] [--rows N] [--only PART_OF_SLOT]
 *
 * Matrix products run over a matrix larger than the second-level cache, its panels divided among
 * the threads; the other slots run on one thread over data that fits into it. Times are the best of
 * many runs. One multiply-add counts as two operations; bytes are those of weights or rows read.
 * The machine's peak is measured first; shares above 1 come from caches, or from other load during
 * that measurement.
 */
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "model/pack.h"

/* Processor time of the process: with one thread, other load on the machine matters little. */
static double now(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_time(const bench *b, void (*fn)(void *), void *arg)
{
    clockid_t id = zoo_pool_n_threads(b->pool) > 1 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID;
    double best = 1e300, begin = now(id), end = begin;
    for (int i = 0; i < 3 || end < begin + b->seconds; i++) {
        double start = now(id);
        fn(arg);
        end = now(id);
        best = end - start < best ? end - start : best;
    }
    return best;
}

static double share(double of, double seconds, double most)
{
    return most > 0 ? of / seconds / most : 0;
}

void bench_print(const bench *b, const char *slot, const char *shape, double seconds, double bytes,
                 double operations, uint32_t kind)
{
    printf("{\"tool\":\"bench_kernels\",\"slot\":\"%s\",\"isa\":\"%s\",\"shape\":\"%s\","
           "\"threads\":%u,\"us\":%.2f,\"gb_s\":%.2f,\"gflop_s\":%.1f,\"read_share\":%.3f,"
           "\"peak_share\":%.3f}\n",
           slot, b->isa, shape, zoo_pool_n_threads(b->pool), seconds * 1e6, bytes / seconds * 1e-9,
           operations / seconds * 1e-9, share(bytes, seconds, b->machine.read),
           share(operations, seconds, b->machine.peak[kind]));
    (void)fflush(stdout);
}

bool bench_wanted(const bench *b, const char *slot)
{
    return !b->only || strstr(slot, b->only);
}

void *bench_take(size_t n)
{
    size_t page = (size_t)2 << 20, align = n < page ? 64 : page;
    float *x = aligned_alloc(align, (n + align) / align * align);
    uint32_t seed = 12345;
    if (!x) {
        printf("no memory\n");
        exit(4);
    }
#if defined(__linux__)
    if (n >= page) {
        (void)madvise(x, n, MADV_HUGEPAGE);
    }
#endif
    for (size_t i = 0; i < n / sizeof *x; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

typedef struct gemm_job {
    const bench *b;
    zoo_weight w;
    zoo_gemm gemm;
    const float *x;
    void *prepared;
    uint32_t chunk;
} gemm_job;

static void gemm_item(void *arg, uint32_t item, uint32_t worker)
{
    gemm_job *j = arg;
    zoo_gemm g = j->gemm;
    uint32_t panels = (j->w.rows + ZOO_PANEL - 1) / ZOO_PANEL;
    (void)worker;
    g.panel_begin = item * j->chunk;
    g.panel_end = g.panel_begin + j->chunk < panels ? g.panel_begin + j->chunk : panels;
    j->b->k->gemm[j->w.kind].gemm(&g);
}

static void gemm_run(void *arg)
{
    gemm_job *j = arg;
    uint32_t panels = (j->w.rows + ZOO_PANEL - 1) / ZOO_PANEL;
    if (j->prepared) {
        j->b->k->gemm[j->w.kind].prepare(j->x, j->w.cols, j->gemm.n_rows, &j->w, j->prepared);
    }
    zoo_pool_run(j->b->pool, (panels + j->chunk - 1) / j->chunk, gemm_item, j);
}

static void bench_gemm(const bench *b, uint32_t kind, uint32_t n_rows)
{
    static const char *const names[] = {"gemm_f32",  "gemm_bf16", "gemm_int8",
                                        "gemm_int4", "gemm_int5", "gemm_int6"};
    uint32_t rows = b->rows, cols = 2048;
    char shape[64];
    gemm_job j = {.b = b, .chunk = 16};
    if (!bench_wanted(b, names[kind])) {
        return;
    }
    j.w = (zoo_weight){.kind = kind, .rows = rows, .cols = cols};
    j.w.group = zoo_pack_group((zoo_dtype)kind);
    size_t scales, bytes = zoo_pack_size((zoo_dtype)kind, rows, cols, j.w.group, &scales);
    void *data = bench_take(bytes), *scale = bench_take(scales + 64), *y, *x;
    float *panel = bench_take((size_t)ZOO_PANEL * cols * sizeof(float));
    j.w.data = data;
    j.w.scales = scales ? scale : NULL;
    for (uint32_t p = 0; p < rows / ZOO_PANEL; p++) {
        zoo_pack_panel(&j.w, p, panel, ZOO_PANEL);
    }
    x = bench_take((size_t)n_rows * cols * sizeof(float));
    y = bench_take((size_t)n_rows * rows * sizeof(float));
    size_t size = b->k->gemm[kind].prepared_size(cols, j.w.group);
    j.x = x;
    j.prepared = size ? bench_take(size * n_rows) : NULL;
    j.gemm = (zoo_gemm){.weight = &j.w, .x = size ? j.prepared : x, .y = y, .y_stride = rows};
    j.gemm.x_stride = size ? size : cols;
    j.gemm.n_rows = n_rows;
    (void)snprintf(shape, sizeof shape, "%ux%ux%u", n_rows, cols, rows);
    double t = bench_time(b, gemm_run, &j);
    bench_print(b, names[kind], shape, t, (double)(bytes + scales), 2.0 * rows * cols * n_rows,
                kind);
    free(data);
    free(scale);
    free(panel);
    free(x);
    free(y);
    free(j.prepared);
}

static void bench_isa(const bench *b)
{
    static const uint32_t n_rows[] = {1, 2, 4, 8, 32, 64, 512};
    for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
        for (uint32_t i = 0; i < ZOO_COUNT(n_rows); i++) {
            bench_gemm(b, kind, n_rows[i]);
        }
    }
    bench_slots(b);
}

int main(int argc, char **argv)
{
    zoo_error err = {0};
    const char *isa = "";
    uint32_t threads = 1;
    bench b = {.seconds = 0.3, .rows = 8192};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--isa")) {
            isa = argv[i + 1];
        } else if (!strcmp(argv[i], "--threads")) {
            threads = (uint32_t)atoi(argv[i + 1]);
        } else if (!strcmp(argv[i], "--seconds")) {
            b.seconds = atof(argv[i + 1]);
        } else if (!strcmp(argv[i], "--rows")) {
            b.rows = (uint32_t)atoi(argv[i + 1]);
        } else if (!strcmp(argv[i], "--only")) {
            b.only = argv[i + 1];
        }
    }
    if (zoo_pool_new(threads ? threads : 1, false, &b.pool, &err) != ZOO_OK) {
        (void)fprintf(stderr, "bench_kernels: %s\n", err.text);
        return 4;
    }
    const zoo_kernels *best = zoo_kernels_select(NULL, &err);
    for (uint32_t i = 0; (b.isa = zoo_kernels_isa(i)) != NULL; i++) {
        b.k = zoo_kernels_select(b.isa, &err);
        if (!strcmp(isa, "all") || !strcmp(isa, b.isa) || (!*isa && b.k == best)) {
            if (zoo_machine_measure(b.k, b.pool, &b.machine, &err) != ZOO_OK) {
                (void)fprintf(stderr, "bench_kernels: %s\n", err.text);
                return 4;
            }
            bench_isa(&b);
        }
    }
    zoo_pool_free(b.pool);
    return 0;
}
