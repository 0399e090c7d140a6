/*
 * counting_kernels.h: a kernel table whose matrix products also count operations and bytes of
 * weights. For benchmarks; results are those of the table it wraps.
 */
#ifndef ZOO_EVALUATE_COUNTING_KERNELS_H
#define ZOO_EVALUATE_COUNTING_KERNELS_H

#include "kernels.h"

typedef struct zoo_kernel_counts {
    uint64_t operations[ZOO_WEIGHT_KINDS]; /* a multiply-add counts as two */
    uint64_t bytes; /* of weights and scales, once for each call: once a step below 65 rows */
} zoo_kernel_counts;

/* The one counting table of the process, now in front of `kernels`. */
const zoo_kernels *zoo_counting_kernels_wrap(const zoo_kernels *kernels);
/* Returns the counts since the last call and resets them. */
zoo_kernel_counts zoo_counting_kernels_take(void);

#endif
