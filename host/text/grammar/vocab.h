/*
 * vocab.h: a vocabulary as a trie over the bytes of its tokens, and the masks of a grammar; for the
 * files of the grammar that deal with tokens.
 */
#ifndef ZOO_TEXT_GRAMMAR_VOCAB_H
#define ZOO_TEXT_GRAMMAR_VOCAB_H

#include <stdatomic.h>

#include "text/grammar/grammar_private.h"

/* In the order of a walk: children follow their parent, siblings lie `skip` apart. */
typedef struct zoo_gtrie {
    uint32_t skip;         /* after the subtree */
    uint32_t first, n_ids; /* tokens that end here, in ids */
    uint16_t depth;        /* bytes before this one */
    uint8_t byte;
} zoo_gtrie;

struct zoo_vocab {
    const zoo_tokenizer *tokenizer;
    zoo_gtrie *nodes;
    uint32_t n_nodes;
    uint32_t *ids;
    uint32_t n_ids;
    uint32_t depth_max;
    uint32_t *ends;
    size_t n_ends;
    size_t n_words;
    atomic_size_t bytes; /* of the states and masks of all grammars */
    size_t bytes_max;
    bool is_whole; /* every byte that JSON or UTF-8 can hold is a token */
};

#define ZOO_GSTEPS_NONE UINT32_MAX
/* Special tokens that may follow in one state. */
#define ZOO_GSPECIALS_MAX 64u

/* The tokens up to `end` in a state's list lead to where `steps` tokens suffice, or fewer. */
typedef struct zoo_glevel {
    uint32_t steps, end;
} zoo_glevel;

/* Cached masks and distances of one state. */
typedef struct zoo_gmask {
    uint32_t *bits;        /* allowed tokens; null: not made */
    uint32_t distance_max; /* over the tokens it allows: bytes to the end after them */
    uint32_t direct;       /* 1 + tokens of a shortest text; 0: not known */
    uint32_t steps;        /* 1 + fewest tokens to the end; 0: not known */
    uint32_t *ids;         /* allowed tokens, those nearest to the end first; null: not made */
    zoo_glevel *levels;    /* [n_levels] of ids, ascending */
    uint32_t n_levels;
} zoo_gmask;

struct zoo_grammar {
    atomic_uint n_refs;
    const zoo_vocab *vocab;
    zoo_gcode code;
    pthread_mutex_t lock; /* of all below */
    zoo_gstates *states;
    zoo_gmask *masks; /* by state */
    uint32_t n_masks;
    size_t counted;      /* bytes of it that the vocabulary knows */
    bool is_broken;      /* its automaton is too large for a mask */
    bool is_guessed_out; /* looking for bytes that must come took too much once */
    size_t mask_bytes;   /* of bits, ids and levels */
    uint64_t epoch;      /* of the numbers of states */
    uint32_t *path;      /* [depth_max + 1] states on the way down the trie */
    uint32_t *way;       /* the same for steps.c */
    uint32_t *todo;
    uint32_t n_todo, todo_capacity;
};

bool zoo_vocab_is_end(const zoo_vocab *v, uint32_t id);

/* The entry of a state, empty at first; null: no memory. Valid until the next call. */
zoo_gmask *zoo_gmask_of(zoo_grammar *g, uint32_t state);

/*
 * Tokens that suffice from a state to the end of a text (steps.c); ZOO_GSTEPS_NONE: no way
 * was found, or there was no memory. The mutex is held.
 */
uint32_t zoo_gsteps(zoo_grammar *g, uint32_t state);

/*
 * Sorts the tokens that may follow in a state by the way that is left behind them (rank.c).
 * Null: no memory. The mutex is held.
 */
zoo_gmask *zoo_grank(zoo_grammar *g, uint32_t state);

/*
 * bits becomes the mask of the tokens after which `within` tokens suffice; m has bits and ids.
 * When there are none and must_go is set: of those nearest to the end.
 */
void zoo_grank_mask(const zoo_vocab *v, const zoo_gmask *m, uint32_t within, bool must_go,
                    uint32_t *bits);

static inline void zoo_gmask_allow(uint32_t *bits, uint32_t id)
{
    bits[id / 32] |= 1u << (id % 32);
}

#endif
