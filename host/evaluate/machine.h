/*
 * machine.h: what this machine can do at most, measured when asked: reads from memory and
 * multiply-adds of each kind of weights. For benchmarks, which tell shares of it.
 */
#ifndef ZOO_EVALUATE_MACHINE_H
#define ZOO_EVALUATE_MACHINE_H

#include "base/pool.h"
#include "kernels.h"

typedef struct zoo_machine {
    double read;                   /* bytes a second from memory, all threads together */
    double peak[ZOO_WEIGHT_KINDS]; /* operations a second, all threads; 0: not known */
} zoo_machine;

/* Takes about two seconds and 512 MiB for their time; the best of some runs. ZOO_E_MEMORY. */
zoo_status zoo_machine_measure(const zoo_kernels *kernels, zoo_pool *pool, zoo_machine *out,
                               zoo_error *err);

#endif
