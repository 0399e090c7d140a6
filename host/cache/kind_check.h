/*
 * kind_check.h: checks that a cache kind does what sdk/cache.h requires.
 */
#ifndef ZOO_CACHE_KIND_CHECK_H
#define ZOO_CACHE_KIND_CHECK_H

#include "cache/kinds.h"

/* The kind's own test vectors, to the bit. ZOO_E_PLUGIN names kind, vector and value. [load] */
zoo_status zoo_cache_kind_vectors(const zoo_cache_ops *kind, const zoo_kernels *kernels,
                                  zoo_error *err);

/*
 * All requirements of sdk/cache.h, tested on rows of several widths: test vectors; no byte written
 * beyond the page; a row reads the same whatever its neighbours, the order of stores, the page's
 * address and the number of rows read at once; a row of zeros reads as zeros; the error is at most
 * error_max; and where kernels read pages by form, read agrees with them. ZOO_E_PLUGIN: the first
 * requirement that is broken. [load]
 */
zoo_status zoo_cache_kind_check(const zoo_cache_ops *kind, const zoo_kernels *kernels,
                                zoo_error *err);

#endif
