/*
 * questions.h: what neither keys nor tensors decide about a new card.
 *
 * A choice is open when another value of it fits the subject as well and gives another plan; both
 * are found by trial. Values that are not in the file are listed with their source.
 */
#ifndef ZOO_ADDING_QUESTIONS_H
#define ZOO_ADDING_QUESTIONS_H

#include "adding/candidates.h"
#include "explain/doc.h"

/* Appends the open choices of the candidate, each with how to settle it; returns how many. */
zoo_status zoo_questions_write(zoo_doc *doc, const zoo_trial_subject *subject,
                               zoo_candidate *candidate, uint32_t *n, zoo_error *err);

#endif
