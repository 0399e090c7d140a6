/*
 * kind_check.h: whether a cache kind keeps what cache.h asks of it.
 */
#ifndef ZOO_CACHE_KIND_CHECK_H
#define ZOO_CACHE_KIND_CHECK_H

#include "cache/kinds.h"

/* The kind's own test vectors, to the bit. ZOO_E_PLUGIN names kind, vector and value. [load] */
zoo_status zoo_cache_kind_vectors(const zoo_cache_ops *kind, const zoo_kernels *kernels,
                                  zoo_error *err);

/*
 * All that cache.h promises a reader, tried on rows of several widths: vectors; bytes enough, and
 * no byte written beyond them; a row reads the same whatever stands beside it, whenever it was
 * stored, wherever the page lies and however many are read at once; nothing but 0 for a row of
 * zeros; the error of error_max; and, where kernels read pages by form, the same as they read.
 * ZOO_E_PLUGIN: the first promise that is broken. [load]
 */
zoo_status zoo_cache_kind_check(const zoo_cache_ops *kind, const zoo_kernels *kernels,
                                zoo_error *err);

#endif
