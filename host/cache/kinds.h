/*
 * kinds.h: the host's own cache kinds, which kind keeps a stream, and how many bits it takes.
 */
#ifndef ZOO_CACHE_KINDS_H
#define ZOO_CACHE_KINDS_H

#include "zoo.h"

/* Of a head: longer rows are kept in bf16 instead of a kind that Hadamard-transforms them. */
enum { ZOO_TURNED_WIDTH_MAX = 4096 };

/* Indexed by zoo_dtype: f32, bf16, int8, int4; ends with null. [any] */
extern const zoo_cache_ops *const zoo_cache_kinds[];

/* The host's kind of that name; null: none. [any] */
const zoo_cache_ops *zoo_cache_kind(const char *name);

/* The kind for a stream when the user wants `asked`: asked itself, or the host's kind of dtype_min
 * where the stream needs more precision or asked does not suit it. [any] */
const zoo_cache_ops *zoo_cache_kind_for(const zoo_stream *stream, const zoo_cache_ops *asked);

/* Bits of a value in pages of `width` values a row, scales included. [any] */
double zoo_cache_kind_bits(const zoo_cache_ops *kind, uint32_t width);

#endif
