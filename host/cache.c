/*
 * cache.c: layouts, pages and the memory under them.
 *
 *   page of a group: for each stream [heads][64 rows][width / heads] of its dtype, then scales
 * [heads][64]
 *
 * All memory is mapped once, as zero pages that cost nothing until a row is stored.
 */
#define _GNU_SOURCE
#include "cache_private.h"

#include <string.h>
#include <sys/mman.h>

#include "mem.h"

enum { ALIGN = 64, WIDTH_MAX = 1 << 26 };

static size_t align_up(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static uint32_t pages_of_rows(uint32_t rows)
{
    return rows / ZOO_PAGE + (rows % ZOO_PAGE != 0);
}

uint32_t zoo_group_need(const zoo_page_group *group, uint32_t length)
{
    uint32_t pages = pages_of_rows(zoo_group_rows(group, length));
    return group->n_ring && pages > group->n_ring ? group->n_ring : pages;
}

unsigned char *zoo_page_memory(const zoo_page_group *group, uint32_t page)
{
    return group->memory + (size_t)page * group->page_bytes;
}

uint32_t zoo_page_take(zoo_page_group *group)
{
    if (group->n_free == 0) {
        return ZOO_NO_PAGE;
    }
    uint32_t page = group->free_pages[--group->n_free];
    group->refs[page] = 1;
    return page;
}

void zoo_page_release(zoo_page_group *group, uint32_t page)
{
    if (page != ZOO_NO_PAGE && --group->refs[page] == 0) {
        group->free_pages[group->n_free++] = page;
    }
}

zoo_status zoo_cache_pool_new(const zoo_cache_options *options, zoo_cache_pool **out,
                              zoo_error *err)
{
    zoo_cache_pool *pool = zoo_mem_array(1, sizeof *pool);
    *out = pool;
    if (!pool) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the cache");
    }
    pool->options = *options;
    return ZOO_OK;
}

void zoo_cache_pool_kernels(zoo_cache_pool *pool, const zoo_kernels *kernels)
{
    pool->kernels = kernels;
}

/* Order of narrowness, to choose the wider of two dtypes. */
static int narrowness(uint32_t dtype)
{
    return dtype == ZOO_F32 ? 0 : dtype == ZOO_BF16 ? 1 : dtype == ZOO_INT8 ? 2 : 3;
}

static size_t part_bytes(zoo_dtype dtype, uint32_t part)
{
    switch (dtype) {
    case ZOO_F32:
        return (size_t)part * 4;
    case ZOO_BF16:
        return (size_t)part * 2;
    case ZOO_INT8:
        return part;
    default:
        return part / 2 + part % 2;
    }
}

static zoo_status find_group(zoo_cache_pool *pool, const zoo_stream *decl, uint32_t *index,
                             zoo_error *err)
{
    uint32_t stride = decl->stride ? decl->stride : 1;
    uint32_t window = decl->kind == ZOO_RING ? decl->window : 0;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        if (g->kind == decl->kind && g->window == window && g->stride == stride) {
            *index = i;
            return ZOO_OK;
        }
    }
    if (pool->n_groups == ZOO_GROUPS_MAX) {
        return zoo_fail(err, ZOO_E_PLUGIN, "the plan has more than %d kinds of streams",
                        ZOO_GROUPS_MAX);
    }
    zoo_page_group *g = &pool->groups[pool->n_groups];
    *g = (zoo_page_group){.kind = decl->kind, .window = window, .stride = stride};
    if (decl->kind == ZOO_RING) {
        uint32_t rows = window - 1 + pool->options.limits.rows_max;
        g->n_ring = pages_of_rows(rows) + 1;
    }
    *index = pool->n_groups++;
    return ZOO_OK;
}

static zoo_status check_stream(const zoo_stream *decl, zoo_error *err)
{
    uint32_t heads = decl->heads ? decl->heads : 1;
    bool bad = decl->kind > ZOO_STATE || decl->width == 0 || decl->width > WIDTH_MAX ||
               decl->width % heads != 0 ||
               (decl->kind == ZOO_RING && (decl->window == 0 || decl->window > (1u << 30))) ||
               decl->stride > (1u << 20) || decl->dtype_min > ZOO_INT4;
    return bad ? zoo_fail(
                     err, ZOO_E_PLUGIN,
                     "stream %s: kind %u, width %u, heads %u, window %u, stride %u make no sense",
                     decl->name ? decl->name : "?", decl->kind, decl->width, decl->heads,
                     decl->window, decl->stride)
               : ZOO_OK;
}

