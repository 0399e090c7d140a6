/*
 * cache.h: the KV cache of sequences: paged rows, rings and states of all blocks of a model.
 *
 * Streams of equal kind, window and stride form a group; a group has one block table per sequence
 * and its pages hold ZOO_PAGE rows of every stream of the group. Pages are reference-counted, so
 * that sequences with a common prefix share them; a shared page is never written. A ring's table
 * wraps. States are one slot per sequence.
 *
 * Memory is mapped once, at zoo_cache_pool_fix, as zero pages that cost nothing until they are
 * written, and never grows after. Not thread-safe, but for put, get, read and state of zoo_cache:
 * those take no lock and may run side by side for different sequences between two calls from here.
 */
#ifndef ZOO_CACHE_CACHE_H
#define ZOO_CACHE_CACHE_H

#include "cache/kinds.h"

typedef struct zoo_cache_pool zoo_cache_pool;

enum { ZOO_CACHE_CHOICES_MAX = 8, ZOO_STREAM_NAME_MAX = 32 };

/* Which kind keeps which streams. */
typedef struct zoo_cache_choices {
    const zoo_cache_ops *kind; /* of streams that no row names */
    uint32_t n;
    struct {
        char stream[ZOO_STREAM_NAME_MAX];
        const zoo_cache_ops *kind;
    } rows[ZOO_CACHE_CHOICES_MAX];
} zoo_cache_choices;

/* The kind that keeps rows of a stream: the chosen one, or the host's kind of its dtype_min where
 * the stream needs that precision or the chosen kind does not suit it; null for a state. [any] */
const zoo_cache_ops *zoo_cache_choice(const zoo_cache_choices *choices, const zoo_stream *stream);

typedef struct zoo_cache_options {
    zoo_cache_choices kinds;
    /* Of pages and states; 0: what limits need, seqs_max sequences of context_max positions.
     * Tables, some bytes a page, come on top. */
    size_t bytes_max;
    zoo_limits limits; /* rows_max, seqs_max, context_max at least 1 */
    uint32_t n_marks;  /* of models with states: sequences that hold a mark at once; fewer where
                          they would take more than an eighth of the memory */
} zoo_cache_options;

/* What one sequence costs, for plan and inspect. */
typedef struct zoo_cache_cost {
    size_t bytes_per_page_set; /* bytes of one page of every ROWS group */
    size_t ring_bytes;         /* of all rings of one sequence, full */
    size_t state_bytes;        /* of all states of one sequence */
    size_t bytes_at;           /* all of one sequence at the asked length */
} zoo_cache_cost;

/* What a row of a stream takes when the user asks for kind `asked`. */
typedef struct zoo_row_cost {
    const zoo_cache_ops *kind; /* null: a state, float32 */
    double bytes;              /* of a row of all heads, scales included; of a state: all of it */
    double bits;               /* of a value */
} zoo_row_cost;
zoo_row_cost zoo_cache_row_cost(const zoo_stream *decl, const zoo_cache_ops *asked);

/* An empty pool. ZOO_E_USAGE: limits make no sense or there is no kind. [load] */
zoo_status zoo_cache_pool_new(const zoo_cache_options *options, zoo_cache_pool **out,
                              zoo_error *err);
/* Sets the kernels that rows are stored and read with; before the first put. */
void zoo_cache_pool_kernels(zoo_cache_pool *pool, const zoo_kernels *kernels);
/* Replaces bytes_max, before zoo_cache_pool_fix. */
void zoo_cache_pool_limit(zoo_cache_pool *pool, size_t bytes_max);
/*
 * Adds the streams of one block, before zoo_cache_pool_fix; *handle is what the block's forward
 * gets, owned by the pool. After an error the pool can only be freed. [load]
 */
zoo_status zoo_cache_pool_add(zoo_cache_pool *pool, const zoo_stream *streams, uint32_t n_streams,
                              zoo_cache **handle, zoo_error *err);
/* The streams of this block are counted and get no memory: another process keeps them, which has
 * the same pool and is told the same calls. Before zoo_cache_pool_fix. */
