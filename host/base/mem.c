/* mem.c: malloc behind a counter that tests can turn into a failure.
 * Source: SQLite's malloc fault tests. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static atomic_llong mem_calls;
static atomic_llong mem_fail_at;

static bool mem_fails(void)
{
    long long call = atomic_fetch_add_explicit(&mem_calls, 1, memory_order_relaxed) + 1;
    return call == atomic_load_explicit(&mem_fail_at, memory_order_relaxed);
}

void *zoo_mem_alloc(size_t n)
{
    return mem_fails() ? NULL : malloc(n ? n : 1);
}

void *zoo_mem_array(size_t n_items, size_t item_size)
{
    if (mem_fails() || (item_size && n_items > SIZE_MAX / item_size)) {
        return NULL;
    }
    return calloc(n_items ? n_items : 1, item_size ? item_size : 1);
}

void *zoo_mem_realloc(void *block, size_t n)
{
    return mem_fails() ? NULL : realloc(block, n ? n : 1);
}

char *zoo_mem_text(const char *text, size_t n)
{
    char *copy = n < SIZE_MAX ? zoo_mem_alloc(n + 1) : NULL;
    if (copy) {
        memcpy(copy, text, n);
        copy[n] = '\0';
    }
    return copy;
}

void zoo_mem_free(void *block)
{
    free(block);
}

/* jemalloc's, where it is linked. */
extern int mallctl(const char *name, void *old, size_t *old_size, void *value, size_t size)
    __attribute__((weak));

void zoo_mem_settle(void)
{
    if (mallctl) {
        (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* 4096: all arenas */
    }
}

void zoo_mem_fail_at(int64_t n)
{
    atomic_store(&mem_calls, 0);
    atomic_store(&mem_fail_at, n);
}

int64_t zoo_mem_calls(void)
{
    return atomic_load(&mem_calls);
}
