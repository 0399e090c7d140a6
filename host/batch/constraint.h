/*
 * constraint.h: a request's grammar as the filter of a row: response_format over
 * text/grammar/grammar.h.
 */
#ifndef ZOO_BATCH_CONSTRAINT_H
#define ZOO_BATCH_CONSTRAINT_H

#include "generate/row.h"
#include "text/grammar/grammar.h"

/* Starts the grammar for one row, which ends it when it is settled; grammar null: no filter. A
 * filtered row needs its end token, so ignore_eos and min_tokens do not apply. ZOO_E_MEMORY. */
zoo_status zoo_constraint_begin(zoo_grammar *grammar, zoo_row *row, zoo_error *err);

#endif
