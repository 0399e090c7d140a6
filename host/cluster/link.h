/*
 * link.h: messages between the processes of one run, through a library that is loaded on demand
 * (links/mpi.c is lmzoo-mpi.so). The program itself is linked against none.
 *
 * A library exports zoo_link_entry alone. One thread at a time calls it. Calls do not block, except
 * join and leave, and messages between two ranks keep their order.
 */
#ifndef ZOO_CLUSTER_LINK_H
#define ZOO_CLUSTER_LINK_H

#include <stddef.h>
#include <stdint.h>

#define ZOO_LINK_VERSION 1u
#define ZOO_LINK_SYMBOL  "zoo_link_entry"

typedef struct zoo_link_ops {
    uint32_t version; /* ZOO_LINK_VERSION */
    uint32_t size;    /* of this struct */
    const char *name; /* the messaging library and its version */
    /* Joins the other processes of the run. 0: joined; else what[n] is the reason. */
    int (*join)(uint32_t *rank, uint32_t *n_ranks, char *what, size_t n);
    /* Copies data[n] and begins to send it. 0: accepted. */
    int (*send)(uint32_t to, const void *data, size_t n);
    /* 1: a message; the caller frees *data [*n] with free(). 0: none. -1: the link is broken. */
    int (*receive)(uint32_t *from, void **data, size_t *n);
    /* Number of messages not sent yet; also drives their progress. */
    size_t (*n_pending)(void);
    /* All ranks leave together, after every message has arrived. */
    void (*leave)(void);
    /* Ends the processes of all ranks, this one included, with the exit code. */
    void (*abort)(int code);
} zoo_link_ops;

#endif
