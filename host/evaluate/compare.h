/*
 * compare.h: two files of named activations, tensor by tensor, in the order in which a model
 * computes them.
 *
 *   nmse = sum((a - b)^2) / sum(b^2) over one whole tensor; b is the reference
 *
 * The first tensor out of tolerance is where the mistake is; a guess at its kind comes from how the
 * values differ.
 */
#ifndef ZOO_EVALUATE_COMPARE_H
#define ZOO_EVALUATE_COMPARE_H

#include "checkpoint/safetensors.h"

typedef struct zoo_compare_options {
    const char *prefix_a, *prefix_b; /* "" or e.g. "2/": only names that begin so, without it */
    double limit;                    /* nmse that a tensor may have */
    bool json;
} zoo_compare_options;

typedef struct zoo_compare_result {
    uint32_t n_compared, n_out, n_only_a, n_only_b;
    double worst;
    char first[256]; /* name of the first tensor out of tolerance */
    char guess[256];
} zoo_compare_result;

/* Compares and prints the table to out. ZOO_E_FORMAT: no tensor is in both. [any] */
zoo_status zoo_compare(const zoo_tensors *a, const zoo_tensors *b,
                       const zoo_compare_options *options, FILE *out, zoo_compare_result *result,
                       zoo_error *err);

/* How a tensor differs from its reference; infinite where they have not the same size. */
typedef struct zoo_compare_figures {
    bool same_size;
    double nmse, largest; /* largest: of all differences */
} zoo_compare_figures;

/*
 * Compares a with its reference b. Dimensions of 1 count for nothing; a residual stream of several
 * streams is [n, streams, width] in a and may be [streams, n, width] in b. [any]
 */
zoo_status zoo_compare_tensors(const zoo_tensor *a, const zoo_tensor *b, zoo_compare_figures *out,
                               zoo_error *err);

/* A tensor and its reference, both [n_rows, width]. */
typedef struct zoo_compare_pair {
    const char *name;
    const float *x, *y; /* y: the reference */
    uint64_t n_rows, width;
    double limit; /* nmse */
} zoo_compare_pair;

/* A guess in words at why x differs from y: a sentence of at most n bytes. [any] */
void zoo_compare_guess(const zoo_compare_pair *pair, char *text, size_t n);

#endif
