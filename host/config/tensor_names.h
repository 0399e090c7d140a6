/*
 * tensor_names.h: from a tensor's canonical name to the candidates for its name in the file.
 *
 * Candidates, best first: the name with the card's replacements applied (each pair in order, those
 * with more replacements first), down to the canonical name; then all of them with the prefixes
 * that re-saved and wrapped checkpoints use.
 */
#ifndef ZOO_CONFIG_TENSOR_NAMES_H
#define ZOO_CONFIG_TENSOR_NAMES_H

#include "config/card.h"

enum { ZOO_NAME_MAX = 512, ZOO_NAME_CANDIDATES_MAX = 96 };

typedef struct zoo_name_list {
    char names[ZOO_NAME_CANDIDATES_MAX][ZOO_NAME_MAX];
    uint32_t n_names;
    uint64_t used; /* bit i: pair i of the card applied, for the first 64 pairs */
} zoo_name_list;

/* Fills list with the candidates for `canonical`. [any] */
void zoo_names_candidates(const zoo_card *card, const char *canonical, zoo_name_list *list);

/* Whether text matches a pattern in which '*' stands for any run of characters. [any] */
bool zoo_name_matches(const char *pattern, const char *text);

#endif
