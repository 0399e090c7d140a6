/*
 * ngrams.h: where in a growing list of tokens its end stood before, and what followed there.
 *
 * For runs of 2 and of 4 tokens a hash leads to the last place where they ended and from each place
 * to the one before. The end of the list is compared backwards with few of these places; the
 * longest match wins, among equal ones the latest. A match that goes on is not looked for again. So
 * a token is added, and the match of the end found, in constant time.
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
    uint32_t *heads[ZOO_NGRAM_ORDERS]; /* [n_heads] place of the last token, plus 1; 0: none */
    uint32_t *links[ZOO_NGRAM_ORDERS]; /* [n_max] the same of the run before */
    uint32_t next;   /* the place that followed the match of the end; valid with length > 0 */
    uint32_t length; /* of the match, up to ZOO_MATCH_MAX; 0: none */
} zoo_ngrams;

/* Room for n_max tokens. ZOO_E_MEMORY. */
zoo_status zoo_ngrams_init(zoo_ngrams *grams, uint32_t n_max, zoo_error *err);
void zoo_ngrams_free(zoo_ngrams *grams);

/* Takes tokens[grams->n .. n - 1] over; what was taken before must still stand below. The match is
 * then that of the end at n. */
void zoo_ngrams_follow(zoo_ngrams *grams, const int32_t *tokens, uint32_t n);

/* The n_max tokens that follow if the text goes on as it did behind the match: a period is repeated
 * where the match is that near. Returns how many, 0 without a match. */
uint32_t zoo_ngrams_guess(const zoo_ngrams *grams, const int32_t *tokens, int32_t *out,
                          uint32_t n_max);

#endif
