/*
 * kinds.h: the host's own cache kinds, and what a kind takes.
 */
#ifndef ZOO_CACHE_KINDS_H
#define ZOO_CACHE_KINDS_H

#include "zoo.h"

enum { ZOO_TURNED_WIDTH_MAX = 4096 }; /* of a head: longer rows are not turned, but kept in bf16 */

/* f32, bf16, int8, int4, null: at the places of their zoo_dtype. [any] */
extern const zoo_cache_ops *const zoo_cache_kinds[];

/* The host's kind of that name; null: none. [any] */
const zoo_cache_ops *zoo_cache_kind(const char *name);

/* How a row of the stream is kept when `asked` is what the user wants: asked itself, or the host's
 * kind of dtype_min where the stream tolerates no less or asked does not suit it. [any] */
const zoo_cache_ops *zoo_cache_kind_for(const zoo_stream *stream, const zoo_cache_ops *asked);

/* Bits of a value in pages of `width` values a row, scales included. [any] */
double zoo_cache_kind_bits(const zoo_cache_ops *kind, uint32_t width);

#endif
