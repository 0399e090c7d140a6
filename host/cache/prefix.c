/*
 * prefix.c: kept prefixes: block tables after those of the sequences, with their own states.
 *
 * ROWS: full pages are shared by reference, a partly filled one is copied. Rings: live pages are
 * copied, since the sequence will overwrite them. States are copied. Rings and states of n_prefixes
 * prefixes have memory of their own, so a kept prefix never takes ring pages from a sequence; pages
 * of ROWS come from those that are free and not reserved.
 */
#include <assert.h>
#include <string.h>

#include "cache/cache_private.h"

static zoo_block_table *find_prefix(const zoo_cache_pool *pool, uint32_t prefix)
{
    if (!pool->fixed || prefix >= pool->n_prefixes) {
        return NULL;
    }
    zoo_block_table *h = &pool->tables[pool->options.limits.seqs_max + prefix];
    return h->open ? h : NULL;
}

/* Fills the empty table `to` with the first `length` positions of `from`. Pages to copy to must be
 * reserved or free. */
static void share(zoo_cache_pool *pool, uint32_t from, uint32_t to, uint32_t length)
{
    zoo_block_table *source = &pool->tables[from], *target = &pool->tables[to];
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        zoo_page_group *g = &pool->groups[i];
        uint32_t shared = zoo_group_whole(g, length);
        uint32_t live = zoo_group_live(g, length);
        uint32_t n_runs = zoo_pages_of_rows(zoo_group_rows(g, length));
        for (uint32_t run = live; run < n_runs; run++) {
            uint32_t page = *zoo_block_table_entry(g, from, run);
            if (run < shared) {
                g->refs[page]++;
            } else {
                uint32_t copy = target->n_reserved[i] ? zoo_block_table_take(pool, target, i)
                                                      : zoo_page_take(g);
                memcpy(zoo_page_memory(g, copy), zoo_page_memory(g, page), g->stored_bytes);
                page = copy;
            }
            *zoo_block_table_entry(g, to, run) = page;
        }
        source->n_shared[i] = shared > source->n_shared[i] ? shared : source->n_shared[i];
        target->n_shared[i] = shared;
        target->first_run[i] = live;
        target->n_runs[i] = n_runs;
    }
    target->begin = target->length = length;
    memcpy(zoo_block_table_states(pool, to), zoo_block_table_states(pool, from),
           pool->stored_states);
}

static uint32_t free_prefix(const zoo_cache_pool *pool)
{
    uint32_t p = 0;
    while (p < pool->n_prefixes && pool->tables[pool->options.limits.seqs_max + p].open) {
        p++;
    }
    return p;
}

static zoo_status check_room(const zoo_cache_pool *pool, uint32_t length, zoo_error *err)
{
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        uint32_t copies = zoo_pages_of_rows(zoo_group_rows(g, length)) -
                          (g->n_ring ? zoo_group_live(g, length) : zoo_group_whole(g, length));
        if (copies > g->n_free - g->n_reserved) {
            return zoo_fail(err, ZOO_E_MEMORY,
                            "a prefix of %u positions needs %u cache pages, %u are free", length,
                            copies, g->n_free - g->n_reserved);
        }
    }
    return ZOO_OK;
}

zoo_status zoo_cache_prefix_keep(zoo_cache_pool *pool, uint32_t slot, uint32_t length,
                                 uint32_t *prefix, zoo_error *err)
{
    zoo_block_table *seq = zoo_seq_find(pool, slot, err);
    if (!seq) {
        return ZOO_E_USAGE;
    }
    if (length == 0 || length != seq->length) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "a prefix must be as long as its sequence, %u positions, not %u",
                        seq->length, length);
    }
    uint32_t p = free_prefix(pool);
    if (p == pool->n_prefixes) {
        return zoo_fail(err, ZOO_E_MEMORY, "the cache has room for %u prefixes", pool->n_prefixes);
    }
    ZOO_TRY(check_room(pool, length, err));
    uint32_t table = pool->options.limits.seqs_max + p;
    pool->tables[table] = (zoo_block_table){.open = 1, .length_max = length};
    share(pool, slot, table, length);
    /* Repeating a step from before `length` would write to pages that are shared now. */
    seq->begin = length;
    *prefix = p;
    return ZOO_OK;
}

void zoo_cache_prefix_drop(zoo_cache_pool *pool, uint32_t prefix)
{
    zoo_block_table *kept = find_prefix(pool, prefix);
    if (kept) {
        zoo_block_table_clear(pool, pool->options.limits.seqs_max + prefix, NULL);
        memset(kept, 0, sizeof *kept);
    }
}

uint32_t zoo_cache_prefix_length(const zoo_cache_pool *pool, uint32_t prefix)
{
    const zoo_block_table *kept = find_prefix(pool, prefix);
    return kept ? kept->length : 0;
}

uint32_t zoo_cache_pool_grain(const zoo_cache_pool *pool)
{
    uint32_t grain = pool->state_bytes > 0 ? 0 : 1;
    for (uint32_t i = 0; i < pool->n_groups && grain > 0; i++) {
        const zoo_page_group *g = &pool->groups[i];
        uint32_t a = grain, b = g->stride;
        while (b > 0) {
            uint32_t rest = a % b;
            a = b;
            b = rest;
        }
        /* The least common multiple of the strides; 0 if it overflows. */
        grain = g->n_ring || grain / a > UINT32_MAX / g->stride ? 0 : grain / a * g->stride;
    }
    return grain;
}

double zoo_cache_pool_fill(const zoo_cache_pool *pool)
{
    double fullest = 0;
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        double fill = g->n_pages && !g->n_ring
                          ? 1 - (double)(g->n_free - g->n_reserved) / (double)g->n_pages
                          : 0;
        fullest = fill > fullest ? fill : fullest;
    }
    return fullest;
}

zoo_status zoo_cache_seq_open_at(zoo_cache_pool *pool, uint32_t length_max, uint32_t prefix,
                                 uint32_t length, uint32_t *slot, zoo_error *err)
{
    const zoo_block_table *kept = find_prefix(pool, prefix);
    uint32_t grain = zoo_cache_pool_grain(pool);
    if (!kept || length > kept->length || length_max < length) {
        return zoo_fail(err, ZOO_E_USAGE,
                        "prefix %u does not have %u positions, or they exceed the sequence's "
                        "length_max %u",
                        prefix, length, length_max);
    }
    if (length < kept->length && (grain == 0 || length == 0 || length % grain != 0)) {
        return zoo_fail(err, ZOO_E_USAGE, "a prefix of %u positions cannot be cut at %u",
                        kept->length, length);
    }
    ZOO_TRY(zoo_seq_start(pool, length_max, length, slot, err));
    share(pool, pool->options.limits.seqs_max + prefix, *slot, length);
    return ZOO_OK;
}
