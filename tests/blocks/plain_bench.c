/* plain_bench.c: see plain_bench.h. */
#include "plain_bench.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 1e-11 /* nmse */

const uint32_t bench_chunks[BENCH_CHUNKS] = {N, 1, 16};

void bench_open(bench *b)
{
    fake_open(&b->f, test_kernels(), 2);
    for (size_t i = 0; i < (size_t)N * WIDTH; i++) {
        b->x[i] = fake_random(&b->f);
        b->xd[i] = (double)b->x[i];
    }
    b->says[0] = '\0';
}

void *bench_widened(fake *f, const float *x, size_t n)
{
    double *out = fake_keep(f, n * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        out[i] = (double)x[i];
    }
    return out;
}

double *bench_tensor(bench *b, size_t field)
{
    const fake_tensor *t = fake_tensor_at(&b->f, field);
    assert_non_null(t);
    return bench_widened(&b->f, t->x, (size_t)t->experts * t->rows * t->cols);
}

double *bench_zeros(bench *b, size_t n)
{
    return fake_keep(&b->f, n * sizeof(double));
}

void bench_run(bench *b, const zoo_block_ops *ops, const void *params, const void *weights,
               uint32_t chunk)
{
    fake_run run = {ops, params, weights, WIDTH, WIDTH, 0, 0, N, chunk};
    fake_forward(&b->f, &run, b->x, b->y);
}

bool bench_agrees(bench *b)
{
    double nmse = fake_nmse(b->y, b->yd, (size_t)N * WIDTH);
    if (nmse < LIMIT) {
        return true;
    }
    (void)snprintf(b->says, sizeof b->says, "nmse %.3g, no usual mistake", nmse);
    return false;
}

void bench_suspect(bench *b, const char *mistake)
{
    if (fake_nmse(b->y, b->other, (size_t)N * WIDTH) < LIMIT) {
        (void)snprintf(b->says, sizeof b->says, "%s", mistake);
    }
}

void bench_expect(const bench *b, const char *name, const char *says)
{
    if (strcmp(b->says, says) != 0) {
        fail_msg("%s: %s%s%s", name, b->says[0] ? b->says : "no difference is found",
                 *says ? "; expected: " : "", says);
    }
}

int bench_setup(void **state)
{
    *state = malloc(sizeof(bench));
    return *state ? 0 : -1;
}

int bench_teardown(void **state)
{
    free(*state);
    return 0;
}
