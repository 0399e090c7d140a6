/*
 * problems.h: every problem of a folder at once, for a caller that wants them all.
 *
 * Whoever judges hands each refusal to zoo_problems_take. Without a taker it stays an error, and
 * the first one ends the opening; with one it is told and the judgement goes on.
 */
#ifndef ZOO_CONFIG_PROBLEMS_H
#define ZOO_CONFIG_PROBLEMS_H

#include "base.h"

typedef struct zoo_problems {
    void (*tell)(void *arg, const char *text);
    void *arg;
    uint32_t n;        /* told so far */
    zoo_status status; /* of the first */
} zoo_problems;

/* Tells *err where problems is not null and status is that of a file's contents; then ZOO_OK, else
 * status as it came. [load] */
zoo_status zoo_problems_take(zoo_problems *problems, zoo_status status, const zoo_error *err);

#endif
