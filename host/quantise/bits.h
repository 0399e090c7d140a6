/*
 * bits.h: spends a budget of bits where they take away most of the error.
 *
 * All matrices begin with 4 bits. The steps of all, from 4, 5 or 6 to more, are taken by what they
 * gain a bit, as far as the budget goes. With measured costs (costs.h) the gain is KL divergence.
 * Without, it is the error of the outputs, and the output matrix comes first, then matrices that
 * their blocks mark as wide. Experts of a block share their prepared rows, so they step together.
 */
#ifndef ZOO_QUANTISE_BITS_H
#define ZOO_QUANTISE_BITS_H

#include "quantise/job.h"

typedef struct zoo_bits_result {
    double bits, kl;                 /* a weight; the divergence expected, 0 without costs */
    uint32_t n_kinds[ZOO_JOB_KINDS]; /* tensors of each kind */
} zoo_bits_result;

/* Bits a weight in memory, with scales and steps. */
double zoo_bits_of(uint32_t kind);
/* Sets kind of every job out of those that are done. measured: they have costs. ZOO_E_MEMORY. */
zoo_status zoo_bits_choose(zoo_jobs *jobs, bool measured, double budget, zoo_bits_result *out,
                           zoo_error *err);

#endif
