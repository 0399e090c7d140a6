/*
 * cache.c: the pool: streams, their groups and the layout of a page.
 *
 *   page of a group: for each stream [heads] pages as its kind lays out 64 rows of width / heads
 *   values; each begins at a multiple of 64 bytes
 *   states of a sequence: one array after the other, at multiples of 64 bytes
 *
 * Memory: a handle per block from zoo_mem; the rest is memory.c.
 */
#include "cache/cache_private.h"

#include <string.h>

#include "base/mem.h"

enum {
    ALIGN = 64,
    WIDTH_MAX = 1 << 26,
    WINDOW_MAX = 1 << 30,
    STRIDE_MAX = 1 << 20,
    ROWS_MAX = 1 << 24,
    SEQS_MAX = 1 << 20,
    CONTEXT_MAX = 1 << 30
};
#define BYTES_MAX ((size_t)1 << 44) /* of a page, and of the states of one sequence */

static size_t align_up(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

uint32_t zoo_group_need(const zoo_page_group *group, uint32_t length)
{
    uint32_t pages = zoo_pages_of_rows(zoo_group_rows(group, length));
    return group->n_ring && pages > group->n_entries ? group->n_entries : pages;
}

zoo_status zoo_cache_pool_new(const zoo_cache_options *options, zoo_cache_pool **out,
                              zoo_error *err)
{
    const zoo_limits *l = &options->limits;
    *out = NULL;
    if (l->rows_max == 0 || l->rows_max > ROWS_MAX || l->seqs_max == 0 || l->seqs_max > SEQS_MAX ||
        l->context_max == 0 || l->context_max > CONTEXT_MAX) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "%u rows a step, %u sequences, %u positions: the cache takes 1 to %d, %d "
                        "and %d",
                        l->rows_max, l->seqs_max, l->context_max, ROWS_MAX, SEQS_MAX, CONTEXT_MAX);
    }
    if (!options->kinds.kind) {
        return zoo_fail(err, ZOO_E_USAGE, "no cache kind is chosen");
    }
    zoo_cache_pool *pool = zoo_mem_array(1, sizeof *pool);
    if (!pool) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the cache");
    }
    pool->options = *options;
    *out = pool;
    return ZOO_OK;
}

void zoo_cache_pool_kernels(zoo_cache_pool *pool, const zoo_kernels *kernels)
{
    pool->kernels = kernels;
}

void zoo_cache_pool_limit(zoo_cache_pool *pool, size_t bytes_max)
{
    pool->options.bytes_max = bytes_max;
}

const zoo_cache_ops *zoo_cache_choice(const zoo_cache_choices *choices, const zoo_stream *stream)
{
    const zoo_cache_ops *wanted = choices->kind;
    if (stream->kind == ZOO_STATE) {
        return NULL;
    }
    for (uint32_t i = 0; stream->name && i < choices->n; i++) {
        if (strcmp(choices->rows[i].stream, stream->name) == 0) {
            wanted = choices->rows[i].kind;
        }
    }
    return zoo_cache_kind_for(stream, wanted);
}

zoo_row_cost zoo_cache_row_cost(const zoo_stream *decl, const zoo_cache_ops *wanted)
{
    uint32_t heads = decl->heads ? decl->heads : 1, part = decl->width / heads;
    if (decl->kind == ZOO_STATE) {
        return (zoo_row_cost){NULL, (double)decl->width * sizeof(float), 32};
    }
    const zoo_cache_ops *kind = zoo_cache_kind_for(decl, wanted);
    double bits = part ? zoo_cache_kind_bits(kind, part) : 0;
    return (zoo_row_cost){kind, bits / 8 * part * heads, bits};
}

/*
 * A step stores at most rows_max rows, and its first query sees window - 1 rows before them. n
 * consecutive rows touch at most pages(n) + 1 runs, so none is overwritten before the step ends.
 */
static void size_table(zoo_page_group *g, const zoo_limits *l)
{
    uint32_t all = zoo_pages_of_rows(zoo_group_rows(g, l->context_max));
    g->n_entries = g->n_entries_kept = all;
    if (g->kind == ZOO_RING) {
        uint32_t kept = zoo_pages_of_rows(g->window - 1) + 1;
        g->n_ring = zoo_pages_of_rows(g->window - 1 + l->rows_max) + 1;
        g->n_entries = g->n_ring < all ? g->n_ring : all;
        g->n_entries_kept = kept < g->n_entries ? kept : g->n_entries;
    }
}

static zoo_status find_group(zoo_cache_pool *pool, const zoo_stream *decl, uint32_t *index,
                             zoo_error *err)
{
    uint32_t window = decl->kind == ZOO_RING ? decl->window : 0;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        if (g->kind == decl->kind && g->window == window && g->stride == decl->stride) {
            *index = i;
            return ZOO_OK;
        }
    }
    if (pool->n_groups == ZOO_GROUPS_MAX) {
        return zoo_fail(
            err, ZOO_E_PLUGIN,
            "stream %s: the plan has more than %d combinations of kind, window and stride",
            decl->name ? decl->name : "?", ZOO_GROUPS_MAX);
    }
    zoo_page_group *g = &pool->groups[pool->n_groups];
    *g = (zoo_page_group){.kind = decl->kind, .window = window, .stride = decl->stride};
    size_table(g, &pool->options.limits);
    *index = pool->n_groups++;
    return ZOO_OK;
}

