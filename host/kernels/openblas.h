/*
 * openblas.h: functions of the openblas level outside the table (gemm_float_openblas.c).
 */
#ifndef ZOO_HOST_OPENBLAS_H
#define ZOO_HOST_OPENBLAS_H

#include "kernels/kernels.inc"

/* Loads OpenBLAS, limited to one thread per call. Returns the level's full name,
 * openblas-<version>-<core>, which names what its bits depend on and is never freed; null: the
 * library is missing. Before the other calls, by one thread. [load] */
const char *zoo_openblas_begin(void);

/* Whether a row's bits in products of `cols` inputs depend neither on its index nor on the other
 * rows. Thread-safe. [load] */
bool zoo_openblas_agrees(uint32_t cols);

/* Runs one product, which makes the library allocate a buffer for the calling thread. [load] */
void zoo_openblas_touch(void);

#endif
