/*
 * memory.c: the number of pages, the one mapping for all memory, and page references.
 *
 *   first: rings and states of seqs_max sequences, and the marks' copies of states
 *   then:  rings and states of kept prefixes: from what ROWS leave, or an eighth of the rest
 *   then:  ROWS: all that the limits may need, or the rest divided proportionally among groups
 *
 * Page counts include remote streams (zoo_cache_set_remote), so that processes with the same
 * streams and limits have the same block tables; memory is allocated for the other streams only.
 *
 * The layout runs twice, to measure and to assign. The mapping consists of zero pages without swap
 * reservation: a page costs nothing until a row is stored, and used pages are reused first.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "base/mem.h"
#include "base/system.h"
#include "cache/cache_private.h"

#define MAPPING_MAX (SIZE_MAX / 4)

enum { LARGE = 2 << 20 }; /* bytes of a large page */

/* Products and sums that saturate at SIZE_MAX instead of wrapping. */
static size_t times(size_t a, size_t b)
{
    return b && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}

static size_t plus(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

typedef struct demand {
    size_t fixed;  /* rings and states of all sequences */
    size_t rows;   /* ROWS of all sequences at full length */
    size_t prefix; /* rings and states of one kept prefix */
} demand;

static demand sum_demand(const zoo_cache_pool *pool)
{
    size_t seqs = pool->options.limits.seqs_max;
    demand d = {.fixed = times(pool->state_bytes, seqs), .prefix = pool->state_bytes};
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        size_t bytes = times(times(g->page_bytes, g->n_entries), seqs);
        size_t *sum = g->n_ring ? &d.fixed : &d.rows;
        *sum = plus(*sum, bytes);
        if (g->n_ring) {
            d.prefix = plus(d.prefix, times(g->page_bytes, g->n_entries_kept));
        }
    }
    return d;
}

static uint32_t count_prefixes(const zoo_cache_pool *pool, const demand *d, size_t left)
{
    size_t n = ZOO_PREFIXES_MAX, seqs = pool->options.limits.seqs_max;
    if (d->prefix == 0) {
        return ZOO_PREFIXES_MAX;
    }
    if (pool->options.bytes_max == 0) {
        n = seqs < n ? seqs : n;
    }
    size_t spare = left > d->rows ? left - d->rows : left / 8;
    size_t room = spare / d->prefix;
    return (uint32_t)(room < n ? room : n);
}

static uint32_t count_marks(const zoo_cache_pool *pool, size_t left)
{
    uint32_t n = pool->options.n_marks, seqs = pool->options.limits.seqs_max;
    if (pool->state_bytes == 0) {
        return 0;
    }
    n = n < seqs ? n : seqs;
    size_t fit = left / 8 / pool->state_bytes;
    return fit < n ? (uint32_t)fit : n;
}

static zoo_status count_pages(zoo_cache_pool *pool, zoo_error *err)
{
    const demand d = sum_demand(pool);
    size_t seqs = pool->options.limits.seqs_max;
    size_t limit = pool->options.bytes_max ? pool->options.bytes_max : SIZE_MAX;
    if (d.fixed > limit) {
        return zoo_fail(err, ZOO_E_MEMORY,
                        "rings and states of %zu sequences need %zu MiB, %zu MiB are left", seqs,
                        d.fixed >> 20, limit >> 20);
    }
    size_t left = limit - d.fixed;
    pool->n_marks = count_marks(pool, left);
    left -= pool->n_marks * pool->state_bytes;
    pool->n_prefixes = count_prefixes(pool, &d, left);
    left -= pool->n_prefixes * d.prefix;
    /* Slightly below the quotient, so that rounding cannot give one page too many. */
    double share = d.rows > left ? (double)left / (double)d.rows * (1 - 1e-12) : 1;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        zoo_page_group *g = &pool->groups[i];
        double pages = (double)g->n_entries * (double)seqs;
        pages = g->n_ring ? pages + (double)g->n_entries_kept * pool->n_prefixes : pages * share;
        if (pages >= (double)ZOO_NO_PAGE) {
            return zoo_fail(err, ZOO_E_MEMORY, "the cache would have %.0f pages", pages);
        }
        g->n_free = g->n_pages = (uint32_t)pages;
    }
    return ZOO_OK;
}

