/*
 * compare.h: two files of named activations, tensor by tensor, in the order in which a model
 * computes them.
 *
 *   nmse = sum((a - b)^2) / sum(b^2) over one whole tensor; b is the reference
 *
 * The first tensor out of tolerance is where the mistake is; a guess at its kind comes from how the
 * values differ.
 */
#ifndef ZOO_HOST_COMPARE_H
#define ZOO_HOST_COMPARE_H

#include "safetensors.h"

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

/*
 * A guess in words at why x differs from the reference y, both [n_rows, width]; name is that of the
 * tensor. Writes a sentence of at most n bytes. [any]
 */
void zoo_compare_guess(const char *name, const float *x, const float *y, uint64_t n_rows,
                       uint64_t width, double limit, char *text, size_t n);

#endif
