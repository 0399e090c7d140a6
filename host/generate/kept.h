/*
 * kept.h: an index of the cached prefixes that ended rows left, searched by prompt.
 *
 * An entry is a list of tokens and the engine's prefix that holds their cache. Entries are sorted
 * lexicographically, so the one with the longest common beginning is next to the prompt's insertion
 * point. If sequences only have rows, a prompt can start at any position of an entry that is a
 * multiple of zoo_engine_prefix_grain; with rings or states, only at the end of an entry.
 *
 * Search: O(log entries * common length). Memory: four bytes a token. The caller drops the engine's
 * prefixes.
 */
#ifndef ZOO_GENERATE_KEPT_H
#define ZOO_GENERATE_KEPT_H

#include "zoo.h"

typedef struct zoo_kept_entry {
    int32_t *tokens; /* [n] */
    uint32_t n;
    uint32_t prefix; /* the engine's prefix */
    uint64_t used;   /* value of n_uses at its last use; 0: a spare entry, never used */
} zoo_kept_entry;

/* Zero-initialise. */
typedef struct zoo_kept {
    zoo_kept_entry *entries; /* [n], in lexical order */
    uint32_t n, max;
    uint64_t n_uses;
} zoo_kept;

void zoo_kept_free(zoo_kept *kept);

/* The entry from which a prompt of tokens [n] can start with the most tokens; *common: their
 * number. Marks it as used. grain: zoo_engine_prefix_grain. Null: none, and *common is 0. */
zoo_kept_entry *zoo_kept_find(zoo_kept *kept, const int32_t *tokens, uint32_t n, uint32_t grain,
                              uint32_t *common);
/* Adds an entry with tokens that no other entry has; a spare one is the first to be dropped until
 * it is used. False: no memory. */
bool zoo_kept_add(zoo_kept *kept, const int32_t *tokens, uint32_t n, uint32_t prefix,
                  bool is_spare);
/* The longest entry that is a proper prefix of tokens [n], or null. */
zoo_kept_entry *zoo_kept_shorter(const zoo_kept *kept, const int32_t *tokens, uint32_t n);
/* The least recently used entry; null: none. */
zoo_kept_entry *zoo_kept_oldest(const zoo_kept *kept);
/* Removes the entry; returns its prefix, for the caller to drop. */
uint32_t zoo_kept_remove(zoo_kept *kept, zoo_kept_entry *entry);

#endif
