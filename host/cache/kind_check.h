/*
 * kind_check.h: checks that a cache kind fulfils the contract of sdk/cache.h.
 */
#ifndef ZOO_CACHE_KIND_CHECK_H
#define ZOO_CACHE_KIND_CHECK_H

#include "cache/kinds.h"

/* Checks the kind's own test vectors, to the bit. ZOO_E_PLUGIN names kind, vector and value.
 * [load] */
zoo_status zoo_cache_kind_vectors(const zoo_cache_ops *kind, const zoo_kernels *kernels,
                                  zoo_error *err);

/*
 * Checks all requirements of sdk/cache.h, on rows of several widths: test vectors; no writes
 * outside the page; a row does not depend on its neighbours, the order of stores, the page's
 * address or the number of rows read at once; zeros read as zeros; the error is at most error_max;
 * if the kind names a form, read agrees with the kernels. ZOO_E_PLUGIN names the first violation.
 * [load]
 */
zoo_status zoo_cache_kind_check(const zoo_cache_ops *kind, const zoo_kernels *kernels,
                                zoo_error *err);

#endif
