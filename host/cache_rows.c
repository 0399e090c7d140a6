/*
 * cache_rows.c: what blocks call while a step runs: put, get, state. No lock, no allocation: a
 * sequence's table is written by zoo_cache_seq_extend before the blocks run.
 */
#include <assert.h>
#include <string.h>

#include "cache_private.h"

/* Entry of a sequence's table that holds `row`. */
static uint32_t entry_of(const zoo_page_group *g, uint32_t row)
{
    uint32_t run = row / ZOO_PAGE;
    return g->n_ring ? run % g->n_ring : run;
}

static unsigned char *page_of(const zoo_cache_pool *pool, const zoo_stream_place *place,
                              uint32_t slot, uint32_t row)
{
    const zoo_page_group *g = &pool->groups[place->group];
    uint32_t entry = entry_of(g, row);
    const zoo_cache_seq *seq = &pool->seqs[slot];
    assert(entry < g->n_entries && seq->pages[place->group][entry] != ZOO_NO_PAGE);
    assert(!g->n_ring || seq->tags[place->group][entry] == row / ZOO_PAGE);
    return zoo_page_memory(g, seq->pages[place->group][entry]);
}

static void put_row(const zoo_cache_pool *pool, const zoo_stream_place *place, unsigned char *page,
                    uint32_t at, const float *x)
{
    float *scales = (float *)(void *)(page + place->scale_offset);
    for (uint32_t h = 0; h < place->decl.heads; h++) {
        size_t cell = (size_t)h * ZOO_PAGE + at;
        unsigned char *out = page + place->offset + cell * place->row_bytes;
        const float *in = x + (size_t)h * place->part;
        if (place->dtype == ZOO_F32) {
            memcpy(out, in, place->row_bytes);
        } else {
            pool->kernels->narrow(place->dtype, in, out, scales + cell, place->part);
        }
    }
}

static void put(zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t row, uint32_t n,
                const float *x, size_t x_stride)
{
    const zoo_cache_handle *h = (const zoo_cache_handle *)cache;
    const zoo_stream_place *place = &h->places[stream];
    for (uint32_t i = 0; i < n; i++) {
        unsigned char *page = page_of(h->pool, place, seq->slot, row + i);
        put_row(h->pool, place, page, (row + i) % ZOO_PAGE, x + i * x_stride);
    }
}

static zoo_segment get(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq, uint32_t head,
                       uint32_t row)
{
    const zoo_cache_handle *h = (const zoo_cache_handle *)cache;
    const zoo_stream_place *place = &h->places[stream];
    const unsigned char *page = page_of(h->pool, place, seq->slot, row);
    uint32_t at = row % ZOO_PAGE;
    size_t cell = (size_t)head * ZOO_PAGE + at;
    bool scaled = place->dtype == ZOO_INT8 || place->dtype == ZOO_INT4;
    return (zoo_segment){
        .rows = page + place->offset + cell * place->row_bytes,
        .scales = scaled ? (const float *)(const void *)(page + place->scale_offset) + cell : NULL,
        .n_rows = ZOO_PAGE - at,
        .row = row};
}

static float *state(const zoo_cache *cache, uint32_t stream, const zoo_seq *seq)
{
    const zoo_cache_handle *h = (const zoo_cache_handle *)cache;
    return (float *)(void *)(zoo_seq_states(h->pool, seq->slot) + h->places[stream].offset);
}

void zoo_cache_install(zoo_cache_handle *handle, uint32_t n_streams)
{
    handle->cache = (zoo_cache){.size = sizeof(zoo_cache),
                                .n_streams = n_streams,
                                .dtypes = handle->dtypes,
                                .host = handle,
                                .put = put,
                                .get = get,
                                .state = state};
}
