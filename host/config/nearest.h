/* nearest.h: which of several words a misspelt one was meant to be. */
#ifndef ZOO_CONFIG_NEAREST_H
#define ZOO_CONFIG_NEAREST_H

#include "base.h"

enum { ZOO_WORD_MAX = 128 };

/* Begins as {.word = W}; `text` is the best candidate so far, "" before the first. */
typedef struct zoo_nearest {
    const char *word;
    char text[ZOO_WORD_MAX];
    uint32_t distance; /* edits from word to text: a letter more, less, other, or two exchanged */
} zoo_nearest;

/* Takes the candidate where it is nearer than those before it. [any] */
void zoo_nearest_try(zoo_nearest *n, const char *candidate);
/* Whether text is so near that word may well be a misspelling of it: an edit, or two where the word
 * is long. [any] */
bool zoo_nearest_is_close(const zoo_nearest *n);

#endif
