/*
 * dealer_private.h: rank 0's state, shared by dealer.c (the loop), dealer_rows.c (rows out) and
 * dealer_receive.c (messages in). Only the dealing thread uses it.
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
    uint64_t n_read; /* rows read from the input */
    uint64_t n_left; /* rows that ranks hold */
    double read_work, ticked, started;
    bool at_end;
    volatile sig_atomic_t stop; /* of rank 0's own run */
    zoo_status status;
    zoo_error error;
} zoo_dealer;

/* Reads more of the input when the window runs low. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_dealer_refill(zoo_dealer *dealer, zoo_error *err);
/* Sends rows to every rank that zoo_deal_pick names. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_dealer_deal(zoo_dealer *dealer, zoo_error *err);
/* Handles all messages that have arrived; sleeps a millisecond when there are none. ZOO_E_USAGE: a
 * rank is refused; ZOO_E_IO, ZOO_E_MEMORY; rank 0's own failure with its code. */
zoo_status zoo_dealer_receive(zoo_dealer *dealer, zoo_error *err);
/* Sums the counters of all ranks into the totals. */
void zoo_dealer_sum(zoo_dealer *dealer);

#endif
