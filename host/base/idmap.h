/*
 * idmap.h: a growing set of 128-bit hashes, each with a 128-bit value.
 *
 * With 128 bits two lines of any file that fits a disk will not collide by chance.
 */
#ifndef ZOO_BASE_IDMAP_H
#define ZOO_BASE_IDMAP_H

#include "base.h"

typedef struct zoo_id {
    uint64_t part[2];
} zoo_id;

/* Zero-initialise; is_set: keys alone, in half the memory. */
typedef struct zoo_idmap {
    zoo_id *entries; /* [capacity] keys, each with its value after it unless is_set; 0, 0: free (a
                        hash of 0 is stored as 1); open addressing */
    size_t n, capacity;
    bool is_set;
} zoo_idmap;

/* XXH3 of the bytes. */
zoo_id zoo_id_of(const void *bytes, size_t n, uint64_t seed);
/* The value of the key (of a set the key), or null. */
const zoo_id *zoo_idmap_find(const zoo_idmap *map, zoo_id key);
/* Adds the key; *fresh: it was not there (else its value stays). ZOO_E_MEMORY. */
zoo_status zoo_idmap_add(zoo_idmap *map, zoo_id key, zoo_id value, bool *fresh, zoo_error *err);
void zoo_idmap_free(zoo_idmap *map);

#endif
