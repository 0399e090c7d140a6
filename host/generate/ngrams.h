/*
 * ngrams.h: finds the longest earlier occurrence of the end of a growing list of tokens.
 *
 * A hash of each 2-gram and 4-gram leads to its last position, and each position links to the one
 * before it. The list's end is compared backwards with a few of these positions; the longest match
 * wins, the latest of equal ones. A match that continues is extended without a new search. So
 * adding a token and matching the end take constant time.
 *
 * Memory: 16 to 24 bytes a token of n_max. Not thread-safe.
 * Source: the idea of drafts from the text itself is Saxena, "Prompt Lookup Decoding" (2023); hash
 * heads and links are those of LZ77 compressors (RFC 1951, section 4).
 */
#ifndef ZOO_GENERATE_NGRAMS_H
#define ZOO_GENERATE_NGRAMS_H

#include "base.h"

enum { ZOO_NGRAM_ORDERS = 2, ZOO_MATCH_MAX = 32 };

typedef struct zoo_ngrams {
    uint32_t n, n_max;
    uint32_t n_heads;                  /* a power of two */
    uint32_t *heads[ZOO_NGRAM_ORDERS]; /* [n_heads] end of the last such n-gram; 0: none */
    uint32_t *links[ZOO_NGRAM_ORDERS]; /* [n_max] end of the n-gram before it; 0: none */
    uint32_t next;   /* position of the token after the match; valid if length > 0 */
    uint32_t length; /* of the match, up to ZOO_MATCH_MAX; 0: none */
} zoo_ngrams;

/* Room for n_max tokens. ZOO_E_MEMORY. */
zoo_status zoo_ngrams_init(zoo_ngrams *grams, uint32_t n_max, zoo_error *err);
void zoo_ngrams_free(zoo_ngrams *grams);

/* Adds tokens[grams->n .. n - 1]; tokens[0 .. grams->n - 1] must be unchanged. Updates the
 * match. */
void zoo_ngrams_follow(zoo_ngrams *grams, const int32_t *tokens, uint32_t n);

/* Writes n_max tokens that continue the list as after the match; a match that overlaps the end is
 * repeated periodically. Returns n_max, or 0 without a match. */
uint32_t zoo_ngrams_guess(const zoo_ngrams *grams, const int32_t *tokens, int32_t *out,
                          uint32_t n_max);

#endif
