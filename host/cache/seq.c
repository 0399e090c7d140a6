/*
 * seq.c: sequences: slots, reservation, block tables.
 *
 * Opening reserves all pages that the sequence may ever need (for a ring its whole table, or less
 * if the sequence is shorter), so no later step runs out. Invariants of each group: n_reserved <=
 * n_free; a sequence's own pages plus its remaining reservation equal the initial reservation.
 */
#include <assert.h>
#include <string.h>

#include "cache/cache_private.h"

zoo_block_table *zoo_seq_find(const zoo_cache_pool *pool, uint32_t slot, zoo_error *err)
{
    if (!pool->fixed || slot >= pool->options.limits.seqs_max || !pool->tables[slot].open) {
        (void)zoo_fail(err, ZOO_E_USAGE, "sequence %u of the cache is not open", slot);
        return NULL;
    }
    return &pool->tables[slot];
}

uint32_t zoo_group_whole(const zoo_page_group *group, uint32_t length)
{
    return group->n_ring ? 0 : length / group->stride / ZOO_PAGE;
}

static zoo_status reserve(zoo_cache_pool *pool, zoo_block_table *seq, uint32_t length_max,
                          uint32_t n_shared, zoo_error *err)
{
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        uint32_t whole = zoo_group_need(g, length_max);
        uint32_t shared = zoo_group_whole(g, n_shared);
        if (whole > g->n_pages) {
            return zoo_fail(err, ZOO_E_LIMIT,
                            "a sequence of %u positions needs %u cache pages, there are %u",
                            length_max, whole, g->n_pages);
        }
        seq->n_reserved[i] = whole - shared;
    }
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        if (seq->n_reserved[i] > g->n_free - g->n_reserved) {
            return zoo_fail(err, ZOO_E_MEMORY, "%u cache pages are needed, %u are free",
                            seq->n_reserved[i], g->n_free - g->n_reserved);
        }
    }
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        pool->groups[i].n_reserved += seq->n_reserved[i];
    }
    return ZOO_OK;
}

zoo_status zoo_seq_start(zoo_cache_pool *pool, uint32_t length_max, uint32_t n_shared,
                         uint32_t *slot, zoo_error *err)
{
    uint32_t s = 0, n = pool->options.limits.seqs_max;
    zoo_block_table seq = {.open = 1, .length_max = length_max};
    if (!pool->fixed) {
        return zoo_fail(err, ZOO_E_INTERNAL, "the cache has no memory yet");
    }
    if (length_max > pool->options.limits.context_max) {
        return zoo_fail(err, ZOO_E_LIMIT, "%u positions, the context is %u", length_max,
                        pool->options.limits.context_max);
    }
    while (s < n && pool->tables[s].open) {
        s++;
    }
    if (s == n) {
        return zoo_fail(err, ZOO_E_MEMORY, "all %u sequences of the cache are taken", n);
    }
    ZOO_TRY(reserve(pool, &seq, length_max, n_shared, err));
    pool->tables[s] = seq;
    *slot = s;
    return ZOO_OK;
}

static void zero_states(zoo_cache_pool *pool, uint32_t slot)
{
    memset(zoo_block_table_states(pool, slot), 0, pool->stored_states);
}

zoo_status zoo_cache_seq_open(zoo_cache_pool *pool, uint32_t length_max, uint32_t *slot,
                              zoo_error *err)
{
    ZOO_TRY(zoo_seq_start(pool, length_max, 0, slot, err));
    zero_states(pool, *slot);
    return ZOO_OK;
}

uint32_t zoo_block_table_take(zoo_cache_pool *pool, zoo_block_table *table, uint32_t group)
{
    zoo_page_group *g = &pool->groups[group];
    assert(table->n_reserved[group] && g->n_reserved && g->n_free);
    table->n_reserved[group]--;
    g->n_reserved--;
    return zoo_page_take(g);
}

void zoo_block_table_clear(zoo_cache_pool *pool, uint32_t table, uint32_t *n_held)
{
    zoo_block_table *h = &pool->tables[table];
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        uint32_t first = zoo_block_table_oldest(pool, h, i);
        for (uint32_t run = first; run < h->n_runs[i]; run++) {
            zoo_page_release(&pool->groups[i],
                             *zoo_block_table_entry(&pool->groups[i], table, run));
        }
        if (n_held) {
            n_held[i] = h->n_runs[i] - first;
        }
        h->first_run[i] = h->n_runs[i] = h->n_shared[i] = 0;
    }
    h->begin = h->length = 0;
}

static void drop_mark(zoo_cache_pool *pool, zoo_block_table *seq)
{
    if (seq->mark) {
        pool->marks_held[seq->mark - 1] = false;
        seq->mark = 0;
    }
}

