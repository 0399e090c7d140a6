/*
 * openblas.h: what the openblas level has beside its slots (gemm_float_openblas.c).
 */
#ifndef ZOO_HOST_OPENBLAS_H
#define ZOO_HOST_OPENBLAS_H

#include "kernels/kernels.inc"

/* Loads OpenBLAS and holds it to one thread a call. Returns openblas-<version>-<core>, which lives
 * for ever: what else its bits depend on; null: the library is not there. Before other calls, by
 * one thread. [load] */
const char *zoo_openblas_begin(void);

/* Whether a row's bits depend neither on its place nor on its company in products of `cols`
 * inputs. Thread-safe. [load] */
bool zoo_openblas_agrees(uint32_t cols);

/* One product, which takes a buffer that the caller's next ones take again. [load] */
void zoo_openblas_touch(void);

#endif
