/*
 * cache_seq.c: sequences: reservation, page tables, prefixes, save and load.
 *
 * Opening reserves all pages that the sequence may ever need, so no later step runs out. A prefix
 * shares whole pages of ROWS by reference; a page that is only partly filled, rings and states are
 * copied, so a shared page is never written.
 */
#include <string.h>

#include "cache_private.h"
#include "mem.h"

static void clear_table(const zoo_cache_pool *pool, zoo_cache_seq *seq)
{
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        for (uint32_t e = 0; e < pool->groups[i].n_entries; e++) {
            seq->pages[i][e] = ZOO_NO_PAGE;
            seq->tags[i][e] = UINT32_MAX;
        }
    }
}

static uint32_t find_slot(const zoo_cache_pool *pool)
{
    for (uint32_t s = 0; s < pool->options.limits.seqs_max; s++) {
        if (!pool->seqs[s].open) {
            return s;
        }
    }
    return UINT32_MAX;
}

/* Whole pages of ROWS that a prefix lends. */
static uint32_t lent_pages(const zoo_page_group *g, const zoo_cache_prefix *prefix)
{
    return prefix && !g->n_ring ? prefix->length / g->stride / ZOO_PAGE : 0;
}

static zoo_status reserve(zoo_cache_pool *pool, zoo_cache_seq *seq, uint32_t length_max,
                          const zoo_cache_prefix *prefix, zoo_error *err)
{
    uint32_t need[ZOO_GROUPS_MAX];
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        uint32_t whole = zoo_group_need(g, length_max);
        need[i] = whole - lent_pages(g, prefix);
        if (whole > g->n_entries || whole > g->n_pages) {
            return zoo_fail(err, ZOO_E_LIMIT,
                            "a sequence of %u positions needs %u pages, the cache has %u",
                            length_max, whole, g->n_pages);
        }
        if (need[i] > g->n_free - g->n_reserved) {
            return zoo_fail(err, ZOO_E_MEMORY, "%u cache pages are needed, %u are free", need[i],
                            g->n_free - g->n_reserved);
        }
    }
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        pool->groups[i].n_reserved += need[i];
        seq->n_reserved[i] = need[i];
    }
    return ZOO_OK;
}

static zoo_status open_slot(zoo_cache_pool *pool, uint32_t length_max,
                            const zoo_cache_prefix *prefix, uint32_t *slot, zoo_error *err)
{
    uint32_t s = find_slot(pool);
    if (length_max > pool->options.limits.context_max) {
        return zoo_fail(err, ZOO_E_LIMIT, "%u positions, the context is %u", length_max,
                        pool->options.limits.context_max);
    }
    if (s == UINT32_MAX) {
        return zoo_fail(err, ZOO_E_MEMORY, "all %u sequences are taken",
                        pool->options.limits.seqs_max);
    }
    ZOO_TRY(reserve(pool, &pool->seqs[s], length_max, prefix, err));
    pool->seqs[s].open = 1;
    pool->seqs[s].length_max = length_max;
    clear_table(pool, &pool->seqs[s]);
    memset(zoo_seq_states(pool, s), 0, pool->state_bytes);
    *slot = s;
    return ZOO_OK;
}

zoo_status zoo_cache_seq_open(zoo_cache_pool *pool, uint32_t length_max, uint32_t *slot,
                              zoo_error *err)
{
    return open_slot(pool, length_max, NULL, slot, err);
}

static uint32_t take_reserved(zoo_cache_pool *pool, zoo_cache_seq *seq, uint32_t group)
{
    zoo_page_group *g = &pool->groups[group];
    if (seq->n_reserved[group] == 0) {
        return ZOO_NO_PAGE;
    }
    uint32_t page = zoo_page_take(g);
    if (page != ZOO_NO_PAGE) {
        g->n_reserved--;
        seq->n_reserved[group]--;
    }
    return page;
}

static void close_pages(zoo_cache_pool *pool, zoo_cache_seq *seq)
{
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        for (uint32_t e = 0; e < pool->groups[i].n_entries; e++) {
            zoo_page_release(&pool->groups[i], seq->pages[i][e]);
        }
        pool->groups[i].n_reserved -= seq->n_reserved[i];
        seq->n_reserved[i] = 0;
    }
    clear_table(pool, seq);
}

void zoo_cache_seq_close(zoo_cache_pool *pool, uint32_t slot)
{
    close_pages(pool, &pool->seqs[slot]);
    pool->seqs[slot].open = 0;
}

void zoo_cache_seq_restart(zoo_cache_pool *pool, uint32_t slot)
{
    zoo_cache_seq *seq = &pool->seqs[slot];
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        zoo_page_group *g = &pool->groups[i];
        for (uint32_t e = 0; e < g->n_entries; e++) {
            if (seq->pages[i][e] != ZOO_NO_PAGE) {
                zoo_page_release(g, seq->pages[i][e]);
                g->n_reserved++;
                seq->n_reserved[i]++;
            }
        }
    }
    clear_table(pool, seq);
    memset(zoo_seq_states(pool, slot), 0, pool->state_bytes);
}

