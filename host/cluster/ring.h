/*
 * ring.h: the ranks of a pipeline (model/ring.h) over a link.
 *
 * Memory: none is kept: each message is handed to the caller as it arrives, whichever rank sent it.
 */
#ifndef ZOO_CLUSTER_RING_H
#define ZOO_CLUSTER_RING_H

#include "cluster/cluster.h"
#include "model/ring.h"

typedef struct zoo_link_ring {
    zoo_ring ring; /* first member; the caller sets n_micro_batches and meet */
    zoo_cluster cluster;
} zoo_link_ring;

/* Joins the other ranks. Errors as zoo_cluster_join. */
zoo_status zoo_link_ring_join(const char *link, zoo_link_ring *out, zoo_error *err);
/* All ranks leave together; rank 0 first ends the others. */
void zoo_link_ring_leave(zoo_link_ring *ring);
/* Other ranks: sends `why` to rank 0 and waits, at most ten seconds, for it to end the run. */
void zoo_link_ring_fail(zoo_link_ring *ring, const zoo_error *why);

#endif
