/*
 * cache.h: the KV cache of sequences: paged rows, rings and states of all blocks of a model.
 *
 * Streams of equal kind, window and stride form a group; a group has one block table per sequence
 * and its pages hold ZOO_PAGE rows of every stream of the group. Pages are reference-counted, so
 * that sequences with a common prefix share them; a shared page is never written. A ring's table
 * wraps. States are one slot per sequence.
 *
 * Memory is mapped once, at zoo_cache_pool_fix, as zero pages that cost nothing until they are
 * written, and never grows. Not thread-safe, except put, get, read and state of zoo_cache: these
 * take no lock and may run concurrently for different sequences between two calls of this header.
 */
#ifndef ZOO_CACHE_CACHE_H
#define ZOO_CACHE_CACHE_H

#include "cache/kinds.h"

typedef struct zoo_cache_pool zoo_cache_pool;

enum { ZOO_CACHE_CHOICES_MAX = 8, ZOO_STREAM_NAME_MAX = 32 };

/* The cache kind of each stream. */
typedef struct zoo_cache_choices {
    const zoo_cache_ops *kind; /* default, of streams that are not in rows */
    uint32_t n;
    struct {
        char stream[ZOO_STREAM_NAME_MAX];
        const zoo_cache_ops *kind;
    } rows[ZOO_CACHE_CHOICES_MAX];
} zoo_cache_choices;

/* The kind of a stream: the chosen one, or the host's kind of its dtype_min if the stream needs
 * that precision or the chosen kind does not suit it; null for a state. [any] */
const zoo_cache_ops *zoo_cache_choice(const zoo_cache_choices *choices, const zoo_stream *stream);

typedef struct zoo_cache_options {
    zoo_cache_choices kinds;
    /* Of pages and states; 0: enough for seqs_max sequences of context_max positions. Block tables,
     * a few bytes a page, are extra. */
    size_t bytes_max;
    zoo_limits limits; /* rows_max, seqs_max, context_max at least 1 */
    uint32_t n_marks;  /* for models with states: sequences that can hold a mark at the same time;
                          reduced to an eighth of the memory */
} zoo_cache_options;

/* Memory of one sequence, for plan and inspect. */
typedef struct zoo_cache_cost {
    size_t bytes_per_page_set; /* bytes of one page of every ROWS group */
    size_t ring_bytes;         /* of all rings of one sequence, full */
    size_t state_bytes;        /* of all states of one sequence */
    size_t bytes_at;           /* all of one sequence of the given length */
} zoo_cache_cost;

/* Memory of a row of a stream if the user chooses kind `wanted`. */
typedef struct zoo_row_cost {
    const zoo_cache_ops *kind; /* null: a state, float32 */
    double bytes;              /* of a row of all heads, scales included; of a state: all of it */
    double bits;               /* of a value */
} zoo_row_cost;
zoo_row_cost zoo_cache_row_cost(const zoo_stream *decl, const zoo_cache_ops *wanted);

/* An empty pool. ZOO_E_USAGE: a limit is out of range or no kind is given. [load] */
zoo_status zoo_cache_pool_new(const zoo_cache_options *options, zoo_cache_pool **out,
                              zoo_error *err);
/* Sets the kernels that store and read rows; before the first put. Referenced, not copied. */
void zoo_cache_pool_kernels(zoo_cache_pool *pool, const zoo_kernels *kernels);
/* Replaces bytes_max, before zoo_cache_pool_fix. */
void zoo_cache_pool_limit(zoo_cache_pool *pool, size_t bytes_max);
/*
 * Adds the streams of one block, before zoo_cache_pool_fix; *handle is passed to the block's
 * forward and owned by the pool. After an error the pool can only be freed. ZOO_E_PLUGIN,
 * ZOO_E_LIMIT, ZOO_E_MEMORY. [load]
 */
zoo_status zoo_cache_pool_add(zoo_cache_pool *pool, const zoo_stream *streams, uint32_t n_streams,
                              zoo_cache **handle, zoo_error *err);
/* The streams of this block are stored by another process, which makes the same calls on the same
 * pool: they are counted here, but get no memory. Before zoo_cache_pool_fix. */
void zoo_cache_set_remote(zoo_cache *cache);
/* Upper bound of the share of bytes_max that streams stored in this process take, 0 to 1. */
double zoo_cache_pool_share(zoo_cache_pool *pool);
/* Allocates the memory. ZOO_E_MEMORY: bytes_max is below what rings and states of seqs_max
 * sequences need, or the system has not enough. [load] */
