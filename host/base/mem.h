/*
 * mem.h: the host's allocator for everything outside arenas: files, JSON trees, tables built at
 * load.
 *
 * A thin layer over malloc for two purposes: tests make the n-th call fail, to check that every
 * caller reports it and frees what it holds; and allocations are charged to the thread's budget
 * (budget.h), beyond which they fail. Blocks are interchangeable with those of malloc and free.
 * Thread-safe.
 */
#ifndef ZOO_BASE_MEM_H
#define ZOO_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* n bytes, not cleared, aligned as malloc does; null when there is no memory.
 * n = 0 gives a pointer to free. */
void *zoo_mem_alloc(size_t n);

/* n_items * item_size bytes, zero-filled; null when there is no memory or the product overflows. */
void *zoo_mem_array(size_t n_items, size_t item_size);

/* As realloc: null leaves the old block as it is. */
void *zoo_mem_realloc(void *block, size_t n);

/* A copy of n bytes of text with a null after them; null when there is no memory. */
char *zoo_mem_text(const char *text, size_t n);

/* Frees; null is fine. */
void zoo_mem_free(void *block);

/* Makes cJSON allocate here. Call once, before any JSON tree is made. */
void zoo_mem_json(void);

/* Returns freed memory to the system where the allocator would keep it. For the end of a phase that
 * freed much. */
void zoo_mem_trim(void);

/* For tests: of the calls from now on, the n-th (1 = the next) returns null, once. 0: none does. */
void zoo_mem_fail_at(int64_t n);

/* For tests: how many of the allocating functions above were called since zoo_mem_fail_at. */
int64_t zoo_mem_calls(void);

#ifdef __cplusplus
}
#endif

#endif
