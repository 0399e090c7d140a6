/*
 * drafts.h: draft tokens of a row and the probability that each is accepted.
 *
 * Sources: forced tokens (the end of reasoning that reached its limit), the text that a grammar
 * leaves no choice about, the continuation of an earlier match of the row's last tokens (in its own
 * text, ngrams.h, or in other rows' outputs, draft_pool.h), and a draft model (draft_model.h). Of
 * the last two kinds the likelier is taken.
 *
 * A draft's class is its source and, for matches, the match length, for a draft model its number in
 * a row of drafts. Each row counts per class how
 * often drafts equalled the sampled token, including drafts that were not run: measuring those
 * costs nothing. The acceptance rate of a class is the row's own, with that of all rows as a prior,
 * less its standard error; the probability of a draft is the product of the rates up to it.
 *
 * Memory: a few hundred bytes and the tables of ngrams.h for each running row.
 */
#ifndef ZOO_GENERATE_DRAFTS_H
#define ZOO_GENERATE_DRAFTS_H

#include "generate/draft_pool.h"
#include "generate/ngrams.h"

enum {
    ZOO_DRAFTS_MAX = 24,   /* of one row in one step */
    ZOO_DRAFT_FORCED = 0,  /* first class: no other token is possible */
    ZOO_DRAFT_GRAMMAR,     /* a grammar's text in its most likely tokenization */
    ZOO_DRAFT_TEXT,        /* the first of ZOO_DRAFT_LENGTHS classes: matches in the own text */
    ZOO_DRAFT_LENGTHS = 6, /* ranges of match lengths */
    ZOO_DRAFT_FILE = ZOO_DRAFT_TEXT + ZOO_DRAFT_LENGTHS,  /* the same: matches in other rows */
    ZOO_DRAFT_MODEL = ZOO_DRAFT_FILE + ZOO_DRAFT_LENGTHS, /* of a draft model, by their number */
    ZOO_DRAFT_DEPTHS = 4,
    ZOO_DRAFT_CLASSES = ZOO_DRAFT_MODEL + ZOO_DRAFT_DEPTHS
};

/* Acceptance counts of each class, exponentially decayed. */
typedef struct zoo_draft_rates {
    float n[ZOO_DRAFT_CLASSES], n_accepted[ZOO_DRAFT_CLASSES];
} zoo_draft_rates;

/* Sets the initial rates. */
void zoo_draft_rates_init(zoo_draft_rates *rates);

typedef struct zoo_drafts {
    zoo_ngrams grams;
    zoo_pool_match match;  /* in the pool of all rows, if there is one */
    zoo_draft_rates rates; /* of this row */
    uint32_t n;            /* drafts now */
    int32_t tokens[ZOO_DRAFTS_MAX];
    uint8_t classes[ZOO_DRAFTS_MAX];
    float p_accept[ZOO_DRAFTS_MAX]; /* probability that it and all before it are accepted */
} zoo_drafts;

/* A row's sequence in the draft model. */
typedef struct zoo_draft_seq {
    bool is_open;
    uint32_t seq;    /* in the draft model's engine */
    uint32_t n_read; /* tokens of the row that it has run */
    uint32_t n;      /* drafts that it has run after them: tokens [n] */
    int32_t tokens[ZOO_DRAFTS_MAX];
    /* Of a prediction layer, whose n_read counts rows of the main model: */
    uint32_t n_followed; /* positions of the main model that were read or passed by */
    uint32_t n_pending;  /* rows of the last of them that it has still to run */
    float *given;        /* [n_pending, width of a row] */
} zoo_draft_seq;

/* n_max: maximal tokens of the row. Null: no memory. */
zoo_drafts *zoo_drafts_new(uint32_t n_max);
void zoo_drafts_free(zoo_drafts *drafts);

/* Clears the drafts and updates the matches for a row that has n tokens; pool may be null. */
void zoo_drafts_begin(zoo_drafts *drafts, const zoo_draft_pool *pool, const int32_t *tokens,
                      uint32_t n);
/* Appends one draft of a class without match lengths; false: ZOO_DRAFTS_MAX is reached. */
bool zoo_drafts_add(zoo_drafts *drafts, int32_t token, uint32_t class);
/* Sets the drafts to the likelier match's continuation, if its rate is at least `least`. */
void zoo_drafts_add_texts(zoo_drafts *drafts, const zoo_draft_pool *pool, const int32_t *tokens,
                          const zoo_draft_rates *all, float least);
/* Computes p_accept. */
void zoo_drafts_end(zoo_drafts *drafts, const zoo_draft_rates *all);
/* Acceptance rate of the class, less its standard error. */
float zoo_drafts_rate(const zoo_drafts *drafts, uint32_t class, const zoo_draft_rates *all);

/* Counts the drafts as accepted or rejected by the n tokens sampled, for the row and for all. */
void zoo_drafts_verify(zoo_drafts *drafts, const int32_t *tokens, uint32_t n, zoo_draft_rates *all);

#endif
