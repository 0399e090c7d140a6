/*
 * factor.h: what feedback of one matrix needs of its inputs' second moments: H in the order of
 * quantisation, the factor of its inverse, and the weights of squares.
 *
 * Memory: 2 cols^2 floats, 3 while a rotated one is made.
 */
#ifndef ZOO_QUANTISE_FACTOR_H
#define ZOO_QUANTISE_FACTOR_H

#include "quantise/blas.h"

#define ZOO_DAMPING_MIN 0.1

/* All null: no activations. */
typedef struct zoo_factor {
    float *h;        /* [cols, cols] upper triangle, rows and columns in `order`, a mean */
    float *factor;   /* [cols, cols] U with U^T U = (H + d I)^-1; null: H has none */
    float *weight;   /* [cols] the diagonal of H, in the file's order */
    uint32_t *order; /* [cols] by descending diagonal */
    double damping;  /* d over the mean of the diagonal */
} zoo_factor;

/* h [cols, cols], the upper triangle: a sum over n_rows rows. rotated: of these rows with each
 * group of 64 columns rotated (kernels.h). ZOO_E_MEMORY. */
zoo_status zoo_factor_make(const zoo_blas *blas, const float *h, uint32_t cols, double n_rows,
                           bool rotated, zoo_factor *out, zoo_error *err);
/* Frees everything and clears f. */
void zoo_factor_free(zoo_factor *f);

#endif
