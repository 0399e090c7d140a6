/* save.c: counting, writing and reading (save.h). The length of a prefix determines its number of
 * pages in each group (prefix.c). */
#include "cache/save.h"

#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "cache/cache_private.h"

struct zoo_cache_saver {
    zoo_cache_pool *pool;
    /* Writing: each page's number in the file, plus 1; reading: each number's page, plus 1. */
    uint32_t *numbers[ZOO_GROUPS_MAX];
    uint32_t n[ZOO_GROUPS_MAX]; /* numbers in use */
};

zoo_status zoo_cache_saver_new(zoo_cache_pool *pool, zoo_cache_saver **out, zoo_error *err)
{
    zoo_cache_saver *s = zoo_mem_array(1, sizeof *s);
    bool all = s != NULL;
    *out = NULL;
    for (uint32_t i = 0; all && i < pool->n_groups; i++) {
        s->numbers[i] = zoo_mem_array((size_t)pool->groups[i].n_pages + 1, sizeof(uint32_t));
        all = s->numbers[i] != NULL;
    }
    if (!all) {
        zoo_cache_saver_free(s);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the numbers of cache pages");
    }
    s->pool = pool;
    *out = s;
    return ZOO_OK;
}

void zoo_cache_saver_free(zoo_cache_saver *s)
{
    for (uint32_t i = 0; s && i < ZOO_GROUPS_MAX; i++) {
        zoo_mem_free(s->numbers[i]);
    }
    zoo_mem_free(s);
}

static uint64_t mix(uint64_t hash, const void *data, size_t n)
{
    return XXH3_64bits_withSeed(data, n, hash);
}

uint64_t zoo_cache_pool_shape(const zoo_cache_pool *pool)
{
    uint64_t hash = mix(ZOO_PAGE, &pool->stored_states, sizeof pool->stored_states);
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        const uint64_t words[] = {g->kind, g->window, g->stride, g->stored_bytes};
        hash = mix(hash, words, sizeof words);
    }
    for (const zoo_cache_handle *h = pool->handles; h; h = h->next) {
        for (uint32_t i = 0; i < h->cache.n_streams; i++) {
            const zoo_stream_place *p = &h->places[i];
            const uint64_t words[] = {p->decl.kind,  p->decl.width, p->decl.heads, p->group,
                                      p->head_bytes, p->offset,     h->is_remote};
            const char *kind = p->kind ? p->kind->name : "";
            hash = mix(hash, words, sizeof words);
            hash = mix(hash, kind, strlen(kind));
        }
    }
    return hash;
}

/* ---- writing ---- */

static uint32_t table_of(const zoo_cache_pool *pool, uint32_t prefix)
{
    return pool->options.limits.seqs_max + prefix;
}

/* The page's number in the file; *fresh: it is new, so its bytes follow. */
static uint32_t number_of(zoo_cache_saver *s, uint32_t group, uint32_t page, bool *fresh)
{
    uint32_t *number = &s->numbers[group][page];
    *fresh = *number == 0;
    if (*fresh) {
        *number = ++s->n[group];
    }
    return *number - 1;
}

typedef bool page_fn(void *arg, uint32_t number, bool fresh, unsigned char *page, size_t n);

/* Calls fn for all pages of a prefix. */
static bool each_page(zoo_cache_saver *s, uint32_t prefix, page_fn *fn, void *arg)
{
    zoo_cache_pool *pool = s->pool;
    uint32_t table = table_of(pool, prefix);
    const zoo_block_table *t = &pool->tables[table];
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        const zoo_page_group *g = &pool->groups[i];
        for (uint32_t run = t->first_run[i]; run < t->n_runs[i]; run++) {
            bool fresh;
            uint32_t page = *zoo_block_table_entry(g, table, run);
            uint32_t number = number_of(s, i, page, &fresh);
            if (!fn(arg, number, fresh, zoo_page_memory(g, page), g->stored_bytes)) {
                return false;
            }
        }
    }
    return true;
}

static bool count_page(void *arg, uint32_t number, bool fresh, unsigned char *page, size_t n)
{
    uint64_t *sum = arg;
    (void)number;
    (void)page;
    *sum += sizeof number + (fresh ? n : 0);
    return true;
}

uint64_t zoo_cache_saver_count(zoo_cache_saver *s, uint32_t prefix)
{
    uint64_t sum = sizeof(uint32_t) + s->pool->stored_states;
    (void)each_page(s, prefix, count_page, &sum);
    return sum;
}

typedef struct mover {
    zoo_cache_move *move;
    void *arg;
} mover;

static bool write_page(void *arg, uint32_t number, bool fresh, unsigned char *page, size_t n)
{
    const mover *m = arg;
    return m->move(m->arg, &number, sizeof number) && (!fresh || m->move(m->arg, page, n));
}

