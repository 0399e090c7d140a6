/*
 * save.c: a sequence as bytes, and back.
 *
 *   header | states | for each group, live run, stream and head: rows, then scales
 *
 * Only rows that exist are written, as they are stored; what a page holds behind them is not, so
 * equal memories give equal bytes. The header holds a hash of the streams' declarations, which any
 * other model or dtype fails, and one of all that follows.
 */
#include <string.h>
#include <xxhash.h>

#include "cache/cache_private.h"

#define MAGIC UINT64_C(0x31514553434f4f5a) /* "ZOOCSEQ1" */

typedef struct header {
    uint64_t magic, layout, content, length;
} header;

/* One stream's rows of one page, of all heads, at a cursor: written, read or only counted. */
typedef struct cursor {
    unsigned char *out;
    const unsigned char *in;
    size_t used;
} cursor;

static void pass(cursor *c, unsigned char *memory, size_t n)
{
    if (c->out) {
        memcpy(c->out + c->used, memory, n);
    } else if (c->in) {
        memcpy(memory, c->in + c->used, n);
    }
    c->used += n;
}

static void pass_page(cursor *c, const zoo_stream_place *place, unsigned char *page, uint32_t n)
{
    for (uint32_t head = 0; head < place->decl.heads; head++) {
        size_t cell = (size_t)head * ZOO_PAGE;
        pass(c, page + place->offset + cell * place->row_bytes, n * place->row_bytes);
        if (place->scaled) {
            pass(c, page + place->scale_offset + cell * sizeof(float), n * sizeof(float));
        }
    }
}

static void pass_run(cursor *c, const zoo_cache_pool *pool, uint32_t group, unsigned char *page,
                     uint32_t n)
{
    for (const zoo_cache_handle *h = pool->handles; h; h = h->next) {
        for (uint32_t s = 0; s < h->cache.n_streams; s++) {
            const zoo_stream_place *place = &h->places[s];
            if (place->decl.kind != ZOO_STATE && place->group == group) {
                pass_page(c, place, page, n);
            }
        }
    }
}

static void pass_states(cursor *c, const zoo_cache_pool *pool, unsigned char *states)
{
    for (const zoo_cache_handle *h = pool->handles; h; h = h->next) {
        for (uint32_t s = 0; s < h->cache.n_streams; s++) {
            if (h->places[s].decl.kind == ZOO_STATE) {
                pass(c, states + h->places[s].offset, h->places[s].decl.width * sizeof(float));
            }
        }
    }
}

/* Moves all of a table; a cursor that only counts touches no page and may name any slot. */
static void pass_all(cursor *c, const zoo_cache_pool *pool, uint32_t slot, uint32_t length)
{
    bool counts = !c->out && !c->in;
    pass_states(c, pool, zoo_block_table_states(pool, slot));
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        uint32_t rows = zoo_group_rows(g, length);
        for (uint32_t run = zoo_group_live(g, length); run < zoo_pages_of_rows(rows); run++) {
            uint32_t left = rows - run * ZOO_PAGE;
            uint32_t page = counts ? 0 : *zoo_block_table_entry(g, slot, run);
            pass_run(c, pool, i, zoo_page_memory(g, page), left < ZOO_PAGE ? left : ZOO_PAGE);
        }
    }
}

static size_t saved_size(const zoo_cache_pool *pool, uint32_t length)
{
    cursor c = {0};
    pass_all(&c, pool, 0, length);
    return sizeof(header) + c.used;
}

zoo_status zoo_cache_seq_save(const zoo_cache_pool *pool, uint32_t slot, uint32_t length,
                              void *buffer, size_t *size, zoo_error *err)
{
    const zoo_block_table *seq = zoo_seq_find(pool, slot, err);
    if (!seq) {
        return ZOO_E_USAGE;
    }
    if (length != seq->length) {
        return zoo_fail(err, ZOO_E_USAGE, "sequence %u stands at position %u, not at %u", slot,
                        seq->length, length);
    }
    size_t need = saved_size(pool, length);
    if (buffer && *size < need) {
        return zoo_fail(err, ZOO_E_USAGE, "a saved sequence takes %zu bytes, there is room for %zu",
                        need, *size);
    }
    *size = need;
    if (buffer) {
        unsigned char *body = (unsigned char *)buffer + sizeof(header);
        cursor c = {.out = body};
        pass_all(&c, pool, slot, length);
        const header head = {MAGIC, pool->layout, XXH3_64bits_withSeed(body, c.used, length),
                             length};
        memcpy(buffer, &head, sizeof head);
    }
    return ZOO_OK;
}

static zoo_status check_saved(const zoo_cache_pool *pool, const zoo_block_table *seq,
                              const void *buffer, size_t size, header *head)
{
    if (size < sizeof *head) {
        return ZOO_E_FORMAT;
    }
    memcpy(head, buffer, sizeof *head);
    bool good = head->magic == MAGIC && head->layout == pool->layout &&
                head->length <= seq->length_max &&
                size == saved_size(pool, (uint32_t)head->length) &&
                head->content == XXH3_64bits_withSeed((const unsigned char *)buffer + sizeof *head,
                                                      size - sizeof *head, head->length);
    return good ? ZOO_OK : ZOO_E_FORMAT;
}

zoo_status zoo_cache_seq_load(zoo_cache_pool *pool, uint32_t slot, const void *buffer, size_t size,
                              zoo_error *err)
{
    header head;
    zoo_block_table *seq = zoo_seq_find(pool, slot, err);
    if (!seq) {
        return ZOO_E_USAGE;
    }
    if (check_saved(pool, seq, buffer, size, &head) != ZOO_OK) {
        return zoo_fail(err, ZOO_E_FORMAT,
                        "%zu bytes are damaged, or saved from other streams, or from more than %u "
                        "positions",
                        size, seq->length_max);
    }
    ZOO_TRY(zoo_cache_seq_restart(pool, slot, err));
    uint32_t length = (uint32_t)head.length;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        uint32_t n_runs = zoo_pages_of_rows(zoo_group_rows(g, length));
        seq->first_run[i] = zoo_group_live(g, length);
        for (uint32_t run = seq->first_run[i]; run < n_runs; run++) {
            *zoo_block_table_entry(g, slot, run) = zoo_block_table_take(pool, seq, i);
        }
        seq->n_runs[i] = n_runs;
    }
    seq->begin = seq->length = length;
    cursor c = {.in = (const unsigned char *)buffer + sizeof head};
    pass_all(&c, pool, slot, length);
    return ZOO_OK;
}
