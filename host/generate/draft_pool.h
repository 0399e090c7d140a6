/*
 * draft_pool.h: outputs of all rows of a run, searched for drafts.
 *
 *   a row's new tokens -> a piece in a ring buffer, indexed by hashes of its n-grams
 *   a row's last tokens -> the place of the ring with the longest common suffix -> what follows
 *
 * A running row adds its output in pieces, the rest when it ends. Each piece begins with a few
 * tokens of context from before it and ends with a link to the row's next piece. The oldest tokens
 * are overwritten. Matches are found as in ngrams.h and extended token by token, so both adding a
 * token and matching a row's end take constant time.
 *
 * Memory: 16 bytes a token of the ring. Not thread-safe.
 */
#ifndef ZOO_GENERATE_DRAFT_POOL_H
#define ZOO_GENERATE_DRAFT_POOL_H

#include "base.h"

typedef struct zoo_draft_pool zoo_draft_pool;

/* A row's pieces in the pool. Zero: none. */
typedef struct zoo_pool_tail {
    uint32_t n;   /* tokens of the row that have been added or come before its output */
    uint32_t end; /* position after its last piece's end mark; 0: no piece */
} zoo_pool_tail;

/* The pool's match for a row's last tokens. Zero: none. */
typedef struct zoo_pool_match {
    uint32_t next;   /* position of the token after the match; valid if length > 0 */
    uint32_t length; /* tokens in common, up to ZOO_MATCH_MAX */
    uint32_t n;      /* tokens of the row taken into account */
} zoo_pool_match;

/* A pool of as many tokens as fit `bytes`, at most 2^22. Null: no memory, or room for fewer than
 * 1,024 tokens. */
zoo_draft_pool *zoo_draft_pool_new(size_t bytes);
void zoo_draft_pool_free(zoo_draft_pool *pool);

/* Adds tokens[from .. n - 1] of a row; from == tail->n except for the row's first piece. */
void zoo_draft_pool_add(zoo_draft_pool *pool, zoo_pool_tail *tail, const int32_t *tokens,
                        uint32_t from, uint32_t n);
/* Updates the match for a row that has grown to n tokens. */
void zoo_draft_pool_follow(const zoo_draft_pool *pool, zoo_pool_match *match, const int32_t *tokens,
                           uint32_t n);
/* Copies up to n_max tokens that followed the match to out; returns their number. */
uint32_t zoo_draft_pool_guess(const zoo_draft_pool *pool, const zoo_pool_match *match, int32_t *out,
                              uint32_t n_max);

#endif