/* Takes n * size bytes from the arena; on overflow takes none and clears *ok. */
static void *claim(zoo_arena *arena, size_t n, size_t size, bool *ok)
{
    size_t bytes = times(n, size);
    if (bytes > MAPPING_MAX || arena->used > MAPPING_MAX) {
        *ok = false;
        return NULL;
    }
    return zoo_arena_take(arena, bytes);
}

static bool lay_out(zoo_cache_pool *pool, zoo_arena *arena)
{
    bool ok = true;
    size_t n_tables = (size_t)pool->options.limits.seqs_max + pool->n_prefixes;
    pool->tables = claim(arena, n_tables, sizeof *pool->tables, &ok);
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        zoo_page_group *g = &pool->groups[i];
        g->entries = claim(arena, times(n_tables, g->n_entries), sizeof *g->entries, &ok);
        g->refs = claim(arena, g->n_pages, sizeof *g->refs, &ok);
        g->returned = claim(arena, g->n_pages, sizeof *g->returned, &ok);
    }
    pool->states = claim(arena, n_tables, pool->stored_states, &ok);
    pool->marks = claim(arena, pool->n_marks, pool->stored_states, &ok);
    pool->marks_held = claim(arena, pool->n_marks, sizeof *pool->marks_held, &ok);
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        zoo_page_group *g = &pool->groups[i];
        g->memory = claim(arena, g->n_pages, g->stored_bytes, &ok);
    }
    return ok;
}

/* Large pages where a page of rows is itself large: the blocks of a head lie that far apart, so
 * that each would take entries of its own in the table of addresses. A group in use then holds up
 * to one large page more. */
static void advise_pages(const zoo_cache_pool *pool)
{
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        uintptr_t begin = ((uintptr_t)g->memory + LARGE - 1) / LARGE * LARGE;
        uintptr_t end = ((uintptr_t)g->memory + g->n_pages * g->stored_bytes) / LARGE * LARGE;
        if (g->stored_bytes >= LARGE / 8 && begin < end) {
            zoo_system_large_pages((void *)begin, end - begin);
        }
    }
}

zoo_status zoo_cache_pool_fix(zoo_cache_pool *pool, zoo_error *err)
{
    zoo_arena arena = {0};
    if (pool->fixed) {
        return zoo_fail(err, ZOO_E_INTERNAL, "the cache is fixed already");
    }
    ZOO_TRY(count_pages(pool, err));
    zoo_cache_place(pool);
    if (!lay_out(pool, &arena)) {
        return zoo_fail(err, ZOO_E_MEMORY, "the cache is larger than any address space");
    }
    void *memory = mmap(NULL, arena.used, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for caches of %zu MiB", arena.used >> 20);
    }
    pool->memory = memory;
    pool->mapped = arena.used;
    arena = (zoo_arena){.base = memory, .capacity = pool->mapped};
    (void)lay_out(pool, &arena);
    advise_pages(pool);
    pool->fixed = true;
    return ZOO_OK;
}

void zoo_cache_pool_free(zoo_cache_pool *pool)
{
    if (!pool) {
        return;
    }
    if (pool->memory) {
        (void)munmap(pool->memory, pool->mapped);
    }
    while (pool->handles) {
        zoo_cache_handle *next = pool->handles->next;
        zoo_mem_free(pool->handles);
        pool->handles = next;
    }
    zoo_mem_free(pool);
}

uint32_t zoo_page_take(zoo_page_group *g)
{
    if (g->n_free == 0) {
        return ZOO_NO_PAGE;
    }
    uint32_t page = g->n_returned ? g->returned[--g->n_returned] : g->n_used++;
    g->n_free--;
    g->refs[page] = 1;
    return page;
}

void zoo_page_release(zoo_page_group *g, uint32_t page)
{
    if (--g->refs[page] == 0) {
        g->returned[g->n_returned++] = page;
        g->n_free++;
    }
}

zoo_cache_use zoo_cache_pool_use(const zoo_cache_pool *pool)
{
    zoo_cache_use use = {.n_prefixes_max = pool->n_prefixes, .mapped = pool->mapped};
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        use.n_pages += pool->groups[i].n_pages;
        use.n_held += pool->groups[i].n_pages - pool->groups[i].n_free;
        use.n_reserved += pool->groups[i].n_reserved;
    }
    return use;
}
