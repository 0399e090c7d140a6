/*
 * machine.c: see machine.h. Products go through kernels/peak.inc. Reads sum four streams at once,
 * as products with panels do: a single stream keeps too few cache lines in flight (Zen 3, two
 * threads, GB/s: one 18, two 24, four 30, eight 28, sixteen 18).
 */
#define _GNU_SOURCE
#include "evaluate/machine.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/system.h"
#include "kernels/select.h"

enum { READ_BYTES = 512 << 20, READ_ITEM = 1 << 20, READ_RUNS = 8, PEAK_RUNS = 8 };
enum { STREAMS = 4, LINE = 64 / sizeof(uint64_t) };

/* With one thread: CPU time, which other processes do not lengthen. */
static double seconds_now(const zoo_pool *pool)
{
    struct timespec t;
    bool alone = zoo_pool_n_threads(pool) == 1;
    (void)clock_gettime(alone ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct machine_job {
    zoo_k_peak *peak;
    uint64_t n; /* rounds of a peak, or words of an item */
    const uint64_t *x;
} machine_job;

static void read_item(void *arg, uint32_t item, uint32_t worker)
{
    const machine_job *job = arg;
    const uint64_t *x = job->x + item * job->n;
    size_t part = job->n / STREAMS;
    uint64_t sums[LINE] = {0};
    (void)worker;
    for (size_t i = 0; i < part; i += LINE) {
        for (size_t s = 0; s < STREAMS; s++) {
            for (size_t j = 0; j < LINE; j++) {
                sums[j] += x[s * part + i + j];
            }
        }
    }
    __asm__ volatile("" : : "r"(sums) : "memory");
}

static void peak_item(void *arg, uint32_t item, uint32_t worker)
{
    const machine_job *job = arg;
    (void)item;
    (void)worker;
    (void)job->peak(job->n);
}

/* Seconds of the fastest of `runs` runs. */
static double fastest(zoo_pool *pool, uint32_t n_items, zoo_task *fn, machine_job *job, int runs)
{
    double best = 1e300;
    for (int i = 0; i < runs; i++) {
        double begin = seconds_now(pool);
        zoo_pool_run(pool, n_items, fn, job);
        double took = seconds_now(pool) - begin;
        best = took < best ? took : best;
    }
    return best;
}

static zoo_status measure_read(machine_job *job, zoo_pool *pool, zoo_machine *out, zoo_error *err)
{
    void *bytes =
        mmap(NULL, READ_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to measure reads with");
    }
    zoo_system_large_pages(bytes, READ_BYTES);
    memset(bytes, 0, READ_BYTES);
    job->x = bytes;
    job->n = READ_ITEM / sizeof(uint64_t);
    out->read = READ_BYTES / fastest(pool, READ_BYTES / READ_ITEM, read_item, job, READ_RUNS);
    (void)munmap(bytes, READ_BYTES);
    return ZOO_OK;
}

static double measure_peak(machine_job *job, zoo_pool *pool)
{
    uint32_t n = zoo_pool_n_threads(pool);
    if (!job->peak) {
        return 0;
    }
    job->n = 1 << 12;
    while (fastest(pool, n, peak_item, job, 1) < 0.01) {
        job->n *= 2;
    }
    double seconds = fastest(pool, n, peak_item, job, PEAK_RUNS);
    return n * (double)job->peak(job->n) / seconds;
}

zoo_status zoo_machine_measure(const zoo_kernels *kernels, zoo_pool *pool, zoo_machine *out,
                               zoo_error *err)
{
    machine_job job = {0};
    *out = (zoo_machine){0};
    for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
        job.peak = zoo_kernels_peak(kernels->isa, kind);
        out->peak[kind] = measure_peak(&job, pool);
    }
    return measure_read(&job, pool, out, err);
}
