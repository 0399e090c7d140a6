/*
 * select.h: the kernel table of this CPU.
 */
#ifndef ZOO_HOST_SELECT_H
#define ZOO_HOST_SELECT_H

#include "kernels.h"

typedef uint64_t zoo_k_peak(uint64_t n);

/*
 * The table of instruction set `isa` ("scalar", "openblas", "avx2", ...: docs/cpus.md), or of the
 * best one for null: scalar kernels, overwritten level by level up to it. The table is constant and
 * never freed; table->isa is the name, for openblas with its version and CPU type, which is
 * accepted as a name too. Null and ZOO_E_USAGE for an unknown name, or if CPU or operating system
 * lack it. Thread-safe. [load]
 */
const zoo_kernels *zoo_kernels_select(const char *isa, zoo_error *err);

/* Name of the i-th instruction set that this CPU has, ascending; null beyond the last. */
const char *zoo_kernels_isa(uint32_t i);

/*
 * Whether products of `k` with weights of this kind and `cols` inputs keep the contract of
 * kernels.h that a row's result does not depend on the other rows. Our kernels do; OpenBLAS is
 * tested, once for each size. ZOO_E_UNSUPPORTED. Thread-safe. [load]
 */
zoo_status zoo_kernels_check(const zoo_kernels *k, uint32_t kind, uint32_t cols, zoo_error *err);

/* Makes OpenBLAS allocate its buffer for the calling thread, so that no step does. To be called by
 * all threads at the same time, since a free buffer is reused by the next caller. [load] */
void zoo_kernels_begin(const zoo_kernels *k);

/*
 * Packs rows [n <= 16, w->cols] to one panel of w, at data and scales, with the best instruction
 * set; all give the same bits. For allowed group sizes see pack.h. [load]
 */
void zoo_kernels_pack_panel(const zoo_weight *w, const float *rows, uint32_t n, void *data,
                            uint16_t *scales);

/*
 * The peak benchmark of the multiply-add instruction that level `isa` uses for weights of this kind
 * (peak.inc): n rounds on registers; returns the number of operations. Null: none (scalar).
 */
zoo_k_peak *zoo_kernels_peak(const char *isa, uint32_t kind);

#endif
