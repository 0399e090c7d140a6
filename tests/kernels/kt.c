/* kt.c: see kt.h. */
#define _GNU_SOURCE
#include "kt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAPS_MAX = 4096 };

static struct {
    void *at;
    size_t size;
} maps[MAPS_MAX];
static uint32_t n_maps;
static uint64_t seed = 0x9e3779b97f4a7c15u;
static int n_results, n_failed;

void *kt_take(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (n + page - 1) / page * page + page;
    unsigned char *at =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || n_maps == MAPS_MAX || mprotect(at + size - page, page, PROT_NONE)) {
        printf("Bail out! no memory for a guarded array\n");
        exit(1);
    }
    maps[n_maps].at = at;
    maps[n_maps++].size = size;
    memset(at, 0xab, size - page);
    return at + size - page - n;
}

float *kt_floats(size_t n)
{
    return kt_take(n * sizeof(float));
}

void kt_clear(void)
{
    while (n_maps) {
        n_maps--;
        (void)munmap(maps[n_maps].at, maps[n_maps].size);
    }
}

uint32_t kt_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32);
}

uint32_t kt_below(uint32_t n)
{
    return (uint32_t)((uint64_t)kt_random() * n >> 32);
}

float kt_value(float scale)
{
    return ((float)kt_random() / 2147483648.0f - 1.0f) * scale;
}

float *kt_values(size_t n, float scale)
{
    float *x = kt_floats(n);
    for (size_t i = 0; i < n; i++) {
        x[i] = kt_value(scale);
    }
    return x;
}

float *kt_copy(const float *x, size_t n)
{
    float *y = kt_floats(n);
    memcpy(y, x, n * sizeof *x);
    return y;
}

bool kt_check(bool ok, const char *what, ...)
{
    va_list args;
    n_results++;
    n_failed += !ok;
    printf("%s %d - ", ok ? "ok" : "not ok", n_results);
    va_start(args, what);
    (void)vprintf(what, args);
    va_end(args);
    printf("\n");
    (void)fflush(stdout); /* so that a crash is seen after the case before it */
    return ok;
}

int kt_done(void)
{
    printf("1..%d\n", n_results);
    return n_failed ? 1 : 0;
}

bool kt_same(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) {
            return false;
        }
    }
    return true;
}

double kt_worst(const float *a, const double *b, size_t n, double floor)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)a[i] - b[i]) / (fabs(b[i]) + floor);
        if (!(error <= worst)) {
            worst = isnan(error) ? INFINITY : error;
        }
    }
    return worst;
}
