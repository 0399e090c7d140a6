/*
 * ring.h: a model whose layers lie on several ranks, one behind the other: who they are, and how
 * they reach each other. cluster/ring.h makes one.
 *
 *   rank 0: embedding, first layers -> rank 1: more layers -> ... -> rank 0: last norm, head
 *
 * Messages between two ranks keep their order.
 */
#ifndef ZOO_MODEL_RING_H
#define ZOO_MODEL_RING_H

#include <signal.h>

#include "zoo.h"

struct zoo_engine;

typedef enum zoo_ring_kind {
    ZOO_RING_OPEN = 64, /* rank 0 -> all: bounds of the model that it opens */
    ZOO_RING_ROOM,      /* how many bytes of caches fit; and back: how many there are */
    ZOO_RING_HELLO,     /* rank -> rank 0: what must be the same */
    ZOO_RING_STEP,      /* to the next rank: rows of a step, and what was done to sequences */
    ZOO_RING_TRACE,     /* to the next rank: an activation */
    ZOO_RING_CLOSE,     /* rank 0 -> all: the model is closed */
    ZOO_RING_QUIT,      /* rank 0 -> all: there is nothing more to do */
    ZOO_RING_FAILED     /* rank -> rank 0: zoo_error */
} zoo_ring_kind;

/* What rank 0 opens the model with, of ZOO_RING_OPEN. */
typedef struct zoo_ring_bounds {
    uint64_t reserve;
    uint32_t rows_max, seqs_max, context_max, n_marks;
} zoo_ring_bounds;

typedef struct zoo_ring_message {
    uint32_t kind, from;
    size_t n;
    const unsigned char *data; /* [n], at a multiple of 8 */
    void *base;
} zoo_ring_message;

typedef struct zoo_ring zoo_ring;
struct zoo_ring {
    uint32_t rank, n_ranks;
    uint32_t n_micro_batches;          /* steps under way at once */
    const volatile sig_atomic_t *stop; /* not 0: what does not come soon is given up; or null */
    void *host;
    /* Copies data [n]. ZOO_E_IO, ZOO_E_MEMORY. */
    zoo_status (*send)(zoo_ring *ring, uint32_t to, uint32_t kind, const void *data, size_t n,
                       zoo_error *err);
    /* Waits for the next message; what another rank says of its failure is an error here. */
    zoo_status (*receive)(zoo_ring *ring, zoo_ring_message *out, zoo_error *err);
    void (*release)(zoo_ring *ring, zoo_ring_message *message);
    /* Lets messages that are under way move on. */
    void (*progress)(zoo_ring *ring);
    /* The model is open on this rank: compares the ranks. ZOO_E_USAGE. */
    zoo_status (*meet)(zoo_ring *ring, const struct zoo_engine *engine, zoo_error *err);
};

static inline uint32_t zoo_ring_next(const zoo_ring *ring)
{
    return ring->rank + 1 < ring->n_ranks ? ring->rank + 1 : 0;
}

#endif
