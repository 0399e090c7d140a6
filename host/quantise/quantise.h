/*
 * quantise.h: a checkpoint to one of 4 to 8 bits a weight, with a text's activations or without.
 *
 *   for some matrices after the other, as many as statistics have room:
 *     the text through the model -> moments (moments.h) -> factor (blas.h)
 *     -> codes of 4 and of more bits with their errors (feedback.h) -> parts on disk (job.h)
 *   then more bits up to the budget: 5 for the output matrix, 8 for those that their blocks want
 *   wide, 5 where they take most error away for a bit; the folder (folder.h)
 *
 * Activations are those of the model as it is, so a matrix's codes depend on no other's, and a run
 * that was killed goes on with the parts that are there to the same bytes. The error of a matrix is
 * what its outputs lose of their squares, as a share.
 *
 * Memory: the model, one H at least and as many as the model is large, and what a matrix's codes
 * take.
 */
#ifndef ZOO_QUANTISE_QUANTISE_H
#define ZOO_QUANTISE_QUANTISE_H

#include "engine/engine.h"
#include "evaluate/score.h"

typedef struct zoo_quantise_options {
    const char *folder;           /* of the result; made where it is missing */
    double bits;                  /* a weight at most, of all quantised matrices */
    const zoo_score_texts *texts; /* null: no statistics */
    const char *text_name;        /* for the note */
    uint64_t text_hash;
    bool shows_progress;
} zoo_quantise_options;

typedef struct zoo_quantise_report {
    uint32_t n_matrices, n_wide, n_eight; /* of them with 5 and 8 bits */
    uint32_t n_resumed;                   /* whose parts were there */
    uint32_t n_unseen;                    /* matrices that no row of the text reached */
    uint32_t n_damped;                    /* whose factor needed more damping */
    uint64_t n_tokens;                    /* read */
    double bits;
} zoo_quantise_report;

/* The kernels that an engine for this must be opened with: the best that read rows as floats. */
const char *zoo_quantise_isa(void);

/* ZOO_E_USAGE: fewer bits than there are, a folder that holds a checkpoint; ZOO_E_UNSUPPORTED,
 * ZOO_E_MEMORY, ZOO_E_IO. Parts that are done stay. */
zoo_status zoo_quantise_run(zoo_engine *engine, const zoo_quantise_options *options,
                            zoo_quantise_report *report, zoo_error *err);

#endif
