/*
 * validate.h: checks a request file line by line as a run would, without running it: errors, number
 * of tokens, and an estimate of the time from a short measurement of the first good rows.
 */
#ifndef ZOO_BATCH_VALIDATE_H
#define ZOO_BATCH_VALIDATE_H

#include <stdio.h>

#include "batch/batch.h"

typedef struct zoo_validation {
    uint64_t n_good, n_bad;
    uint64_t kinds[ZOO_RESULT_CODES];
    uint64_t prompt_tokens, new_tokens; /* of good rows; new ones at most */
    uint32_t longest;                   /* prompt */
    double tokens_a_second;             /* 0: not measured */
    bool interrupted;
} zoo_validation;

/* Of the job input, loaded model, limits and stop are used. errors: gets the line of the errors
 * file for every bad line, or null; words: a sentence for the first bad lines. ZOO_E_IO,
 * ZOO_E_MEMORY. */
zoo_status zoo_batch_validate(const zoo_batch_job *job, FILE *errors, FILE *words,
                              zoo_validation *out, zoo_error *err);

/* The result as one JSON object and a line feed. */
void zoo_validation_print(const zoo_validation *v, FILE *file);

#endif
