/*
 * draft_pool.h: what the rows of a run have said, for rows that say the like.
 *
 *   a row's new tokens -> a piece of a ring, found by hashes of its runs
 *   a row's last tokens -> the place of the ring that ends most like them -> what followed there
 *
 * A row adds its answer piece by piece while it runs, and the rest when it ends; each piece begins
 * with a few tokens of what stood before it and ends with the way to the next piece of its row. The
 * oldest tokens are overwritten. A match is looked for as in ngrams.h and followed while it goes
 * on, so adding a token and finding the match of a row's end take constant time.
 *
 * Memory: 16 bytes a token of the ring. Not thread-safe.
 */
#ifndef ZOO_GENERATE_DRAFT_POOL_H
#define ZOO_GENERATE_DRAFT_POOL_H

#include "base.h"

typedef struct zoo_draft_pool zoo_draft_pool;

/* What a row has in the pool. Zero: nothing. */
typedef struct zoo_pool_tail {
    uint32_t n;   /* tokens of the row up to which it was added */
    uint32_t end; /* of its last piece, plus 1; 0: none */
} zoo_pool_tail;

/* Where the pool ends like a row. Zero: nowhere. */
typedef struct zoo_pool_match {
    uint32_t next;   /* the place that followed; valid with length > 0 */
    uint32_t length; /* tokens that are the same, up to ZOO_MATCH_MAX */
    uint32_t n;      /* tokens of the row that were looked at */
} zoo_pool_match;

/* As many tokens as fit in so many bytes, at most 2^22. Null: no memory, or bytes for less than
 * 1,024. */
zoo_draft_pool *zoo_draft_pool_new(size_t bytes);
void zoo_draft_pool_free(zoo_draft_pool *pool);

/* Adds tokens[from .. n - 1] of a row, `from` being tail->n where it is not 0. */
void zoo_draft_pool_add(zoo_draft_pool *pool, zoo_pool_tail *tail, const int32_t *tokens,
                        uint32_t from, uint32_t n);
/* Finds the match of a row that has grown to n tokens. */
void zoo_draft_pool_follow(const zoo_draft_pool *pool, zoo_pool_match *match, const int32_t *tokens,
                           uint32_t n);
/* What followed the match, n_max tokens at most; returns how many. */
uint32_t zoo_draft_pool_guess(const zoo_draft_pool *pool, const zoo_pool_match *match, int32_t *out,
                              uint32_t n_max);

#endif
