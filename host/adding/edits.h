/*
 * edits.h: single changes of a card: an option, alias, default or tensor name that another card of
 * the plugin has, a member taken away, or a name that a left-over tensor suggests.
 */
#ifndef ZOO_ADDING_EDITS_H
#define ZOO_ADDING_EDITS_H

#include "adding/trial.h"

typedef struct zoo_edit {
    char member[24]; /* of the card: "options", "tensors", ... */
    cJSON *value;    /* named by its key; a pair for "tensors"; null: removes the key */
    char key[64];
    double favour; /* of equals the one with more is taken; below 0.5 */
    bool guess;    /* by words in common: not for a key that the card reads already */
} zoo_edit;

typedef struct zoo_edits {
    zoo_edit *items; /* [n] */
    uint32_t n, capacity;
} zoo_edits;

/* All changes worth a trial on this card, whose last trial is given. [load] */
zoo_status zoo_edits_list(const zoo_cards *cards, const cJSON *card, const zoo_trial *trial,
                          zoo_edits *out, zoo_error *err);
void zoo_edits_free(zoo_edits *edits);
/* The card with the change; null: it changes nothing, or memory is out. For cJSON_Delete. */
cJSON *zoo_edit_apply(const zoo_edit *edit, const cJSON *card);

#endif
