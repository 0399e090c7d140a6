/* mem.c: malloc behind a counter that tests can turn into a failure.
 * Source: SQLite's malloc fault tests. */
#include "base/mem.h"

#include <cjson/cJSON.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/budget.h"
#include "base/system.h"

static atomic_llong mem_calls;
static atomic_llong mem_fail_at;

static bool mem_fails(void)
{
    long long call = atomic_fetch_add_explicit(&mem_calls, 1, memory_order_relaxed) + 1;
    return call == atomic_load_explicit(&mem_fail_at, memory_order_relaxed);
}

/* Charges a fresh block to the thread's budget, or gives it back. */
static void *charged(void *block)
{
    if (block && zoo_budget_current() && !zoo_budget_take(zoo_system_block_size(block))) {
        free(block);
        return NULL;
    }
    return block;
}

void *zoo_mem_alloc(size_t n)
{
    if (mem_fails() || !zoo_budget_fits(n)) {
        return NULL;
    }
    return charged(malloc(n ? n : 1));
}

void *zoo_mem_array(size_t n_items, size_t item_size)
{
    if (mem_fails() || (item_size && n_items > SIZE_MAX / item_size) ||
        !zoo_budget_fits(n_items * item_size)) {
        return NULL;
    }
    return charged(calloc(n_items ? n_items : 1, item_size ? item_size : 1));
}

void *zoo_mem_realloc(void *block, size_t n)
{
    if (mem_fails()) {
        return NULL;
    }
    if (!zoo_budget_current()) {
        return realloc(block, n ? n : 1);
    }
    size_t before = block ? zoo_system_block_size(block) : 0;
    if (n > before && !zoo_budget_fits(n - before)) {
        return NULL;
    }
    void *grown = realloc(block, n ? n : 1);
    size_t after = grown ? zoo_system_block_size(grown) : before;
    if (after > before) {
        /* The block exists; only the next one can be refused. */
        (void)zoo_budget_take(after - before);
    } else {
        zoo_budget_give(before - after);
    }
    return grown;
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
    if (block && zoo_budget_current()) {
        zoo_budget_give(zoo_system_block_size(block));
    }
    free(block);
}

void zoo_mem_json(void)
{
    cJSON_Hooks hooks = {zoo_mem_alloc, zoo_mem_free};
    cJSON_InitHooks(&hooks);
}

/* jemalloc's, where it is linked. */
extern int mallctl(const char *name, void *old, size_t *old_size, void *value, size_t size)
    __attribute__((weak));

void zoo_mem_trim(void)
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
