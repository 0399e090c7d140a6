/*
 * machine.h: the machine's limits, measured on request: read bandwidth, and multiply-adds for each
 * kind of weights. Benchmarks report shares of them.
 */
#ifndef ZOO_EVALUATE_MACHINE_H
#define ZOO_EVALUATE_MACHINE_H

#include "base/pool.h"
#include "kernels.h"

typedef struct zoo_machine {
    double read;                   /* bytes a second from memory, all threads together */
    double peak[ZOO_WEIGHT_KINDS]; /* operations a second, all threads; 0: not known */
} zoo_machine;

/* The best of several runs; takes about two seconds and, meanwhile, 512 MiB. ZOO_E_MEMORY. */
zoo_status zoo_machine_measure(const zoo_kernels *kernels, zoo_pool *pool, zoo_machine *out,
                               zoo_error *err);

#endif