zoo_status zoo_cache_pool_fix(zoo_cache_pool *pool, zoo_error *err);
/* pool may be null. */
void zoo_cache_pool_free(zoo_cache_pool *pool);
/* Memory of a sequence of `length` positions with the streams added so far, whether or not it fits.
 */
zoo_cache_cost zoo_cache_pool_cost(const zoo_cache_pool *pool, uint32_t length);

/*
 * Opens a sequence in a free slot, with zero states, and reserves pages for `length_max` positions,
 * so that no later step can run out of them. ZOO_E_MEMORY: no free slot or pages now; ZOO_E_LIMIT:
 * larger than the pool.
 */
zoo_status zoo_cache_seq_open(zoo_cache_pool *pool, uint32_t length_max, uint32_t *slot,
                              zoo_error *err);
/* As above, starting with the first `length` positions of a kept prefix (below): all of it, or a
 * multiple of zoo_cache_pool_grain. ZOO_E_USAGE: another length. */
zoo_status zoo_cache_seq_open_at(zoo_cache_pool *pool, uint32_t length_max, uint32_t prefix,
                                 uint32_t length, uint32_t *slot, zoo_error *err);
/* Releases the slot, its pages and its reservation; no effect if it is not open. */
void zoo_cache_seq_close(zoo_cache_pool *pool, uint32_t slot);
/*
 * Truncates the sequence to length 0 but keeps its slot and reservation. Shared pages are replaced
 * by own ones: ZOO_E_MEMORY if there are not enough, and the sequence is unchanged. Cannot fail for
 * a sequence without shared pages.
 */
zoo_status zoo_cache_seq_restart(zoo_cache_pool *pool, uint32_t slot, zoo_error *err);
/*
 * Makes the rows of positions pos .. pos + n - 1 writable (from row pos / stride on). Called once a
 * step, before the blocks. pos is the sequence's length, or, to repeat a failed step, any position
 * from where the last call began. ZOO_E_LIMIT: n is above rows_max or the end above length_max.
 */
zoo_status zoo_cache_seq_extend(zoo_cache_pool *pool, uint32_t slot, uint32_t pos, uint32_t n,
                                zoo_error *err);

/*
 * Marks the sequence's length, so that the next extend can be undone; states are copied. False: all
 * n_marks copies are in use. Without states it costs nothing and always succeeds.
 */
bool zoo_cache_seq_mark(zoo_cache_pool *pool, uint32_t slot);
/*
 * Truncates the sequence to `length`, which is not before the mark, and releases the mark. Returns
 * the new length: `length`, or with states (unless nothing is truncated) that of the mark, and the
 * caller must run the positions between again. Without states a sequence can be truncated over
 * several steps, by less than rows_max positions in all, which rings still hold.
 */
uint32_t zoo_cache_seq_rewind(zoo_cache_pool *pool, uint32_t slot, uint32_t length);

/*
 * Keeps the cache of `slot` as a prefix from which other sequences can start. The sequence must be
 * exactly `length` positions long, at least 1. Full pages of ROWS are shared by reference; a partly
 * filled page, rings and states are copied. ZOO_E_MEMORY: other prefixes must be dropped first.
 */
zoo_status zoo_cache_prefix_keep(zoo_cache_pool *pool, uint32_t slot, uint32_t length,
                                 uint32_t *prefix, zoo_error *err);
/* Sequences that started from it are not affected; no effect if it is not kept. */
void zoo_cache_prefix_drop(zoo_cache_pool *pool, uint32_t prefix);
/* Positions of a kept prefix; 0: not kept. */
uint32_t zoo_cache_prefix_length(const zoo_cache_pool *pool, uint32_t prefix);
/* A sequence may start inside a kept prefix at multiples of this; 0: only at its end, as rings and
 * states cannot be truncated. */
uint32_t zoo_cache_pool_grain(const zoo_cache_pool *pool);
/* Share of pages in use or reserved, in the fullest group of ROWS: 0 to 1. */
double zoo_cache_pool_fill(const zoo_cache_pool *pool);

/* For tests: pages in total, in use and reserved. */
typedef struct zoo_cache_use {
    uint64_t n_pages, n_held, n_reserved;
    uint32_t n_prefixes_max;
    size_t mapped; /* bytes */
} zoo_cache_use;
zoo_cache_use zoo_cache_pool_use(const zoo_cache_pool *pool);

#endif
