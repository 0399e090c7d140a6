/*
 * drafts.h: what a row will probably say next, and how probable that is.
 *
 * Where drafts come from: tokens that must come (the end of reasoning that had its tokens), what a
 * grammar leaves no choice about, the text where the row's end was seen before (its own, ngrams.h,
 * or what other rows have said, draft_pool.h) and a draft model (draft_model.h), whichever of these
 * is the likelier.
 *
 * Each draft belongs to a class: its source and how long the match is by then. For each class of a
 * row it is counted how often the draft was what was sampled, whether it was read ahead or not: a
 * guess that nobody acted on is measured for nothing. The odds of a draft are those of its class in
 * this row, leaning on those of all rows while it has few, less their standard error (what a row
 * has not shown yet is not counted on), times those of the drafts before it.
 *
 * Memory: a few hundred bytes and the tables of ngrams.h for each running row.
 */
#ifndef ZOO_GENERATE_DRAFTS_H
#define ZOO_GENERATE_DRAFTS_H

#include "generate/draft_pool.h"
#include "generate/ngrams.h"

enum {
    ZOO_DRAFTS_MAX = 24, /* of one row in one step */
    ZOO_DRAFT_MUST = 0,  /* class: no other token is possible */
    ZOO_DRAFT_SHAPE,     /* a grammar's text, cut into tokens as is most likely */
    ZOO_DRAFT_TEXT,      /* and on: matches of the row's own text by length */
    ZOO_DRAFT_LENGTHS = 6,
    ZOO_DRAFT_FILE = ZOO_DRAFT_TEXT + ZOO_DRAFT_LENGTHS,  /* and on: the same of other rows */
    ZOO_DRAFT_MODEL = ZOO_DRAFT_FILE + ZOO_DRAFT_LENGTHS, /* what a draft model says */
    ZOO_DRAFT_CLASSES
};

/* How often drafts of each class were right; old trials count less and less. */
typedef struct zoo_draft_odds {
    float n[ZOO_DRAFT_CLASSES], n_right[ZOO_DRAFT_CLASSES];
} zoo_draft_odds;

/* What all rows begin with. */
void zoo_draft_odds_init(zoo_draft_odds *odds);

typedef struct zoo_drafts {
    zoo_ngrams grams;
    zoo_pool_match match; /* in the pool of all rows, if there is one */
    zoo_draft_odds odds;  /* of this row */
    uint32_t n;           /* proposed now */
    int32_t tokens[ZOO_DRAFTS_MAX];
    uint8_t classes[ZOO_DRAFTS_MAX];
    float odds_of[ZOO_DRAFTS_MAX]; /* that it and all before it are right; falling */
} zoo_drafts;

/* Of one row in a draft model. */
typedef struct zoo_model_ahead {
    bool is_open;
    uint32_t seq;    /* the number of its sequence there */
    uint32_t n_read; /* tokens of the row that were read there */
    uint32_t n;      /* drafts that were read behind them */
    int32_t tokens[ZOO_DRAFTS_MAX];
} zoo_model_ahead;

/* n_max: tokens of the row at most. Null: no memory. */
zoo_drafts *zoo_drafts_new(uint32_t n_max);
void zoo_drafts_free(zoo_drafts *drafts);

/* Begins a proposal for a text of n tokens, which it takes over; pool may be null. */
void zoo_drafts_begin(zoo_drafts *drafts, const zoo_draft_pool *pool, const int32_t *tokens,
                      uint32_t n);
/* Adds one token that is of no text; false: there is no room. */
bool zoo_drafts_add(zoo_drafts *drafts, int32_t token, uint32_t class);
/* Adds what the texts say, where that is likelier than `least`. */
void zoo_drafts_add_texts(zoo_drafts *drafts, const zoo_draft_pool *pool, const int32_t *tokens,
                          const zoo_draft_odds *all, float least);
/* Finds the odds. */
void zoo_drafts_end(zoo_drafts *drafts, const zoo_draft_odds *all);
/* How often drafts of the class are right, less the standard error of that. */
float zoo_drafts_share(const zoo_drafts *drafts, uint32_t class, const zoo_draft_odds *all);

/* Counts the proposal against the n tokens that came. */
void zoo_drafts_judge(zoo_drafts *drafts, const int32_t *tokens, uint32_t n, zoo_draft_odds *all);

#endif