bool zoo_cache_saver_write(zoo_cache_saver *s, uint32_t prefix, zoo_cache_move *move, void *arg)
{
    mover m = {move, arg};
    uint32_t length = zoo_cache_prefix_length(s->pool, prefix);
    return move(arg, &length, sizeof length) && each_page(s, prefix, write_page, &m) &&
           move(arg, zoo_block_table_states(s->pool, table_of(s->pool, prefix)),
                s->pool->stored_states);
}

/* ---- reading ---- */

static uint32_t free_prefix(const zoo_cache_pool *pool)
{
    uint32_t p = 0;
    while (p < pool->n_prefixes && pool->tables[table_of(pool, p)].open) {
        p++;
    }
    return p;
}

/* Reads a page number: of a full page that was read before, which is shared, or of a new page. */
static zoo_status read_page(zoo_cache_saver *s, uint32_t group, bool is_whole, const mover *m,
                            uint32_t *page, zoo_error *err)
{
    zoo_page_group *g = &s->pool->groups[group];
    uint32_t number;
    if (!m->move(m->arg, &number, sizeof number)) {
        return zoo_fail(err, ZOO_E_IO, "it ends too early");
    }
    if (number < s->n[group]) {
        if (!is_whole) {
            return zoo_fail(err, ZOO_E_FORMAT, "a partly filled page is used twice");
        }
        *page = s->numbers[group][number] - 1;
        g->refs[*page]++;
        return ZOO_OK;
    }
    if (number != s->n[group] || number >= g->n_pages) {
        return zoo_fail(err, ZOO_E_FORMAT, "its page numbers are not in order");
    }
    if (g->n_free - g->n_reserved == 0) {
        return zoo_fail(err, ZOO_E_MEMORY, "there is no room for all of it");
    }
    *page = zoo_page_take(g);
    s->numbers[group][s->n[group]++] = *page + 1;
    if (!m->move(m->arg, zoo_page_memory(g, *page), g->stored_bytes)) {
        zoo_page_release(g, *page); /* reading ends here: its number is not used again */
        return zoo_fail(err, ZOO_E_IO, "it ends too early");
    }
    return ZOO_OK;
}

static zoo_status read_group(zoo_cache_saver *s, uint32_t table, uint32_t group, uint32_t length,
                             const mover *m, zoo_error *err)
{
    zoo_block_table *t = &s->pool->tables[table];
    zoo_page_group *g = &s->pool->groups[group];
    uint32_t whole = zoo_group_whole(g, length);
    uint32_t n_runs = zoo_pages_of_rows(zoo_group_rows(g, length));
    t->n_shared[group] = whole;
    t->first_run[group] = t->n_runs[group] = zoo_group_live(g, length);
    while (t->n_runs[group] < n_runs) {
        uint32_t run = t->n_runs[group];
        ZOO_TRY(read_page(s, group, run < whole, m, zoo_block_table_entry(g, table, run), err));
        t->n_runs[group]++; /* held from here on */
    }
    return ZOO_OK;
}

static zoo_status read_prefix(zoo_cache_saver *s, uint32_t table, const mover *m, zoo_error *err)
{
    zoo_cache_pool *pool = s->pool;
    zoo_block_table *t = &pool->tables[table];
    uint32_t length;
    if (!m->move(m->arg, &length, sizeof length)) {
        return zoo_fail(err, ZOO_E_IO, "it ends too early");
    }
    if (length == 0 || length > pool->options.limits.context_max) {
        return zoo_fail(err, ZOO_E_FORMAT, "a prefix has %u positions", length);
    }
    *t = (zoo_block_table){.open = 1, .length_max = length};
    for (uint32_t i = 0; i < pool->n_groups; i++) {
        ZOO_TRY(read_group(s, table, i, length, m, err));
    }
    t->begin = t->length = length;
    return m->move(m->arg, zoo_block_table_states(pool, table), pool->stored_states)
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_IO, "it ends too early");
}

zoo_status zoo_cache_saver_read(zoo_cache_saver *s, zoo_cache_move *move, void *arg,
                                uint32_t *prefix, zoo_error *err)
{
    const mover m = {move, arg};
    uint32_t p = free_prefix(s->pool);
    if (p == s->pool->n_prefixes) {
        return zoo_fail(err, ZOO_E_MEMORY, "there is no room for all of it");
    }
    zoo_status status = read_prefix(s, table_of(s->pool, p), &m, err);
    if (status != ZOO_OK) {
        zoo_cache_prefix_drop(s->pool, p);
        return status;
    }
    *prefix = p;
    return ZOO_OK;
}
