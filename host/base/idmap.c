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

static size_t place_of(const zoo_idmap *map, zoo_id key)
{
    size_t at = (size_t)key.part[0] & (map->capacity - 1);
    while (map->entries[at].used && memcmp(&map->entries[at].key, &key, sizeof key) != 0) {
        at = (at + 1) & (map->capacity - 1);
    }
    return at;
}

const zoo_id *zoo_idmap_find(const zoo_idmap *map, zoo_id key)
{
    size_t at;
    if (map->capacity == 0) {
        return NULL;
    }
    at = place_of(map, key);
    return map->entries[at].used ? &map->entries[at].value : NULL;
}

static bool grow(zoo_idmap *map)
{
    zoo_idmap bigger = {NULL, map->n, map->capacity ? map->capacity * 2 : 1024};
    bigger.entries = zoo_mem_array(bigger.capacity, sizeof *bigger.entries);
    if (!bigger.entries) {
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].used) {
            bigger.entries[place_of(&bigger, map->entries[i].key)] = map->entries[i];
        }
    }
    zoo_mem_free(map->entries);
    *map = bigger;
    return true;
}

zoo_status zoo_idmap_add(zoo_idmap *map, zoo_id key, zoo_id value, bool *fresh, zoo_error *err)
{
    struct zoo_idmap_entry *entry;
    if (map->n * 2 >= map->capacity && !grow(map)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to remember %zu lines", map->n);
    }
    entry = &map->entries[place_of(map, key)];
    *fresh = !entry->used;
    if (*fresh) {
        entry->key = key;
        entry->value = value;
        entry->used = true;
        map->n++;
    }
    return ZOO_OK;
}

void zoo_idmap_free(zoo_idmap *map)
{
    zoo_mem_free(map->entries);
    memset(map, 0, sizeof *map);
}
