/*
 * link.h: messages between the processes of one run, through a library that is loaded when it is
 * asked for (links/mpi.c is lmzoo-mpi.so). The program itself depends on none.
 *
 * A library exports zoo_link_entry alone. Its calls come from one thread at a time, never block but
 * for join and leave, and keep the order of messages between two ranks.
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
    const char *name; /* of the library beneath, with its version */
    /* Joins the other processes of the run; 0, or what[n] says why not. */
    int (*join)(uint32_t *rank, uint32_t *n_ranks, char *what, size_t n);
    /* Copies data[n] and sends it on; 0, or not. */
    int (*send)(uint32_t to, const void *data, size_t n);
    /* 1: a message; *data [*n] is for free(). 0: none. -1: the link is broken. */
    int (*receive)(uint32_t *from, void **data, size_t *n);
    /* Messages that are not sent yet. */
    size_t (*n_pending)(void);
    /* All ranks leave together; what was sent has arrived. */
    void (*leave)(void);
    /* Ends all ranks, this one too, with the exit code. */
    void (*abort)(int code);
} zoo_link_ops;

#endif
