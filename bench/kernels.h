/*
 * kernels.h: what the parts of bench_kernels share.
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
    zoo_machine machine; /* its limits, for shares */
    uint32_t rows;       /* outputs of the matrix */
    double seconds;      /* to spend on one figure */
    const char *only;    /* part of the slot's name, or null */
} bench;

/* Runs fn(arg) again and again for about b->seconds; returns the best seconds of one run. */
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
