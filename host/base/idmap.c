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

static bool is_used(const struct zoo_idmap_entry *entry)
{
    return (entry->key.part[0] | entry->key.part[1]) != 0;
}

static zoo_id stored(zoo_id key)
{
    key.part[0] |= (key.part[0] | key.part[1]) == 0;
    return key;
}

static size_t place_of(const zoo_idmap *map, zoo_id key)
{
    size_t at = (size_t)key.part[0] & (map->capacity - 1);
    while (is_used(&map->entries[at]) && memcmp(&map->entries[at].key, &key, sizeof key) != 0) {
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
    at = place_of(map, stored(key));
    return is_used(&map->entries[at]) ? &map->entries[at].value : NULL;
}

static bool grow(zoo_idmap *map)
{
    zoo_idmap bigger = {NULL, map->n, map->capacity ? map->capacity * 2 : 1024};
    bigger.entries = zoo_mem_array(bigger.capacity, sizeof *bigger.entries);
    if (!bigger.entries) {
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (is_used(&map->entries[i])) {
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
    if (map->n >= map->capacity / 4 * 3 && !grow(map)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to remember %zu lines", map->n);
    }
    key = stored(key);
    entry = &map->entries[place_of(map, key)];
    *fresh = !is_used(entry);
    if (*fresh) {
        entry->key = key;
        entry->value = value;
        map->n++;
    }
    return ZOO_OK;
}

void zoo_idmap_free(zoo_idmap *map)
{
    zoo_mem_free(map->entries);
    memset(map, 0, sizeof *map);
}