static zoo_status extend_group(zoo_cache_pool *pool, zoo_cache_seq *seq, uint32_t group,
                               uint32_t first, uint32_t last, zoo_error *err)
{
    const zoo_page_group *g = &pool->groups[group];
    for (uint32_t run = first / ZOO_PAGE; run <= last / ZOO_PAGE; run++) {
        uint32_t entry = g->n_ring ? run % g->n_ring : run;
        if (entry >= g->n_entries) {
            return zoo_fail(err, ZOO_E_LIMIT, "row %u lies beyond the cache", last);
        }
        if (seq->pages[group][entry] == ZOO_NO_PAGE) {
            seq->pages[group][entry] = take_reserved(pool, seq, group);
        }
        if (seq->pages[group][entry] == ZOO_NO_PAGE) {
            return zoo_fail(err, ZOO_E_LIMIT, "row %u lies beyond what the sequence reserved",
                            last);
        }
        seq->tags[group][entry] = run;
    }
    return ZOO_OK;
}

zoo_status zoo_cache_seq_extend(zoo_cache_pool *pool, uint32_t slot, uint32_t pos, uint32_t n,
                                zoo_error *err)
{
    zoo_cache_seq *seq = &pool->seqs[slot];
    if (n == 0 || pos > seq->length_max || n > seq->length_max - pos) {
        return zoo_fail(err, ZOO_E_LIMIT, "positions %u to %u lie beyond the sequence's %u", pos,
                        pos + n, seq->length_max);
    }
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        uint32_t stride = pool->groups[i].stride;
        ZOO_TRY(extend_group(pool, seq, i, pos / stride, (pos + n - 1) / stride, err));
    }
    return ZOO_OK;
}

/* A copy of `page` outside any reservation; ZOO_NO_PAGE when none is free. */
static uint32_t copy_page(zoo_page_group *g, uint32_t page)
{
    if (g->n_free == g->n_reserved) {
        return ZOO_NO_PAGE;
    }
    uint32_t copy = zoo_page_take(g);
    if (copy != ZOO_NO_PAGE) {
        memcpy(zoo_page_memory(g, copy), zoo_page_memory(g, page), g->page_bytes);
    }
    return copy;
}

static bool keep_group(zoo_cache_pool *pool, const zoo_cache_seq *seq, zoo_cache_prefix *prefix,
                       uint32_t group)
{
    zoo_page_group *g = &pool->groups[group];
    uint32_t lent = lent_pages(g, prefix), n = zoo_group_need(g, prefix->length);
    prefix->pages[group] = zoo_mem_array(n + 1, sizeof(uint32_t));
    prefix->tags[group] = zoo_mem_array(n + 1, sizeof(uint32_t));
    if (!prefix->pages[group] || !prefix->tags[group]) {
        return false;
    }
    for (uint32_t e = 0; e < n; e++) {
        uint32_t page = seq->pages[group][e];
        if (e < lent) {
            g->refs[page]++;
        } else {
            page = copy_page(g, page);
        }
        if (page == ZOO_NO_PAGE) {
            return false;
        }
        prefix->pages[group][e] = page;
        prefix->tags[group][e] = seq->tags[group][e];
        prefix->n_pages[group] = e + 1;
    }
    return true;
}

zoo_status zoo_cache_prefix_keep(zoo_cache_pool *pool, uint32_t slot, uint32_t length,
                                 uint32_t *prefix, zoo_error *err)
{
    uint32_t p = 0;
    while (p < ZOO_PREFIXES_MAX && pool->prefixes[p].used) {
        p++;
    }
    if (length == 0 || length % ZOO_PAGE != 0 || p == ZOO_PREFIXES_MAX) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "a prefix is a multiple of %d positions, %d are kept at most", ZOO_PAGE,
                        ZOO_PREFIXES_MAX);
    }
    zoo_cache_prefix *kept = &pool->prefixes[p];
    *kept = (zoo_cache_prefix){.used = 1, .length = length};
    kept->states = zoo_mem_alloc(pool->state_bytes + 1);
    bool ok = kept->states != NULL;
    for (uint32_t i = 0; ok && i < pool->n_groups; i++) {
        ok = keep_group(pool, &pool->seqs[slot], kept, i);
    }
    if (!ok) {
        zoo_cache_prefix_drop(pool, p);
        return zoo_fail(err, ZOO_E_MEMORY, "no room to keep a prefix of %u positions", length);
    }
    memcpy(kept->states, zoo_seq_states(pool, slot), pool->state_bytes);
    *prefix = p;
    return ZOO_OK;
}