static zoo_status place_stream(zoo_cache_pool *pool, const zoo_stream *decl,
                               zoo_stream_place *place, zoo_error *err)
{
    ZOO_TRY(check_stream(decl, err));
    place->decl = *decl;
    place->decl.heads = decl->heads ? decl->heads : 1;
    place->decl.stride = decl->stride ? decl->stride : 1;
    place->part = decl->width / place->decl.heads;
    if (decl->kind == ZOO_STATE) {
        place->dtype = ZOO_F32;
        place->offset = pool->state_bytes;
        pool->state_bytes += align_up((size_t)decl->width * sizeof(float));
        return ZOO_OK;
    }
    ZOO_TRY(find_group(pool, decl, &place->group, err));
    zoo_page_group *g = &pool->groups[place->group];
    uint32_t asked = (uint32_t)pool->options.dtype;
    place->dtype =
        (zoo_dtype)(narrowness(asked) < narrowness(decl->dtype_min) ? asked : decl->dtype_min);
    place->row_bytes = part_bytes(place->dtype, place->part);
    place->offset = g->page_bytes;
    place->scale_offset = place->offset + align_up(place->row_bytes * ZOO_PAGE * place->decl.heads);
    bool scaled = place->dtype == ZOO_INT8 || place->dtype == ZOO_INT4;
    g->page_bytes =
        place->scale_offset + (scaled ? align_up(place->decl.heads * ZOO_PAGE * sizeof(float)) : 0);
    return ZOO_OK;
}

zoo_status zoo_cache_pool_add(zoo_cache_pool *pool, const zoo_stream *streams, uint32_t n_streams,
                              zoo_cache **handle, zoo_error *err)
{
    if (pool->fixed || n_streams > ZOO_STREAMS_MAX) {
        return zoo_fail(err, ZOO_E_INTERNAL, "streams come before the cache is fixed, %d at most",
                        ZOO_STREAMS_MAX);
    }
    zoo_cache_handle *h = zoo_mem_array(1, sizeof *h);
    if (!h) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the cache");
    }
    h->next = pool->handles;
    pool->handles = h;
    h->pool = pool;
    for (uint32_t i = 0; i < n_streams; i++) {
        ZOO_TRY(place_stream(pool, &streams[i], &h->places[i], err));
        h->dtypes[i] = h->places[i].dtype;
    }
    zoo_cache_install(h, n_streams);
    *handle = &h->cache;
    return ZOO_OK;
}

static void *map_bytes(zoo_cache_pool *pool, size_t n)
{
    void *memory = mmap(NULL, n ? n : 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pool->mapped += n;
    return memory == MAP_FAILED ? NULL : memory;
}

/* Pages of each group: rings whole, ROWS as many as the rest of the memory allows. */
static zoo_status count_pages(zoo_cache_pool *pool, zoo_error *err)
{
    const zoo_limits *l = &pool->options.limits;
    double fixed = (double)pool->state_bytes * l->seqs_max, rows = 0;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        zoo_page_group *g = &pool->groups[i];
        uint32_t all = pages_of_rows(zoo_group_rows(g, l->context_max));
        g->n_entries = g->n_ring && g->n_ring < all ? g->n_ring : all;
        if (g->n_ring) {
            g->n_ring = g->n_entries;
        }
        double bytes = (double)g->page_bytes * g->n_entries * l->seqs_max;
        *(g->n_ring ? &fixed : &rows) += bytes;
    }
    double limit = pool->options.bytes_max ? (double)pool->options.bytes_max : fixed + rows;
    if (fixed > limit) {
        return zoo_fail(err, ZOO_E_MEMORY,
                        "rings and states of %u sequences need %.0f MiB, %.0f MiB are left",
                        l->seqs_max, fixed / 1048576, limit / 1048576);
    }
    double share = rows > limit - fixed ? (limit - fixed) / rows : 1.0;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        zoo_page_group *g = &pool->groups[i];
        double pages = (double)g->n_entries * l->seqs_max * (g->n_ring ? 1.0 : share);
        if (pages > 4e9) {
            return zoo_fail(err, ZOO_E_MEMORY, "the cache would have %.0f pages", pages);
        }
        g->n_pages = (uint32_t)pages;
    }
    return ZOO_OK;
}

