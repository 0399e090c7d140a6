/*
 * moments.h: second moments of what goes into matrices while an engine reads text.
 *
 *   H = sum over rows x of x^T x,  [inputs, inputs], the upper triangle
 *
 * The slots of products are wrapped: the call that begins with a matrix's first panel brings all
 * rows of a piece of work once. After each step the rows of each matrix are put in their order and
 * added; they are prepared rows, which the kernels of zoo_quantise_isa keep as floats. Matrices
 * that turn out to read the same rows (queries, keys and values; both halves of a gate) share one
 * H.
 *
 * Memory: an H each, and the rows of one step. One set at a time: slots have no context.
 */
#ifndef ZOO_QUANTISE_MOMENTS_H
#define ZOO_QUANTISE_MOMENTS_H

#include "kernels.h"
#include "quantise/blas.h"

typedef struct zoo_moments zoo_moments;

/* Kernels that do what `kernels` do and collect. They live as long as the program. */
const zoo_kernels *zoo_moments_wrap(const zoo_kernels *kernels);

/* Collects for the n matrices from now on, in place of others; null among them: for none.
 * ZOO_E_MEMORY. */
zoo_status zoo_moments_begin(const zoo_weight *const *weights, uint32_t n, const zoo_blas *blas,
                             zoo_moments **out, zoo_error *err);
/* After each step: adds its rows, with run(arg, n, fn, fn's argument) on the caller's threads. */
typedef void zoo_moments_run(void *arg, uint32_t n, void (*fn)(void *, uint32_t, uint32_t),
                             void *fn_arg);
zoo_status zoo_moments_add(zoo_moments *moments, zoo_moments_run *run, void *arg, zoo_error *err);
/* H of matrix i, null: no row came by; *of is the least matrix that has the same H. */
const float *zoo_moments_of(const zoo_moments *moments, uint32_t i, uint32_t *of, uint64_t *n_rows);
void zoo_moments_end(zoo_moments *moments);

#endif
