/* nearest.h: finds the candidate with the smallest edit distance to a misspelt word. */
#ifndef ZOO_CONFIG_NEAREST_H
#define ZOO_CONFIG_NEAREST_H

#include "base.h"

enum { ZOO_WORD_MAX = 128 };

/* Initialise as {.word = W}; `text` is the best candidate so far, "" before the first. */
typedef struct zoo_nearest {
    const char *word;
    char text[ZOO_WORD_MAX];
    uint32_t distance; /* insertions, deletions, substitutions, transpositions from word to text */
} zoo_nearest;

/* Keeps the candidate if it is nearer than those before it. [any] */
void zoo_nearest_try(zoo_nearest *n, const char *candidate);
/* Whether word is probably a misspelling of text: one edit, or two in a long word. [any] */
bool zoo_nearest_is_close(const zoo_nearest *n);

#endif
