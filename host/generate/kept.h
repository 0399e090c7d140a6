/*
 * kept.h: what rows have read, kept when they have ended, for prompts that begin alike.
 *
 * An entry is a list of tokens and the engine's number of the prefix that was kept behind them.
 * Entries stand in lexical order, so the one that has most in common with a prompt is a neighbour
 * of the prompt's place. Where sequences remember rows alone a prompt may start anywhere inside an
 * entry; where they have rings or states, only at the end of one (zoo_engine_prefix_grain).
 *
 * Finding takes the logarithm of the entries times the length in common. Memory: four bytes a
 * token. What the engine keeps is the caller's to drop.
 */
#ifndef ZOO_GENERATE_KEPT_H
#define ZOO_GENERATE_KEPT_H

#include "zoo.h"

typedef struct zoo_kept_entry {
    int32_t *tokens; /* [n] */
    uint32_t n;
    uint32_t prefix; /* the engine's number */
    uint64_t used;   /* when, by the list's own count; 0: a spare one that never was */
} zoo_kept_entry;

/* Zero-initialise. */
typedef struct zoo_kept {
    zoo_kept_entry *entries; /* [n], in lexical order */
    uint32_t n, max;
    uint64_t n_uses;
} zoo_kept;

void zoo_kept_free(zoo_kept *kept);

/* The entry that a prompt of tokens [n] can start from, with the most tokens; *common: how many. It
 * counts as used. grain: zoo_engine_prefix_grain's. Null: none, *common is 0. */
zoo_kept_entry *zoo_kept_find(zoo_kept *kept, const int32_t *tokens, uint32_t n, uint32_t grain,
                              uint32_t *common);
/* Adds an entry that is not there yet; a spare one is the oldest until it is used. False: no
 * memory. */
bool zoo_kept_add(zoo_kept *kept, const int32_t *tokens, uint32_t n, uint32_t prefix,
                  bool is_spare);
/* The longest entry that tokens [n] go on from, or null. */
zoo_kept_entry *zoo_kept_outdone(const zoo_kept *kept, const int32_t *tokens, uint32_t n);
/* The entry unused for longest; null: none. */
zoo_kept_entry *zoo_kept_oldest(const zoo_kept *kept);
/* Takes the entry out; its number in the engine. */
uint32_t zoo_kept_remove(zoo_kept *kept, zoo_kept_entry *entry);

#endif
