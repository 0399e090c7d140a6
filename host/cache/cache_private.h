/* cache_private.h: the layout of zoo_cache_pool, for the files of this room. */
#ifndef ZOO_CACHE_CACHE_PRIVATE_H
#define ZOO_CACHE_CACHE_PRIVATE_H

#include "cache/cache.h"

enum { ZOO_GROUPS_MAX = 16, ZOO_PREFIXES_MAX = 1024 };

#define ZOO_NO_PAGE UINT32_MAX

/*
 * Streams of equal kind, window and stride. Rows are numbered by position / stride; run r is rows
 * 64 r .. 64 r + 63 and lies in entry r % n_entries of a block table (ROWS: r < n_entries).
 */
typedef struct zoo_page_group {
    uint32_t kind, window, stride;
    uint32_t n_ring;         /* runs a ring must hold; 0: ROWS */
    uint32_t n_entries;      /* of a block table: n_ring, or less when the context is shorter */
    uint32_t n_entries_kept; /* at most that many pages of a ring are live between steps */
    size_t page_bytes;       /* of all streams, remote ones included */
    size_t stored_bytes;     /* of the streams stored in this process */
    uint32_t n_pages, n_free;
    uint32_t n_reserved;   /* free pages reserved for open sequences; at most n_free */
    uint32_t n_used;       /* pages below this number have been in use */
    uint32_t n_returned;   /* of them in `returned` */
    unsigned char *memory; /* [n_pages][stored_bytes] */
    uint32_t *refs;        /* [n_pages] reference counts */
    uint32_t *returned;    /* [n_pages], a stack: the last page released is reused first */
    uint32_t *entries;     /* [block tables][n_entries] page numbers */
} zoo_page_group;

typedef struct zoo_stream_place {
    zoo_stream decl;
    uint32_t group; /* ZOO_STATE: unused */
    uint32_t part;  /* floats of a row of one head */
    const zoo_cache_ops *kind;
    size_t head_bytes; /* of a page of one head, a multiple of 64 */
    size_t bytes;      /* in a page, of all heads; or of the state */
    size_t offset;     /* in a page, or in a sequence's states */
} zoo_stream_place;

/* A block's cache; `cache` is the first member, so that its pointer can be cast to the handle. */
typedef struct zoo_cache_handle {
    zoo_cache cache;
    zoo_cache_pool *pool;
    zoo_stream_place places[ZOO_STREAMS_MAX];
    const zoo_cache_ops *kinds[ZOO_STREAMS_MAX];
    bool is_remote; /* stored by another process: counted, but without memory here */
    struct zoo_cache_handle *next;
} zoo_cache_handle;

/* The block table of a sequence or of a kept prefix. It holds a page for each run from
 * zoo_block_table_oldest to n_runs - 1. */
typedef struct zoo_block_table {
    uint32_t open, length_max;
    uint32_t begin, length;              /* positions of the last extend: first, end */
    uint32_t mark;                       /* index of its copy of states, plus 1; 0: none */
    uint32_t first_run[ZOO_GROUPS_MAX];  /* first run that it has ever held */
    uint32_t n_runs[ZOO_GROUPS_MAX];     /* last run that it holds, plus 1 */
    uint32_t n_shared[ZOO_GROUPS_MAX];   /* ROWS: pages of runs below this may be shared */
    uint32_t n_reserved[ZOO_GROUPS_MAX]; /* pages reserved for it and not yet taken */
} zoo_block_table;

struct zoo_cache_pool {
    zoo_cache_options options;
    const zoo_kernels *kernels;
    zoo_page_group groups[ZOO_GROUPS_MAX];
    uint32_t n_groups;
    uint32_t n_prefixes;     /* capacity for kept prefixes: block tables after the sequences' */
    size_t state_bytes;      /* of one table, of all streams */
    size_t stored_states;    /* of the streams stored in this process */
    unsigned char *states;   /* [block tables][stored_states] */
    uint32_t n_marks;        /* 0 without states */
    unsigned char *marks;    /* [n_marks][stored_states] */
    bool *marks_held;        /* [n_marks] */
    zoo_block_table *tables; /* [seqs_max + n_prefixes] */
    zoo_cache_handle *handles, *handles_last;
    void *memory; /* all of the above but the handles */
    size_t mapped;
    bool fixed;
};

static inline uint32_t zoo_pages_of_rows(uint32_t rows)
{
    return rows / ZOO_PAGE + (rows % ZOO_PAGE != 0);
}

/* Rows of a group that `length` positions make. */
static inline uint32_t zoo_group_rows(const zoo_page_group *group, uint32_t length)
{
    return length / group->stride + (length % group->stride != 0);
}

/* First run of a group with rows that are visible to queries at position `length` or later. */
static inline uint32_t zoo_group_live(const zoo_page_group *group, uint32_t length)
{
    uint32_t row = length / group->stride;
    return group->n_ring && row >= group->window ? (row - group->window + 1) / ZOO_PAGE : 0;
}

static inline uint32_t zoo_block_table_oldest(const zoo_cache_pool *pool,
                                              const zoo_block_table *table, uint32_t group)
{
    uint32_t n = pool->groups[group].n_entries, runs = table->n_runs[group];
    uint32_t fits = runs > n ? runs - n : 0;
    return fits > table->first_run[group] ? fits : table->first_run[group];
}

/* The block table's entry for a run. */
static inline uint32_t *zoo_block_table_entry(const zoo_page_group *group, uint32_t table,
                                              uint32_t run)
{
    return &group->entries[(size_t)table * group->n_entries +
                           (group->n_ring ? run % group->n_entries : run)];
}

static inline unsigned char *zoo_page_memory(const zoo_page_group *group, uint32_t page)
{
    return group->memory + (size_t)page * group->stored_bytes;
}

static inline unsigned char *zoo_block_table_states(const zoo_cache_pool *pool, uint32_t table)
{
    return pool->states + (size_t)table * pool->stored_states;
}

/* Pages that a sequence of `length` positions needs in a group, at most n_entries. */
uint32_t zoo_group_need(const zoo_page_group *group, uint32_t length);
void zoo_cache_install(zoo_cache_handle *handle, uint32_t n_streams);
/* Computes the offset of each stream stored in this process, in its page or in the states. */
void zoo_cache_place(zoo_cache_pool *pool);

/* memory.c. Takes a free page, with one reference; ZOO_NO_PAGE if there is none. */
uint32_t zoo_page_take(zoo_page_group *group);
void zoo_page_release(zoo_page_group *group, uint32_t page);

/* seq.c */
zoo_block_table *zoo_seq_find(const zoo_cache_pool *pool, uint32_t slot, zoo_error *err);
/* Finds a slot and reserves pages, without those of ROWS of the first `n_shared` positions, which
 * the caller shares. Does not set states. */
zoo_status zoo_seq_start(zoo_cache_pool *pool, uint32_t length_max, uint32_t n_shared,
                         uint32_t *slot, zoo_error *err);
/* Number of full pages of ROWS in `length` positions. */
uint32_t zoo_group_whole(const zoo_page_group *group, uint32_t length);
/* Takes a page from the table's reservation. */
uint32_t zoo_block_table_take(zoo_cache_pool *pool, zoo_block_table *table, uint32_t group);
/* Releases all pages of a table; n_held [n_groups], or null: the number of pages of each group that
 * it held. */
void zoo_block_table_clear(zoo_cache_pool *pool, uint32_t table, uint32_t *n_held);

#endif