void zoo_cache_seq_close(zoo_cache_pool *pool, uint32_t slot)
{
    zoo_block_table *seq = zoo_seq_find(pool, slot, NULL);
    if (!seq) {
        return;
    }
    drop_mark(pool, seq);
    zoo_block_table_clear(pool, slot, NULL);
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        pool->groups[i].n_reserved -= seq->n_reserved[i];
    }
    memset(seq, 0, sizeof *seq);
}

/* Pages of this sequence that others also hold. */
static uint32_t count_shared(const zoo_page_group *g, uint32_t slot, uint32_t n_shared)
{
    uint32_t n = 0;
    for (uint32_t run = 0; run < n_shared; run++) {
        n += g->refs[*zoo_block_table_entry(g, slot, run)] > 1;
    }
    return n;
}

zoo_status zoo_cache_seq_restart(zoo_cache_pool *pool, uint32_t slot, zoo_error *err)
{
    uint32_t n_held[ZOO_GROUPS_MAX];
    zoo_block_table *seq = zoo_seq_find(pool, slot, err);
    if (!seq) {
        return ZOO_E_USAGE;
    }
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        uint32_t shared = count_shared(g, slot, seq->n_shared[i]);
        if (shared > g->n_free - g->n_reserved) {
            return zoo_fail(err, ZOO_E_MEMORY,
                            "%u shared cache pages must be replaced, %u are free", shared,
                            g->n_free - g->n_reserved);
        }
    }
    drop_mark(pool, seq);
    zoo_block_table_clear(pool, slot, n_held);
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        pool->groups[i].n_reserved += n_held[i];
        seq->n_reserved[i] += n_held[i];
    }
    zero_states(pool, slot);
    return ZOO_OK;
}

static void extend_group(zoo_cache_pool *pool, uint32_t slot, uint32_t group, uint32_t last_run)
{
    zoo_block_table *seq = &pool->tables[slot];
    const zoo_page_group *g = &pool->groups[group];
    for (uint32_t run = seq->n_runs[group]; run <= last_run; run++) {
        /* After one round of the ring the entry's page holds rows outside the window: reuse it. */
        if (!g->n_ring || run - seq->first_run[group] < g->n_entries) {
            *zoo_block_table_entry(g, slot, run) = zoo_block_table_take(pool, seq, group);
        }
        seq->n_runs[group] = run + 1;
    }
}

zoo_status zoo_cache_seq_extend(zoo_cache_pool *pool, uint32_t slot, uint32_t pos, uint32_t n,
                                zoo_error *err)
{
    zoo_block_table *seq = zoo_seq_find(pool, slot, err);
    if (!seq) {
        return ZOO_E_USAGE;
    }
    if (pos < seq->begin || pos > seq->length) {
        return zoo_fail(err, ZOO_E_USAGE, "sequence %u has %u positions, not %u", slot, seq->length,
                        pos);
    }
    if (n == 0 || n > pool->options.limits.rows_max || n > seq->length_max - pos) {
        return zoo_fail(err, ZOO_E_LIMIT,
                        "%u rows from position %u: a step takes 1 to %u, the sequence %u", n, pos,
                        pool->options.limits.rows_max, seq->length_max);
    }
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        extend_group(pool, slot, i, (pos + n - 1) / pool->groups[i].stride / ZOO_PAGE);
    }
    seq->begin = pos;
    seq->length = pos + n;
    return ZOO_OK;
}

bool zoo_cache_seq_mark(zoo_cache_pool *pool, uint32_t slot)
{
    zoo_block_table *seq = zoo_seq_find(pool, slot, NULL);
    uint32_t mark = 0;
    if (!seq || pool->state_bytes == 0) {
        return seq != NULL;
    }
    drop_mark(pool, seq);
    while (mark < pool->n_marks && pool->marks_held[mark]) {
        mark++;
    }
    if (mark == pool->n_marks) {
        return false;
    }
    pool->marks_held[mark] = true;
    seq->mark = mark + 1;
    memcpy(pool->marks + mark * pool->stored_states, zoo_block_table_states(pool, slot),
           pool->stored_states);
    return true;
}

uint32_t zoo_cache_seq_rewind(zoo_cache_pool *pool, uint32_t slot, uint32_t length)
{
    zoo_block_table *seq = zoo_seq_find(pool, slot, NULL);
    assert(seq && length <= seq->length);
    assert(length >= seq->begin ||
           (pool->state_bytes == 0 && seq->length - length < pool->options.limits.rows_max));
    if (seq->mark && length < seq->length) {
        length = seq->begin;
        memcpy(zoo_block_table_states(pool, slot),
               pool->marks + (seq->mark - 1) * pool->stored_states, pool->stored_states);
    }
    assert(length == seq->length || pool->state_bytes == 0 || seq->mark);
    drop_mark(pool, seq);
    seq->begin = length < seq->begin ? length : seq->begin;
    seq->length = length;
    return length;
}
