/*
 * ring.h: the ranks of a pipeline (model/ring.h) over a link.
 *
 * Memory: messages that came from other ranks than the one that was waited for are none: each is
 * handed on as it comes.
 */
#ifndef ZOO_CLUSTER_RING_H
#define ZOO_CLUSTER_RING_H

#include "cluster/cluster.h"
#include "model/ring.h"

typedef struct zoo_link_ring {
    zoo_ring ring; /* first; n_micro_batches and meet are the caller's to set */
    zoo_cluster cluster;
} zoo_link_ring;

/* Joins the other ranks; see zoo_cluster_join. ZOO_E_USAGE: there are none. */
zoo_status zoo_link_ring_join(const char *link, zoo_link_ring *out, zoo_error *err);
/* Rank 0: the others end. All ranks leave together. */
void zoo_link_ring_leave(zoo_link_ring *ring);
/* Rank k: says why it cannot go on, and waits until rank 0 has ended the run, some seconds at most.
 */
void zoo_link_ring_fail(zoo_link_ring *ring, const zoo_error *why);

#endif
