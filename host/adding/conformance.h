/*
 * conformance.h: a property of every model: the same bits however a sequence is run.
 *
 * The reference is the whole prompt in one step. Compared with it: steps of one, chunks of seven, a
 * batch of ragged neighbours, restart and replay, a kept prefix that another sequence continues,
 * steps whose last tokens are wrong drafts and undone, two threads.
 * Memory: two tables of logits and an engine, two while threads are compared.
 */
#ifndef ZOO_ADDING_CONFORMANCE_H
#define ZOO_ADDING_CONFORMANCE_H

#include "base.h"

typedef struct zoo_conformance {
    const char *folder, *plugin_dir, *card_dir, *isa;
    const char *weights, *cache; /* dtypes, or "auto" */
    /* Called for each property; why: a sentence if it could not be tested, else "". */
    void (*result)(void *arg, bool ok, const char *what, const char *why);
    void *arg;
} zoo_conformance;

/* Tries all of it. ZOO_OK whatever the results; an error: the folder does not open. [load] */
zoo_status zoo_conformance_run(const zoo_conformance *c, zoo_error *err);

#endif
