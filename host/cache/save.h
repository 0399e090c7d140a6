/*
 * save.h: serialises kept prefixes, for a file that outlives the process.
 *
 *   prefix: length; for each group its pages: a number, and the bytes if the number is new; states
 *
 * Pages that several prefixes share are written once. The bytes are in the pool's own kinds and
 * layout, so the caller compares zoo_cache_pool_shape before reading. Lengths and page numbers are
 * validated; the caller checks the contents by a hash.
 *
 * Memory: four bytes a page.
 */
#ifndef ZOO_CACHE_SAVE_H
#define ZOO_CACHE_SAVE_H

#include "cache/cache.h"

/* Writes n bytes to a file, or reads them; false: it failed. */
typedef bool zoo_cache_move(void *arg, void *data, size_t n);

typedef struct zoo_cache_saver zoo_cache_saver;

/* One saver for one file, either written or read. ZOO_E_MEMORY. */
zoo_status zoo_cache_saver_new(zoo_cache_pool *pool, zoo_cache_saver **out, zoo_error *err);
void zoo_cache_saver_free(zoo_cache_saver *saver);

/* A hash of what the bytes depend on: streams, their kinds and their offsets. */
uint64_t zoo_cache_pool_shape(const zoo_cache_pool *pool);

/* Bytes that the prefix adds to those already counted or written with this saver; marks its pages
 * as counted. */
uint64_t zoo_cache_saver_count(zoo_cache_saver *saver, uint32_t prefix);
/* Writes a kept prefix. False: move failed. */
bool zoo_cache_saver_write(zoo_cache_saver *saver, uint32_t prefix, zoo_cache_move *move,
                           void *arg);
/* Reads the next prefix and keeps it. ZOO_E_MEMORY: no room for it or any later one; ZOO_E_FORMAT:
 * a length or page number is invalid; ZOO_E_IO: move failed. */
zoo_status zoo_cache_saver_read(zoo_cache_saver *saver, zoo_cache_move *move, void *arg,
                                uint32_t *prefix, zoo_error *err);

#endif
