/*
 * save.h: kept prefixes as bytes, and back, for a file that outlives the process.
 *
 *   prefix: length; for each group its pages: a number, and its bytes where that is new; states
 *
 * Pages that several prefixes share are written once. Bytes are those of the pool's own kinds and
 * layout, so a reader compares zoo_cache_pool_shape first. What is read is not believed where it
 * could lead outside: numbers are checked, contents are the caller's to check by a hash.
 *
 * Memory: a number for each page.
 */
#ifndef ZOO_CACHE_SAVE_H
#define ZOO_CACHE_SAVE_H

#include "cache/cache.h"

/* Moves n bytes to or from a file; false: it cannot. */
typedef bool zoo_cache_move(void *arg, void *data, size_t n);

typedef struct zoo_cache_saver zoo_cache_saver;

/* Of one file; ZOO_E_MEMORY. */
zoo_status zoo_cache_saver_new(zoo_cache_pool *pool, zoo_cache_saver **out, zoo_error *err);
void zoo_cache_saver_free(zoo_cache_saver *saver);

/* What bytes of prefixes depend on, as a hash: streams, their kinds and their places. */
uint64_t zoo_cache_pool_shape(const zoo_cache_pool *pool);

/* Bytes that the prefix adds to what was counted or saved with this saver, and counts them. */
uint64_t zoo_cache_saver_count(zoo_cache_saver *saver, uint32_t prefix);
/* Writes a kept prefix. False: move gave up. */
bool zoo_cache_saver_write(zoo_cache_saver *saver, uint32_t prefix, zoo_cache_move *move,
                           void *arg);
/* Reads the next prefix and keeps it. ZOO_E_MEMORY: there is no room for it and those behind;
 * ZOO_E_FORMAT: it makes no sense; ZOO_E_IO: move gave up. */
zoo_status zoo_cache_saver_read(zoo_cache_saver *saver, zoo_cache_move *move, void *arg,
                                uint32_t *prefix, zoo_error *err);

#endif
