/* new_card.h: a card for a release that has none, from its nearest relative. */
#ifndef ZOO_ADDING_NEW_CARD_H
#define ZOO_ADDING_NEW_CARD_H

#include "adding/candidates.h"
#include "explain/doc.h"

/*
 * Finds, improves and prunes a card for the subject, appends to doc what it is and which questions
 * are open, and gives the card's text, for zoo_out_free. A key that nobody computes stands in its
 * "ignored" with a remark that begins with ZOO_UNSETTLED, so that the card loads; validate refuses
 * such a card. name gets the type. ZOO_E_USAGE: a card names the type already. [load]
 */
#define ZOO_UNSETTLED "unsettled: "
zoo_status zoo_new_card(const zoo_trial_subject *subject, const char *model_type, zoo_doc *doc,
                        zoo_out *text, char *name, size_t n_name, zoo_error *err);

/* A card as the tree's cards are laid out: one member a line. */
void zoo_card_write(zoo_out *out, const cJSON *card);

#endif
