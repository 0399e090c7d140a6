/*
 * plain_bench.h: a block and its page of plain.h side by side, over the same random rows, and which
 * usual mistake explains a difference.
 */
#ifndef LMZOO_TESTS_PLAIN_BENCH_H
#define LMZOO_TESTS_PLAIN_BENCH_H

#include "fake.h"
#include "plain.h"

enum { N = 70, WIDTH = 24, BENCH_CHUNKS = 3 };

/* How many rows at a time: all, one, sixteen. */
extern const uint32_t bench_chunks[BENCH_CHUNKS];

typedef struct bench {
    fake f;
    float x[N * WIDTH], y[N * WIDTH];
    double xd[N * WIDTH], yd[N * WIDTH], other[N * WIDTH];
    char says[256]; /* "": block and page agree; else the mistake */
} bench;

/* A fresh fake host, and x filled. */
void bench_open(bench *b);
void *bench_widened(fake *f, const float *x, size_t n);
/* The tensor in a field of the weights struct, as double. */
double *bench_tensor(bench *b, size_t field);
double *bench_zeros(bench *b, size_t n);
/* The block's y of x, `chunk` rows at a time. */
void bench_run(bench *b, const zoo_block_ops *ops, const void *params, const void *weights,
               uint32_t chunk);
/* Whether y is what the page gives, in b->yd. */
bool bench_agrees(bench *b);
/* b->other holds what the page gives with this mistake. */
void bench_suspect(bench *b, const char *mistake);
/* Fails the test unless the bench says so. */
void bench_expect(const bench *b, const char *name, const char *says);

/* For cmocka: a bench as the group's state. */
int bench_setup(void **state);
int bench_teardown(void **state);

#endif
