/*
 * kernels.h: timing and output, shared by the parts of bench_kernels.
 */
#ifndef ZOO_BENCH_KERNELS_H
#define ZOO_BENCH_KERNELS_H

#include "zoo.h"

#include "base/pool.h"
#include "evaluate/machine.h"
#include "kernels/select.h"

typedef struct bench {
    const zoo_kernels *k;
    const char *isa;
    zoo_pool *pool;
    zoo_machine machine; /* measured peaks, of which figures are shares */
    uint32_t rows;       /* outputs of the matrix */
    double seconds;      /* per figure */
    const char *only;    /* part of the slot's name, or null */
} bench;

/* Runs fn(arg) repeatedly for about b->seconds; returns the best time of one run, in seconds. */
double bench_time(const bench *b, void (*fn)(void *), void *arg);
/*
 * One JSON line: bytes and operations of one run, and the shares of the machine's reads from memory
 * and of its multiply-adds of this kind of weights (ZOO_F32 outside matrix products).
 */
void bench_print(const bench *b, const char *slot, const char *shape, double seconds, double bytes,
                 double operations, uint32_t kind);
bool bench_wanted(const bench *b, const char *slot);
/* n bytes with small random floats in them, 64-byte aligned; ends the program without memory. */
void *bench_take(size_t n);

void bench_slots(const bench *b);

#endif
