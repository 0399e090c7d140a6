/*
 * problems.h: collects all problems of a folder instead of stopping at the first.
 *
 * Checks pass each refusal to zoo_problems_take. Without a collector it remains an error, which
 * ends the opening; with one it is reported and checking continues.
 */
#ifndef ZOO_CONFIG_PROBLEMS_H
#define ZOO_CONFIG_PROBLEMS_H

#include "base.h"

typedef struct zoo_problems {
    void (*tell)(void *arg, const char *text);
    void *arg;
    uint32_t n;        /* reported so far */
    zoo_status status; /* of the first */
} zoo_problems;

/* If problems is not null and status concerns a file's contents, reports *err and returns ZOO_OK;
 * otherwise returns status. [load] */
zoo_status zoo_problems_take(zoo_problems *problems, zoo_status status, const zoo_error *err);

#endif
