/* idmap.c: the hash set of idmap.h. */
#include "base/idmap.h"

#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

zoo_id zoo_id_of(const void *bytes, size_t n, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, n, seed);
    return (zoo_id){{hash.low64, hash.high64}};
}

static bool is_used(const zoo_id *entry)
{
    return (entry->part[0] | entry->part[1]) != 0;
}

static zoo_id stored(zoo_id key)
{
    key.part[0] |= (key.part[0] | key.part[1]) == 0;
    return key;
}

static size_t width(const zoo_idmap *map)
{
    return map->is_set ? 1 : 2;
}

static zoo_id *place_of(const zoo_idmap *map, zoo_id key)
{
    size_t at = (size_t)key.part[0] & (map->capacity - 1);
    while (is_used(&map->entries[at * width(map)]) &&
           memcmp(&map->entries[at * width(map)], &key, sizeof key) != 0) {
        at = (at + 1) & (map->capacity - 1);
    }
    return &map->entries[at * width(map)];
}

const zoo_id *zoo_idmap_find(const zoo_idmap *map, zoo_id key)
{
    const zoo_id *entry = map->capacity > 0 ? place_of(map, stored(key)) : NULL;
    return entry && is_used(entry) ? entry + width(map) - 1 : NULL;
}

static bool grow(zoo_idmap *map)
{
    zoo_idmap bigger = {NULL, map->n, map->capacity ? map->capacity * 2 : 1024, map->is_set};
    size_t bytes = width(map) * sizeof *bigger.entries;
    bigger.entries = zoo_mem_array(bigger.capacity, bytes);
    if (!bigger.entries) {
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        const zoo_id *entry = &map->entries[i * width(map)];
        if (is_used(entry)) {
            memcpy(place_of(&bigger, *entry), entry, bytes);
        }
    }
    zoo_mem_free(map->entries);
    *map = bigger;
    return true;
}

zoo_status zoo_idmap_add(zoo_idmap *map, zoo_id key, zoo_id value, bool *fresh, zoo_error *err)
{
    if (map->n >= map->capacity / 4 * 3 && !grow(map)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to remember %zu lines", map->n);
    }
    key = stored(key);
    zoo_id *entry = place_of(map, key);
    *fresh = !is_used(entry);
    if (*fresh) {
        entry[width(map) - 1] = value;
        entry[0] = key;
        map->n++;
    }
    return ZOO_OK;
}

void zoo_idmap_free(zoo_idmap *map)
{
    zoo_mem_free(map->entries);
    map->entries = NULL;
    map->n = map->capacity = 0;
}
