/*
 * cache.h: what sequences remember: paged rows, rings and states of all blocks of a model.
 *
 * Streams of equal kind, window and stride form a group; a group has one page table per sequence
 * and its pages hold ZOO_PAGE rows of every stream of the group. Pages are reference-counted, so
 * that sequences with a common prefix share them; a shared page is never written. A ring's table
 * wraps: row r lies in entry (r / ZOO_PAGE) % n_ring. States are one slot per sequence.
 *
 * Memory is taken at zoo_cache_pool_new, as far as `bytes_max` allows, and never grows after.
 */
#ifndef LMZOO_CACHE_H
#define LMZOO_CACHE_H

#include "zoo.h"

typedef struct zoo_cache_pool zoo_cache_pool;

typedef struct zoo_cache_options {
    zoo_dtype dtype;  /* ZOO_F32, ZOO_BF16, ZOO_INT8, ZOO_INT4; a stream's dtype_min is respected */
    size_t bytes_max; /* 0: what limits need: seqs_max sequences of context_max positions */
    zoo_limits limits;
} zoo_cache_options;

/* What one sequence costs, for plan and inspect. */
typedef struct zoo_cache_cost {
    size_t bytes_per_page_set; /* bytes of one page of every ROWS group */
    size_t ring_bytes;         /* of all rings of one sequence, full */
    size_t state_bytes;        /* of all states of one sequence */
    size_t bytes_at;           /* all of one sequence at the asked length */
} zoo_cache_cost;

/* Adds the streams of one block; *handle is what the block's forward gets. Before
 * zoo_cache_pool_new's arena is fixed. [load] */
zoo_status zoo_cache_pool_new(const zoo_cache_options *options, zoo_cache_pool **out,
                              zoo_error *err);
zoo_status zoo_cache_pool_add(zoo_cache_pool *pool, const zoo_stream *streams, uint32_t n_streams,
                              zoo_cache **handle, zoo_error *err);
/* Computes layouts and takes the memory. After it no stream can be added. [load] */
zoo_status zoo_cache_pool_fix(zoo_cache_pool *pool, zoo_error *err);
void zoo_cache_pool_free(zoo_cache_pool *pool);
zoo_cache_cost zoo_cache_pool_cost(const zoo_cache_pool *pool, uint32_t length);

/*
 * Starts a sequence in a free slot and reserves what `length_max` positions may need, so that no
 * later step can run out. ZOO_E_MEMORY: not now (slots or pages are taken by others); ZOO_E_LIMIT:
 * never (larger than the pool).
 */
zoo_status zoo_cache_seq_open(zoo_cache_pool *pool, uint32_t length_max, uint32_t *slot,
                              zoo_error *err);
/* As above, sharing the first n_shared positions (a multiple of ZOO_PAGE) of a stored prefix
 * (below). */
zoo_status zoo_cache_seq_open_at(zoo_cache_pool *pool, uint32_t length_max, uint32_t prefix,
                                 uint32_t *slot, zoo_error *err);
void zoo_cache_seq_close(zoo_cache_pool *pool, uint32_t slot);
/* Forgets everything of the sequence but keeps its slot and reservation: it will be read again from
 * position 0. */
void zoo_cache_seq_restart(zoo_cache_pool *pool, uint32_t slot);
/* Makes pages writable for rows that positions pos .. pos + n - 1 will store. Called by the step,
 * once, before the blocks. */
zoo_status zoo_cache_seq_extend(zoo_cache_pool *pool, uint32_t slot, uint32_t pos, uint32_t n,
                                zoo_error *err);

/*
 * Keeps what `slot` remembers of its first `length` positions (a multiple of ZOO_PAGE, the sequence
 * standing exactly there) as a prefix others may start from: pages by reference, states by copy.
 */
zoo_status zoo_cache_prefix_keep(zoo_cache_pool *pool, uint32_t slot, uint32_t length,
                                 uint32_t *prefix, zoo_error *err);
void zoo_cache_prefix_drop(zoo_cache_pool *pool, uint32_t prefix);
uint32_t zoo_cache_prefix_length(const zoo_cache_pool *pool, uint32_t prefix);

/*
 * Saves all that a sequence remembers of `length` positions to bytes of the caller (as stored, not
 * widened) and puts it back into a fresh slot: the same bits. size with buffer null gives the size.
 */
zoo_status zoo_cache_seq_save(const zoo_cache_pool *pool, uint32_t slot, uint32_t length,
                              void *buffer, size_t *size, zoo_error *err);
zoo_status zoo_cache_seq_load(zoo_cache_pool *pool, uint32_t slot, const void *buffer, size_t size,
                              zoo_error *err);

/*
 * Sets the kernels that narrow rows (zoo_kernels.narrow); before the first put. */
void zoo_cache_pool_kernels(zoo_cache_pool *pool, const zoo_kernels *kernels);

#endif
