/*
 * rows.c: put, get, read and state, which blocks call during a step. No lock, no allocation: block
 * tables only change in zoo_cache_seq_extend, before the blocks run.
 */
#include <assert.h>
#include <string.h>

#include "cache/cache_private.h"

static uint32_t page_of(const zoo_cache_pool *pool, uint32_t group, uint32_t slot, uint32_t row)
{
    const zoo_block_table *h = &pool->tables[slot];
    uint32_t run = row / ZOO_PAGE;
    assert(slot < pool->options.limits.seqs_max && h->open);
    assert(run >= zoo_block_table_oldest(pool, h, group) && run < h->n_runs[group]);
    (void)h;
    return *zoo_block_table_entry(&pool->groups[group], slot, run);
}

static bool is_rotated(const zoo_stream_place *place)
{
    return place->kind->flags & ZOO_CACHE_HADAMARD;
}

/* Stores rows at .. at + n - 1 of one page. */
static void put_rows(const zoo_cache_pool *pool, const zoo_stream_place *place, unsigned char *page,
                     uint32_t at, uint32_t n, const float *x, size_t x_stride)
{
    float rotated[ZOO_HADAMARD_WIDTH_MAX];
    for (uint32_t head = 0; head < place->decl.heads; head++) {
        unsigned char *out = page + place->offset + head * place->head_bytes;
        for (uint32_t i = 0; i < n; i++) {
            const float *in = x + i * x_stride + (size_t)head * place->part;
            if (is_rotated(place)) {
                pool->kernels->hadamard(in, rotated, place->part, false);
                in = rotated;
            }
            place->kind->store(pool->kernels, place->part, out, at + i, in);
        }
    }
}

static void put(zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t row, uint32_t n,
                const float *x, size_t x_stride)
{
    const zoo_cache_handle *h = (const zoo_cache_handle *)cache;
    const zoo_stream_place *place = &h->places[stream];
    const zoo_page_group *g = &h->pool->groups[place->group];
    assert(stream < cache->n_streams && place->decl.kind != ZOO_STATE);
    for (uint32_t done = 0; done < n;) {
        uint32_t at = (row + done) % ZOO_PAGE;
        uint32_t count = n - done < ZOO_PAGE - at ? n - done : ZOO_PAGE - at;
        uint32_t page = page_of(h->pool, place->group, seq->slot, row + done);
        assert(g->refs[page] == 1);
        put_rows(h->pool, place, zoo_page_memory(g, page), at, count, x + done * x_stride,
                 x_stride);
        done += count;
    }
}

static zoo_segment get(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t head,
                       uint32_t row)
{
    const zoo_cache_handle *h = (const zoo_cache_handle *)cache;
    const zoo_stream_place *place = &h->places[stream];
    assert(stream < cache->n_streams && place->decl.kind != ZOO_STATE && head < place->decl.heads);
    const unsigned char *page = zoo_page_memory(&h->pool->groups[place->group],
                                                page_of(h->pool, place->group, seq->slot, row));
    uint32_t at = row % ZOO_PAGE;
    return (zoo_segment){.page = page + place->offset + head * place->head_bytes,
                         .at = at,
                         .n_rows = ZOO_PAGE - at,
                         .row = row};
}

static void read_rows(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t head,
                      uint32_t row, uint32_t n, float *y)
{
    const zoo_cache_handle *h = (const zoo_cache_handle *)cache;
    const zoo_stream_place *place = &h->places[stream];
    const zoo_kernels *kernels = h->pool->kernels;
    size_t part = place->part;
    for (uint32_t done = 0; done < n;) {
        zoo_segment s = get(cache, stream, seq, head, row + done);
        uint32_t count = n - done < s.n_rows ? n - done : s.n_rows;
        place->kind->read(kernels, place->part, s.page, s.at, count, y + done * part, part);
        done += count;
    }
    for (uint32_t i = 0; i < n && is_rotated(place); i++) {
        kernels->hadamard(y + i * part, y + i * part, place->part, true);
    }
}

static float *state(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq)
{
    const zoo_cache_handle *h = (const zoo_cache_handle *)cache;
    assert(stream < cache->n_streams && h->places[stream].decl.kind == ZOO_STATE);
    assert(seq->slot < h->pool->options.limits.seqs_max && h->pool->tables[seq->slot].open);
    return (float *)(void *)(zoo_block_table_states(h->pool, seq->slot) + h->places[stream].offset);
}

void zoo_cache_install(zoo_cache_handle *handle, uint32_t n_streams)
{
    handle->cache = (zoo_cache){.size = sizeof(zoo_cache),
                                .n_streams = n_streams,
                                .kinds = handle->kinds,
                                .host = handle,
                                .put = put,
                                .get = get,
                                .state = state,
                                .read = read_rows};
}
