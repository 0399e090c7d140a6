/*
 * dealer_private.h: rank 0's state, which dealer.c (the loop), dealer_rows.c (rows out) and
 * dealer_hear.c (what comes back) share. All of it is the dealing thread's.
 */
#ifndef ZOO_CLUSTER_DEALER_PRIVATE_H
#define ZOO_CLUSTER_DEALER_PRIVATE_H

#include "batch/order.h"
#include "cluster/cluster.h"
#include "cluster/dealer.h"
#include "cluster/port.h"

typedef struct zoo_dealer {
    const zoo_cluster *cluster;
    const zoo_batch_job *job;
    const zoo_journal_key *key;
    zoo_batch_totals *totals;
    zoo_port *port; /* of rank 0's own run */
    zoo_deal_table table;
    zoo_window window;
    zoo_line_source source;
    zoo_idmap custom_ids;
    zoo_order order;
    zoo_progress progress;
    uint64_t n_read, n_left; /* rows read; held by ranks */
    double read_work, ticked, started;
    bool at_end;
    volatile sig_atomic_t stop; /* of rank 0's own run */
    zoo_status status;
    zoo_error error;
} zoo_dealer;

/* Reads on when the window has become short. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_dealer_refill(zoo_dealer *dealer, zoo_error *err);
/* Gives rows to whoever shall have some now. */
zoo_status zoo_dealer_deal(zoo_dealer *dealer, zoo_error *err);
/* Takes all that has come; waits a moment when there is nothing. ZOO_E_USAGE: a rank is refused. */
zoo_status zoo_dealer_listen(zoo_dealer *dealer, zoo_error *err);
/* The counters of all ranks together, into the totals. */
void zoo_dealer_sum(zoo_dealer *dealer);

#endif
