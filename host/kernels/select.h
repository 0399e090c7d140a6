/*
 * select.h: the kernel table of this CPU.
 */
#ifndef ZOO_HOST_SELECT_H
#define ZOO_HOST_SELECT_H

#include "kernels.h"

typedef uint64_t zoo_k_peak(uint64_t n);

/*
 * The table of instruction set `isa` ("scalar", "openblas", "avx2", ...: docs/cpus.md),
 * or of the best one for null: scalar kernels, overwritten level by level up to it. The table is
 * constant and lives for ever; its isa is the name, and of openblas also what its bits depend on,
 * which is taken as a name too. Null and ZOO_E_USAGE for a name that is unknown
 * or that this CPU or its system lacks. Thread-safe. [load]
 */
const zoo_kernels *zoo_kernels_select(const char *isa, zoo_error *err);

/* Name of the i-th instruction set that this CPU has, ascending; null beyond the last. */
const char *zoo_kernels_isa(uint32_t i);

/*
 * Whether products of `k` with weights of this kind and so many inputs keep the promise of
 * kernels.h, that a row's result does not depend on the rows beside it. Ours do; OpenBLAS is asked,
 * once for each size. ZOO_E_UNSUPPORTED. Thread-safe. [load]
 */
zoo_status zoo_kernels_check(const zoo_kernels *k, uint32_t kind, uint32_t cols, zoo_error *err);

/* Touches what a thread's products keep between calls (OpenBLAS's buffers), so that no step waits
 * for memory. Called by all threads at the same time: a buffer goes to the next caller. [load] */
void zoo_kernels_begin(const zoo_kernels *k);

/*
 * Rows [n <= 16, w->cols] to one panel of w, whose data and scales are given, by the best
 * instruction set; the same bits by all. Group sizes are those that pack.h allows. [load]
 */
void zoo_kernels_pack_panel(const zoo_weight *w, const float *rows, uint32_t n, void *data,
                            uint16_t *scales);

/*
 * Nothing but multiply-adds, as products with weights of this kind do them at level `isa`: n rounds
 * on registers; returns the operations done. Null where it is not known (scalar).
 */
zoo_k_peak *zoo_kernels_peak(const char *isa, uint32_t kind);

#endif
