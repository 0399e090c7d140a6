/*
 * candidates.h: existing cards as cards of another type, and the search for what still differs.
 *
 * Pipeline: the cards with most keys in common are tried on the subject as they are; the one that
 * fits best is the nearest. Then options, values and tensor names that other cards of the same
 * plugin have are tried one by one, and what fits better is kept, until nothing does. A card can be
 * near in its keys and have another kind of layer, from which no single change leads away: so the
 * search begins at several cards, and the best end counts. Finally what changes nothing is removed.
 */
#ifndef ZOO_ADDING_CANDIDATES_H
#define ZOO_ADDING_CANDIDATES_H

#include "adding/trial.h"

/* Where the search begins. A card whose plugin refuses the config may be one option away. */
typedef enum zoo_start {
    ZOO_START_FIT = 0,  /* at the card that fits best as it is */
    ZOO_START_ALIKE = 1 /* at the one with most keys in common, even if it refuses */
} zoo_start;

typedef struct zoo_candidate {
    const char *model_type; /* the caller's; all else is found */
    char nearest[128];      /* name of the card that it comes from */
    cJSON *card;            /* for cJSON_Delete */
    double cost;            /* zoo_trial_cost */
    double likeness;        /* 0 to 1: keys in common, rare ones counting more */
    bool own_class;         /* there is a class file of the type itself */
    uint32_t n_trials;
} zoo_candidate;

/* Cards that a search began at: the next one begins elsewhere. */
enum { ZOO_STARTS_MAX = 5 };
typedef struct zoo_starts {
    uint32_t n;
    const zoo_card *taken[ZOO_STARTS_MAX];
} zoo_starts;

/* The best card for model_type that no search began at, which is noted. ZOO_E_UNSUPPORTED: there is
 * none. [load] */
zoo_status zoo_candidate_find(const zoo_trial_subject *subject, const zoo_cards *cards,
                              zoo_start start, zoo_starts *starts, zoo_candidate *out,
                              zoo_error *err);
/* Changes its card until no single change fits better; at most a few hundred trials. [load] */
zoo_status zoo_candidate_improve(const zoo_trial_subject *subject, const zoo_cards *cards,
                                 zoo_candidate *candidate, zoo_error *err);
/* Removes what changes nothing here and depends on no key. [load] */
zoo_status zoo_candidate_prune(const zoo_trial_subject *subject, zoo_candidate *candidate,
                               zoo_error *err);

#endif
