/* quantise_private.h: what quantise.c and matrices.c share. */
#ifndef ZOO_QUANTISE_PRIVATE_H
#define ZOO_QUANTISE_PRIVATE_H

#include "quantise/factor.h"
#include "quantise/job.h"
#include "quantise/moments.h"
#include "quantise/quantise.h"

/* A factor of the inputs as they are, or rotated. */
typedef struct zoo_quantise_factor {
    zoo_factor factor;
    uint32_t of; /* the entry of the moments that it was made from; UINT32_MAX: of none */
} zoo_quantise_factor;

typedef struct zoo_quantising {
    zoo_engine *engine;
    zoo_model *model;
    const zoo_quantise_options *options;
    zoo_quantise_report *report;
    zoo_blas blas;
    zoo_jobs jobs;
    zoo_moments *moments; /* of the matrices of jobs begin .. end - 1, stacks one by one */
    uint32_t begin, end;
    zoo_quantise_factor factors[2]; /* the second: of rotated inputs */
    uint32_t n_done;
} zoo_quantising;

/* Whether a part of this kind is needed: one of more bits only if the budget may allow it, and of 8
 * where the budget leaves no other use for bits, or the block asks for them. */
bool zoo_quantise_wants(const zoo_quantising *r, const zoo_job *job, uint32_t kind);
/* The first entry of job i among the moments of the round. */
uint32_t zoo_quantise_entry(const zoo_quantising *r, uint32_t i);
/* Makes the parts of job i in all kinds that are wanted. ZOO_E_MEMORY, ZOO_E_IO, ZOO_E_FORMAT. */
zoo_status zoo_quantise_make(zoo_quantising *r, uint32_t i, zoo_error *err);
/* Frees the factors. */
void zoo_quantise_forget(zoo_quantising *r);

#endif