void zoo_cache_prefix_drop(zoo_cache_pool *pool, uint32_t prefix)
{
    zoo_cache_prefix *kept = &pool->prefixes[prefix];
    for (uint32_t i = 0; kept->used && i < pool->n_groups; i++) {
        for (uint32_t e = 0; e < kept->n_pages[i]; e++) {
            zoo_page_release(&pool->groups[i], kept->pages[i][e]);
        }
        zoo_mem_free(kept->pages[i]);
        zoo_mem_free(kept->tags[i]);
    }
    zoo_mem_free(kept->states);
    memset(kept, 0, sizeof *kept);
}

uint32_t zoo_cache_prefix_length(const zoo_cache_pool *pool, uint32_t prefix)
{
    return pool->prefixes[prefix].length;
}

zoo_status zoo_cache_seq_open_at(zoo_cache_pool *pool, uint32_t length_max, uint32_t prefix,
                                 uint32_t *slot, zoo_error *err)
{
    const zoo_cache_prefix *kept = prefix < ZOO_PREFIXES_MAX ? &pool->prefixes[prefix] : NULL;
    if (!kept || !kept->used || length_max < kept->length) {
        return zoo_fail(err, ZOO_E_USAGE, "prefix %u is not kept or is longer than the sequence",
                        prefix);
    }
    ZOO_TRY(open_slot(pool, length_max, kept, slot, err));
    zoo_cache_seq *seq = &pool->seqs[*slot];
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        zoo_page_group *g = &pool->groups[i];
        uint32_t lent = lent_pages(g, kept);
        for (uint32_t e = 0; e < kept->n_pages[i]; e++) {
            uint32_t page = kept->pages[i][e];
            if (e < lent) {
                g->refs[page]++;
            } else {
                uint32_t own = take_reserved(pool, seq, i);
                memcpy(zoo_page_memory(g, own), zoo_page_memory(g, page), g->page_bytes);
                page = own;
            }
            seq->pages[i][e] = page;
            seq->tags[i][e] = kept->tags[i][e];
        }
    }
    memcpy(zoo_seq_states(pool, *slot), kept->states, pool->state_bytes);
    return ZOO_OK;
}

static size_t saved_size(const zoo_cache_pool *pool, uint32_t length)
{
    size_t size = sizeof(uint64_t) + pool->state_bytes;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        size += (size_t)zoo_group_need(&pool->groups[i], length) *
                (pool->groups[i].page_bytes + sizeof(uint32_t));
    }
    return size;
}

zoo_status zoo_cache_seq_save(const zoo_cache_pool *pool, uint32_t slot, uint32_t length,
                              void *buffer, size_t *size, zoo_error *err)
{
    size_t need = saved_size(pool, length);
    if (buffer && *size < need) {
        return zoo_fail(err, ZOO_E_USAGE, "a saved sequence takes %zu bytes, there is room for %zu",
                        need, *size);
    }
    *size = need;
    if (!buffer) {
        return ZOO_OK;
    }
    unsigned char *out = buffer;
    const uint64_t head = length;
    memcpy(out, &head, sizeof head);
    out += sizeof head;
    memcpy(out, zoo_seq_states(pool, slot), pool->state_bytes);
    out += pool->state_bytes;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        for (uint32_t e = 0; e < zoo_group_need(g, length); e++) {
            memcpy(out, &pool->seqs[slot].tags[i][e], sizeof(uint32_t));
            memcpy(out + sizeof(uint32_t), zoo_page_memory(g, pool->seqs[slot].pages[i][e]),
                   g->page_bytes);
            out += sizeof(uint32_t) + g->page_bytes;
        }
    }
    return ZOO_OK;
}

zoo_status zoo_cache_seq_load(zoo_cache_pool *pool, uint32_t slot, const void *buffer, size_t size,
                              zoo_error *err)
{
    const unsigned char *in = buffer;
    uint64_t length = 0;
    zoo_cache_seq *seq = &pool->seqs[slot];
    if (size >= sizeof length) {
        memcpy(&length, in, sizeof length);
    }
    if (length == 0 || length > seq->length_max || size != saved_size(pool, (uint32_t)length)) {
        return zoo_fail(err, ZOO_E_FORMAT, "%zu bytes are no saved sequence of this model", size);
    }
    zoo_cache_seq_restart(pool, slot);
    in += sizeof length;
    memcpy(zoo_seq_states(pool, slot), in, pool->state_bytes);
    in += pool->state_bytes;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        for (uint32_t e = 0; e < zoo_group_need(g, (uint32_t)length); e++) {
            memcpy(&seq->tags[i][e], in, sizeof(uint32_t));
            seq->pages[i][e] = take_reserved(pool, seq, i);
            memcpy(zoo_page_memory(g, seq->pages[i][e]), in + sizeof(uint32_t), g->page_bytes);
            in += sizeof(uint32_t) + g->page_bytes;
        }
    }
    return ZOO_OK;
}