static zoo_status check_stream(const zoo_stream *decl, zoo_error *err)
{
    bool ring = decl->kind == ZOO_RING;
    bool bad = decl->kind > ZOO_STATE || decl->width == 0 || decl->width > WIDTH_MAX ||
               decl->width % decl->heads != 0 || decl->stride > STRIDE_MAX ||
               (ring && (decl->window == 0 || decl->window > WINDOW_MAX)) ||
               decl->dtype_min > ZOO_INT4;
    return bad ? zoo_fail(err, ZOO_E_PLUGIN,
                          "stream %s: invalid kind %u, width %u, heads %u, window %u, stride %u or "
                          "dtype_min %u",
                          decl->name ? decl->name : "?", decl->kind, decl->width, decl->heads,
                          decl->window, decl->stride, decl->dtype_min)
               : ZOO_OK;
}

static zoo_status check_bytes(const zoo_stream *decl, size_t bytes, zoo_error *err)
{
    return bytes <= BYTES_MAX
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_LIMIT, "stream %s has pages or states of %zu GiB, too large",
                          decl->name ? decl->name : "?", bytes >> 30);
}

static zoo_status place_rows(zoo_cache_pool *pool, zoo_stream_place *place, zoo_error *err)
{
    ZOO_TRY(find_group(pool, &place->decl, &place->group, err));
    zoo_page_group *g = &pool->groups[place->group];
    uint32_t heads = place->decl.heads;
    place->kind = zoo_cache_choice(&pool->options.kinds, &place->decl);
    place->part = place->decl.width / heads;
    size_t bytes = place->kind->bytes(place->part, ZOO_PAGE);
    if (bytes == 0 || bytes > BYTES_MAX / heads - ALIGN) {
        return zoo_fail(err, ZOO_E_PLUGIN, "cache kind %s takes %zu bytes for rows of %u values",
                        place->kind->name, bytes, place->part);
    }
    place->head_bytes = align_up(bytes);
    place->bytes = place->head_bytes * heads;
    ZOO_TRY(check_bytes(&place->decl, place->head_bytes, err));
    g->page_bytes += place->bytes;
    return check_bytes(&place->decl, g->page_bytes, err);
}

static zoo_status place_stream(zoo_cache_pool *pool, const zoo_stream *decl,
                               zoo_stream_place *place, zoo_error *err)
{
    place->decl = *decl;
    place->decl.heads = decl->heads ? decl->heads : 1;
    place->decl.stride = decl->stride ? decl->stride : 1;
    ZOO_TRY(check_stream(&place->decl, err));
    if (decl->kind == ZOO_STATE) {
        place->bytes = align_up((size_t)decl->width * sizeof(float));
        pool->state_bytes += place->bytes;
        ZOO_TRY(check_bytes(decl, pool->state_bytes, err));
    } else {
        ZOO_TRY(place_rows(pool, place, err));
    }
    return ZOO_OK;
}

zoo_status zoo_cache_pool_add(zoo_cache_pool *pool, const zoo_stream *streams, uint32_t n_streams,
                              zoo_cache **handle, zoo_error *err)
{
    *handle = NULL;
    if (pool->fixed || n_streams > ZOO_STREAMS_MAX) {
        return zoo_fail(err, ZOO_E_INTERNAL,
                        "streams must be added before the cache is fixed, %d at most for a block",
                        ZOO_STREAMS_MAX);
    }
    zoo_cache_handle *h = zoo_mem_array(1, sizeof *h);
    if (!h) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the cache");
    }
    *(pool->handles ? &pool->handles_last->next : &pool->handles) = h;
    pool->handles_last = h;
    h->pool = pool;
    for (uint32_t i = 0; i < n_streams; i++) {
        ZOO_TRY(place_stream(pool, &streams[i], &h->places[i], err));
        h->kinds[i] = h->places[i].kind;
    }
    zoo_cache_install(h, n_streams);
    *handle = &h->cache;
    return ZOO_OK;
}

void zoo_cache_set_remote(zoo_cache *cache)
{
    ((zoo_cache_handle *)cache)->is_remote = true;
}

void zoo_cache_place(zoo_cache_pool *pool)
{
    pool->stored_states = 0;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        pool->groups[i].stored_bytes = 0;
    }
    for (zoo_cache_handle *h = pool->handles; h; h = h->next) {
        for (uint32_t i = 0; i < h->cache.n_streams && !h->is_remote; i++) {
            zoo_stream_place *place = &h->places[i];
            bool is_state = place->decl.kind == ZOO_STATE;
            size_t *end =
                is_state ? &pool->stored_states : &pool->groups[place->group].stored_bytes;
            place->offset = *end;
            *end += place->bytes;
        }
    }
}

double zoo_cache_pool_share(zoo_cache_pool *pool)
{
    double most = 0.0;
    zoo_cache_place(pool);
    if (pool->state_bytes > 0) {
        most = (double)pool->stored_states / (double)pool->state_bytes;
    }
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        double share = g->page_bytes > 0 ? (double)g->stored_bytes / (double)g->page_bytes : 0.0;
        most = share > most ? share : most;
    }
    return most;
}

zoo_cache_cost zoo_cache_pool_cost(const zoo_cache_pool *pool, uint32_t length)
{
    zoo_cache_cost cost = {.state_bytes = pool->state_bytes, .bytes_at = pool->state_bytes};
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        uint32_t pages = zoo_pages_of_rows(zoo_group_rows(g, length));
        uint32_t held = g->n_ring && pages > g->n_ring ? g->n_ring : pages;
        cost.bytes_at += held * g->page_bytes;
        cost.ring_bytes += g->n_ring * g->page_bytes;
        cost.bytes_per_page_set += g->n_ring ? 0 : g->page_bytes;
    }
    return cost;
}
