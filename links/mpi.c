/*
 * mpi.c: host/cluster/link.h over MPI: lmzoo-mpi.so.
 *
 * Sends are buffered here (MPI_Isend of a copy), so that two ranks that send to each other at once
 * never wait for one another. MPI is asked for serialized threads: the program calls from one
 * thread at a time, but not always from the same.
 *
 * Memory: what is not sent yet, and the message at hand.
 */
#include <mpi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/link.h"

enum { TAG = 1 };

typedef struct outgoing {
    MPI_Request request;
    struct outgoing *next;
    char data[];
} outgoing;

static outgoing *first;
static size_t n_outgoing;

static int join(uint32_t *rank, uint32_t *n_ranks, char *what, size_t n)
{
    int given = MPI_THREAD_SINGLE, r = 0, count = 1;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &given) != MPI_SUCCESS) {
        (void)snprintf(what, n, "MPI cannot be started");
        return -1;
    }
    if (given < MPI_THREAD_SERIALIZED) {
        (void)snprintf(what, n, "this MPI knows no threads (MPI_THREAD_SERIALIZED)");
        return -1;
    }
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &r);
    (void)MPI_Comm_size(MPI_COMM_WORLD, &count);
    *rank = (uint32_t)r;
    *n_ranks = (uint32_t)count;
    return 0;
}

/* Gives back what has been sent. */
static int sweep(void)
{
    for (outgoing **at = &first; *at;) {
        outgoing *o = *at;
        int done = 0;
        if (MPI_Test(&o->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) {
            return -1;
        }
        if (!done) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        free(o);
        n_outgoing--;
    }
    return 0;
}

static int put(uint32_t to, const void *data, size_t n)
{
    outgoing *o = n <= INT32_MAX ? malloc(sizeof *o + n) : NULL;
    if (!o) {
        return -1;
    }
    memcpy(o->data, data, n);
    if (MPI_Isend(o->data, (int)n, MPI_BYTE, (int)to, TAG, MPI_COMM_WORLD, &o->request) !=
        MPI_SUCCESS) {
        free(o);
        return -1;
    }
    o->next = first;
    first = o;
    n_outgoing++;
    return sweep();
}

static int take(uint32_t *from, void **data, size_t *n)
{
    int there = 0, count = 0;
    MPI_Message message;
    MPI_Status status;
    if (sweep() != 0 || MPI_Improbe(MPI_ANY_SOURCE, TAG, MPI_COMM_WORLD, &there, &message,
                                    &status) != MPI_SUCCESS) {
        return -1;
    }
    if (!there) {
        return 0;
    }
    (void)MPI_Get_count(&status, MPI_BYTE, &count);
    *data = malloc(count > 0 ? (size_t)count : 1);
    if (!*data || MPI_Mrecv(*data, count, MPI_BYTE, &message, MPI_STATUS_IGNORE) != MPI_SUCCESS) {
        free(*data);
        return -1;
    }
    *from = (uint32_t)status.MPI_SOURCE;
    *n = (size_t)count;
    return 1;
}

static size_t n_pending(void)
{
    (void)sweep();
    return n_outgoing;
}

static void leave(void)
{
    while (first) {
        (void)MPI_Wait(&first->request, MPI_STATUS_IGNORE);
        (void)sweep();
    }
    (void)MPI_Finalize();
}

static void end_all(int code)
{
    (void)MPI_Abort(MPI_COMM_WORLD, code);
}

__attribute__((visibility("default"))) extern const zoo_link_ops zoo_link_entry;
const zoo_link_ops zoo_link_entry = {.version = ZOO_LINK_VERSION,
                                     .size = sizeof(zoo_link_ops),
                                     .name = "MPI",
                                     .join = join,
                                     .send = put,
                                     .receive = take,
                                     .n_pending = n_pending,
                                     .leave = leave,
                                     .abort = end_all};