static bool map_group(zoo_cache_pool *pool, zoo_page_group *g)
{
    g->memory = map_bytes(pool, (size_t)g->n_pages * g->page_bytes);
    g->refs = zoo_mem_array(g->n_pages + 1, sizeof *g->refs);
    g->free_pages = zoo_mem_array(g->n_pages + 1, sizeof *g->free_pages);
    for (uint32_t p = 0; g->free_pages && p < g->n_pages; p++) {
        g->free_pages[p] = g->n_pages - 1 - p;
    }
    g->n_free = g->n_pages;
    return g->memory && g->refs && g->free_pages;
}

static bool make_tables(zoo_cache_pool *pool)
{
    pool->seqs = zoo_mem_array(pool->options.limits.seqs_max, sizeof *pool->seqs);
    for (uint32_t s = 0; pool->seqs && s < pool->options.limits.seqs_max; s++) {
        for (uint32_t i = 0; i < pool->n_groups; i++) {
            uint32_t n = pool->groups[i].n_entries + 1;
            pool->seqs[s].pages[i] = zoo_mem_array(n, sizeof(uint32_t));
            pool->seqs[s].tags[i] = zoo_mem_array(n, sizeof(uint32_t));
            if (!pool->seqs[s].pages[i] || !pool->seqs[s].tags[i]) {
                return false;
            }
        }
    }
    return pool->seqs != NULL;
}

zoo_status zoo_cache_pool_fix(zoo_cache_pool *pool, zoo_error *err)
{
    ZOO_TRY(count_pages(pool, err));
    pool->states = map_bytes(pool, pool->state_bytes * pool->options.limits.seqs_max);
    bool ok = pool->states && make_tables(pool);
    for (uint32_t i = 0; ok && i < pool->n_groups; i++) {
        ok = map_group(pool, &pool->groups[i]);
    }
    pool->fixed = ok;
    return ok ? ZOO_OK
              : zoo_fail(err, ZOO_E_MEMORY, "no memory for caches of %zu MiB", pool->mapped >> 20);
}

static void unmap(void *memory, size_t n)
{
    if (memory) {
        (void)munmap(memory, n ? n : 1);
    }
}

void zoo_cache_pool_free(zoo_cache_pool *pool)
{
    if (!pool) {
        return;
    }
    for (uint32_t p = 0; p < ZOO_PREFIXES_MAX; p++) {
        zoo_cache_prefix_drop(pool, p);
    }
    for (uint32_t s = 0; pool->seqs && s < pool->options.limits.seqs_max; s++) {
        for (uint32_t i = 0; i < pool->n_groups; i++) {
            zoo_mem_free(pool->seqs[s].pages[i]);
            zoo_mem_free(pool->seqs[s].tags[i]);
        }
    }
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        zoo_page_group *g = &pool->groups[i];
        unmap(g->memory, (size_t)g->n_pages * g->page_bytes);
        zoo_mem_free(g->refs);
        zoo_mem_free(g->free_pages);
    }
    unmap(pool->states, pool->state_bytes * pool->options.limits.seqs_max);
    while (pool->handles) {
        zoo_cache_handle *next = pool->handles->next;
        zoo_mem_free(pool->handles);
        pool->handles = next;
    }
    zoo_mem_free(pool->seqs);
    zoo_mem_free(pool);
}

zoo_cache_cost zoo_cache_pool_cost(const zoo_cache_pool *pool, uint32_t length)
{
    zoo_cache_cost cost = {.state_bytes = pool->state_bytes};
    cost.bytes_at = pool->state_bytes;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        cost.bytes_at += (size_t)zoo_group_need(g, length) * g->page_bytes;
        if (g->kind == ZOO_RING) {
            cost.ring_bytes += (size_t)g->n_ring * g->page_bytes;
        } else {
            cost.bytes_per_page_set += g->page_bytes;
        }
    }
    return cost;
}
