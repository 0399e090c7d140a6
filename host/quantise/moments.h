/*
 * moments.h: second moments of the inputs of matrices, collected while an engine runs a text.
 *
 *   H = sum over rows x of x^T x,  [inputs, inputs], the upper triangle
 *
 * The gemm slots are wrapped: of the calls that divide a product by panels, the one with the first
 * panel records the rows. After each step the rows of each matrix are sorted and added, so that the
 * sum does not depend on threads. They are prepared rows, which the kernels of zoo_quantise_isa
 * keep as floats. Matrices that read the same rows (queries, keys and values; both halves of a
 * gate) share one H.
 *
 * Memory: one H each, and the rows of one step. One set at a time, since slots have no context.
 */
#ifndef ZOO_QUANTISE_MOMENTS_H
#define ZOO_QUANTISE_MOMENTS_H

#include "kernels.h"
#include "quantise/blas.h"

typedef struct zoo_moments zoo_moments;

/* A table that computes as `kernels` and records rows. Static; never freed. */
const zoo_kernels *zoo_moments_wrap(const zoo_kernels *kernels);

/* Starts recording for weights [n]; null entries are skipped. Replaces an earlier set.
 * ZOO_E_MEMORY. */
zoo_status zoo_moments_begin(const zoo_weight *const *weights, uint32_t n, const zoo_blas *blas,
                             zoo_moments **out, zoo_error *err);
/* Runs fn(fn_arg, i, worker) for i < n on the caller's threads. */
typedef void zoo_moments_run(void *arg, uint32_t n, void (*fn)(void *, uint32_t, uint32_t),
                             void *fn_arg);
/* Adds the rows of the step that has just ended. ZOO_E_MEMORY. */
zoo_status zoo_moments_add(zoo_moments *moments, zoo_moments_run *run, void *arg, zoo_error *err);
/* H of matrix i, null if it had no rows; *of: the first matrix that shares this H; *n_rows: rows
 * added. */
const float *zoo_moments_of(const zoo_moments *moments, uint32_t i, uint32_t *of, uint64_t *n_rows);
/* Stops recording and frees everything; moments may be null. */
void zoo_moments_end(zoo_moments *moments);

#endif
