/*
 * kinds.h: the host's own cache kinds, the choice of a stream's kind, and bits per value.
 */
#ifndef ZOO_CACHE_KINDS_H
#define ZOO_CACHE_KINDS_H

#include "zoo.h"

/* Largest row of a head that is Hadamard-rotated; longer rows use bf16 instead. */
enum { ZOO_HADAMARD_WIDTH_MAX = 4096 };

/* Indexed by zoo_dtype: f32, bf16, int8, int4; ends with null. [any] */
extern const zoo_cache_ops *const zoo_cache_kinds[];

/* The host's kind of that name; null: none. [any] */
const zoo_cache_ops *zoo_cache_kind(const char *name);

/* The kind of a stream if the user chooses `wanted`: wanted itself, or the host's kind of dtype_min
 * if the stream needs more precision or wanted does not suit it. [any] */
const zoo_cache_ops *zoo_cache_kind_for(const zoo_stream *stream, const zoo_cache_ops *wanted);

/* Bits of a value in pages of `width` values a row, scales included. [any] */
double zoo_cache_kind_bits(const zoo_cache_ops *kind, uint32_t width);

#endif