void zoo_cache_elsewhere(zoo_cache *cache);
/* The part of bytes_max that the streams kept here take at most, 0 to 1. */
double zoo_cache_pool_share(zoo_cache_pool *pool);
/* Takes the memory. ZOO_E_MEMORY: bytes_max is below what rings and states of seqs_max sequences
 * need, or the system has no room. [load] */
zoo_status zoo_cache_pool_fix(zoo_cache_pool *pool, zoo_error *err);
/* Null is fine. */
void zoo_cache_pool_free(zoo_cache_pool *pool);
/* The cost of a sequence of `length` positions, with the streams added so far, whether or not it
 * fits. */
zoo_cache_cost zoo_cache_pool_cost(const zoo_cache_pool *pool, uint32_t length);

/*
 * Starts a sequence in a free slot, its states zero, and reserves what `length_max` positions may
 * need, so that no later step can run out of pages. ZOO_E_MEMORY: not now (slots or pages are taken
 * by other sequences or kept prefixes); ZOO_E_LIMIT: never (larger than the pool).
 */
zoo_status zoo_cache_seq_open(zoo_cache_pool *pool, uint32_t length_max, uint32_t *slot,
                              zoo_error *err);
/* As above, starting with the first `length` positions of a kept prefix (below): all of it, or a
 * multiple of zoo_cache_pool_grain. ZOO_E_USAGE: another length. */
zoo_status zoo_cache_seq_open_at(zoo_cache_pool *pool, uint32_t length_max, uint32_t prefix,
                                 uint32_t length, uint32_t *slot, zoo_error *err);
/* Releases everything; nothing happens if the slot is not open. */
void zoo_cache_seq_close(zoo_cache_pool *pool, uint32_t slot);
/*
 * Empties the sequence but keeps its slot and reservation: it will be read again from position 0. A
 * sequence that shares pages then needs its own: ZOO_E_MEMORY if there are none, and the sequence
 * is unchanged. It cannot fail for a sequence that shares none.
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
 * copies are in use. Without states it costs nothing and always succeeds.
 */
bool zoo_cache_seq_mark(zoo_cache_pool *pool, uint32_t slot);
/*
 * Takes back what the extend after the mark stored from position `length` on and gives the mark up.
 * Returns where the sequence stands then: at `length`, or, where states were copied and all
 * positions are not kept, at the mark: what lies between is to be read again. Without states it may
 * go back over several steps, fewer than rows_max positions in all, which rings still hold.
 */
uint32_t zoo_cache_seq_rewind(zoo_cache_pool *pool, uint32_t slot, uint32_t length);

/*
 * Keeps the cache of `slot` as a prefix that other sequences may start from. The sequence must be
 * exactly `length` positions long, at least 1. Full pages of ROWS are shared by reference; a partly
 * filled page, rings and states are copied. ZOO_E_MEMORY: other prefixes must be dropped first.
 */
zoo_status zoo_cache_prefix_keep(zoo_cache_pool *pool, uint32_t slot, uint32_t length,
                                 uint32_t *prefix, zoo_error *err);
/* Sequences that started from it go on; a number that is not kept is fine. */
void zoo_cache_prefix_drop(zoo_cache_pool *pool, uint32_t prefix);
/* Positions of a kept prefix; 0: not kept. */
uint32_t zoo_cache_prefix_length(const zoo_cache_pool *pool, uint32_t prefix);
/* A sequence may start inside a kept prefix at multiples of this; 0: only at its end, as rings and
 * states cannot be truncated. */
uint32_t zoo_cache_pool_grain(const zoo_cache_pool *pool);
/* The part of the pages that are held or reserved, in the fullest group of ROWS: 0 to 1. */
double zoo_cache_pool_fill(const zoo_cache_pool *pool);

/* For tests: pages in all, held and reserved. */
typedef struct zoo_cache_use {
    uint64_t n_pages, n_held, n_reserved;
    uint32_t n_prefixes_max;
    size_t mapped; /* bytes */
} zoo_cache_use;
zoo_cache_use zoo_cache_pool_use(const zoo_cache_pool *pool);

#endif
