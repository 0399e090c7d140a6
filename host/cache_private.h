/* cache_private.h: the inside of zoo_cache_pool, for the files cache*.c. */
#ifndef ZOO_HOST_CACHE_PRIVATE_H
#define ZOO_HOST_CACHE_PRIVATE_H

#include "cache.h"

enum { ZOO_GROUPS_MAX = 16, ZOO_PREFIXES_MAX = 1024 };

#define ZOO_NO_PAGE UINT32_MAX

/* Streams of equal kind, window and stride: one page table per sequence, pages that hold 64 rows of
 * all of them. */
typedef struct zoo_page_group {
    uint32_t kind, window, stride;
    uint32_t n_ring;    /* entries of a ring's table; 0: ROWS */
    uint32_t n_entries; /* of a sequence's table */
    size_t page_bytes;
    uint32_t n_pages, n_free;
    uint32_t n_reserved; /* promised to open sequences, still free */
    unsigned char *memory;
    uint32_t *refs;       /* [n_pages] */
    uint32_t *free_pages; /* [n_pages], the first n_free count */
} zoo_page_group;

typedef struct zoo_stream_place {
    zoo_stream decl;
    uint32_t group; /* ZOO_STATE: unused */
    uint32_t part;  /* floats of a row of one head */
    zoo_dtype dtype;
    size_t row_bytes;    /* of one head */
    size_t offset;       /* in a page, or in a sequence's states */
    size_t scale_offset; /* in a page */
} zoo_stream_place;

/* What a block holds; `cache` first, so that its pointer leads here. */
typedef struct zoo_cache_handle {
    zoo_cache cache;
    zoo_cache_pool *pool;
    zoo_stream_place places[ZOO_STREAMS_MAX];
    zoo_dtype dtypes[ZOO_STREAMS_MAX];
    struct zoo_cache_handle *next;
} zoo_cache_handle;

typedef struct zoo_cache_seq {
    uint32_t open, length_max;
    uint32_t n_reserved[ZOO_GROUPS_MAX];
    uint32_t *pages[ZOO_GROUPS_MAX]; /* [n_entries] */
    uint32_t *tags[ZOO_GROUPS_MAX];  /* rings: which run of 64 rows an entry holds */
} zoo_cache_seq;

typedef struct zoo_cache_prefix {
    uint32_t used, length;
    uint32_t n_pages[ZOO_GROUPS_MAX];
    uint32_t *pages[ZOO_GROUPS_MAX]; /* ROWS: whole pages by reference, then one copy of a part;
                                        rings: copies */
    uint32_t *tags[ZOO_GROUPS_MAX];
    unsigned char *states;
} zoo_cache_prefix;

struct zoo_cache_pool {
    zoo_cache_options options;
    const zoo_kernels *kernels;
    zoo_page_group groups[ZOO_GROUPS_MAX];
    uint32_t n_groups;
    size_t state_bytes; /* of one sequence */
    unsigned char *states;
    zoo_cache_seq *seqs; /* [seqs_max] */
    zoo_cache_prefix prefixes[ZOO_PREFIXES_MAX];
    zoo_cache_handle *handles;
    size_t mapped; /* bytes in all */
    bool fixed;
};

/* Rows of a group that `length` positions make. */
static inline uint32_t zoo_group_rows(const zoo_page_group *group, uint32_t length)
{
    return length / group->stride + (length % group->stride != 0);
}

/* Pages that a sequence of `length` positions needs in a group. */
uint32_t zoo_group_need(const zoo_page_group *group, uint32_t length);
void zoo_cache_install(zoo_cache_handle *handle, uint32_t n_streams);
uint32_t zoo_page_take(zoo_page_group *group);
void zoo_page_release(zoo_page_group *group, uint32_t page);
unsigned char *zoo_page_memory(const zoo_page_group *group, uint32_t page);
static inline unsigned char *zoo_seq_states(const zoo_cache_pool *pool, uint32_t slot)
{
    return pool->states + (size_t)slot * pool->state_bytes;
}

#endif
