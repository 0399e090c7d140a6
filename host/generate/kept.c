/* kept.c: binary search over sorted entries (kept.h). */
#include "generate/kept.h"

#include <string.h>

#include "base/mem.h"

enum { GROWTH = 64 };

void zoo_kept_free(zoo_kept *k)
{
    for (uint32_t i = 0; i < k->n; i++) {
        zoo_mem_free(k->entries[i].tokens);
    }
    zoo_mem_free(k->entries);
    memset(k, 0, sizeof *k);
}

static uint32_t count_common(const zoo_kept_entry *e, const int32_t *tokens, uint32_t n)
{
    uint32_t end = e->n < n ? e->n : n, i = 0;
    while (i < end && e->tokens[i] == tokens[i]) {
        i++;
    }
    return i;
}

/* The first entry that does not come before tokens [n], or k->n. */
static uint32_t place_of(const zoo_kept *k, const int32_t *tokens, uint32_t n)
{
    uint32_t lo = 0, hi = k->n;
    while (lo < hi) {
        uint32_t middle = lo + (hi - lo) / 2;
        const zoo_kept_entry *e = &k->entries[middle];
        uint32_t common = count_common(e, tokens, n);
        bool is_before = common < n && (common == e->n || e->tokens[common] < tokens[common]);
        if (is_before) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo;
}

static bool is_at(const zoo_kept *k, uint32_t at, const int32_t *tokens, uint32_t n)
{
    return at < k->n && k->entries[at].n == n && count_common(&k->entries[at], tokens, n) == n;
}

/* The longest entry that is a prefix of tokens [n]. Such an entry sorts before them and is a prefix
 * of every entry in between, so it is no longer than what the nearest one has in common. */
static zoo_kept_entry *find_whole(const zoo_kept *k, const int32_t *tokens, uint32_t n)
{
    while (n > 0) {
        uint32_t at = place_of(k, tokens, n), common;
        if (is_at(k, at, tokens, n)) {
            return &k->entries[at];
        }
        if (at == 0) {
            return NULL;
        }
        common = count_common(&k->entries[at - 1], tokens, n);
        if (common == k->entries[at - 1].n) {
            return &k->entries[at - 1];
        }
        n = common;
    }
    return NULL;
}

static zoo_kept_entry *find_part(const zoo_kept *k, const int32_t *tokens, uint32_t n,
                                 uint32_t *common)
{
    zoo_kept_entry *best = NULL;
    uint32_t at = place_of(k, tokens, n), first = at > 0 ? at - 1 : 0;
    *common = 0;
    for (uint32_t i = first; i <= at && i < k->n; i++) {
        uint32_t here = count_common(&k->entries[i], tokens, n);
        if (here > *common) {
            *common = here;
            best = &k->entries[i];
        }
    }
    return best;
}

zoo_kept_entry *zoo_kept_find(zoo_kept *k, const int32_t *tokens, uint32_t n, uint32_t grain,
                              uint32_t *common)
{
    zoo_kept_entry *e;
    if (grain > 0) {
        e = find_part(k, tokens, n, common);
        *common -= *common % grain;
    } else {
        e = find_whole(k, tokens, n);
        *common = e ? e->n : 0;
    }
    if (!e || *common == 0) {
        return NULL;
    }
    e->used = ++k->n_uses;
    return e;
}

zoo_kept_entry *zoo_kept_shorter(const zoo_kept *k, const int32_t *tokens, uint32_t n)
{
    return n > 0 ? find_whole(k, tokens, n - 1) : NULL;
}

bool zoo_kept_add(zoo_kept *k, const int32_t *tokens, uint32_t n, uint32_t prefix, bool is_spare)
{
    uint32_t at = place_of(k, tokens, n);
    int32_t *copy = zoo_mem_alloc(n * sizeof *copy);
    if (copy && k->n == k->max) {
        zoo_kept_entry *grown =
            zoo_mem_realloc(k->entries, (size_t)(k->max + GROWTH) * sizeof *grown);
        k->entries = grown ? grown : k->entries;
        k->max += grown ? GROWTH : 0;
    }
    if (!copy || k->n == k->max) {
        zoo_mem_free(copy);
        return false;
    }
    memcpy(copy, tokens, n * sizeof *copy);
    memmove(k->entries + at + 1, k->entries + at, (k->n - at) * sizeof *k->entries);
    k->entries[at] = (zoo_kept_entry){copy, n, prefix, is_spare ? 0 : ++k->n_uses};
    k->n++;
    return true;
}

zoo_kept_entry *zoo_kept_oldest(const zoo_kept *k)
{
    zoo_kept_entry *oldest = NULL;
    for (uint32_t i = 0; i < k->n; i++) {
        if (!oldest || k->entries[i].used < oldest->used) {
            oldest = &k->entries[i];
        }
    }
    return oldest;
}

uint32_t zoo_kept_remove(zoo_kept *k, zoo_kept_entry *e)
{
    uint32_t prefix = e->prefix, at = (uint32_t)(e - k->entries);
    zoo_mem_free(e->tokens);
    k->n--;
    memmove(e, e + 1, (k->n - at) * sizeof *e);
    return prefix;
}
