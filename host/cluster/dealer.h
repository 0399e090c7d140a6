/* dealer.h: the ranks as rank 0 sees them, and which gets rows next (deal_policy.c). Work and cost
 * are in units of one generated token (zoo_batch_cost). */
#ifndef ZOO_CLUSTER_DEALER_H
#define ZOO_CLUSTER_DEALER_H

#include "cluster/window.h"
#include "generate/schedule.h"

typedef struct zoo_peer {
    bool is_ready; /* its model is open */
    bool is_dead;  /* it reported a failure */
    bool is_done;  /* it has sent its last message */
    char host[64];
    uint32_t seqs_max;
    zoo_deal_row **rows; /* [n], dealt and not finished, in this order */
    size_t n, capacity;
    double left;                        /* expected cost of these rows at the last change */
    bool has_changed;                   /* since then */
    double done_cost;                   /* of its finished rows */
    uint64_t n_early, n_early_new;      /* finished rows that cost less than estimated: until the
                                           last report, and since */
    double spent;                       /* actual cost at the last report, running rows included */
    double each;                        /* the part of it of a row that has always run */
    double recent_cost, recent_seconds; /* decaying sums; their quotient is its throughput */
    double silent_seconds;              /* since the last report, while it holds rows */
    bool is_measured;                   /* it has reported a cost */
    double last;                        /* time of its last line, zoo_clock_seconds */
    uint64_t n_lines;
    zoo_schedule_stats stats;
} zoo_peer;

/* Rows in one message to a peer, at most. */
enum { ZOO_DEAL_BLOCK = 16 };

/* All peers, and the work that none of them holds yet. */
typedef struct zoo_deal_table {
    zoo_peer *peers; /* [n] */
    uint32_t n;
    double work;      /* estimate for all rows not dealt, read or not */
    double n_rows;    /* number of these rows */
    double next_work; /* estimate for the next row to deal; 0: none */
} zoo_deal_table;

/* The row, the last of the peer's rows, has been sent to it. */
void zoo_deal_begin(zoo_peer *peer, zoo_deal_row *row);
/* A row is finished, and no longer one of the peer's: its estimated work and its actual cost. */
void zoo_deal_finish(zoo_peer *peer, double work, double cost);
/* The peer's cost so far (zoo_batch_cost of its counters). */
void zoo_deal_spend(zoo_peer *peer, double spent);
/* Adds `seconds` to the busy time of peers that hold rows. */
void zoo_deal_tick(const zoo_deal_table *table, double seconds);
/* The peer that gets rows next, *room the work that it may get; null: no peer now. */
zoo_peer *zoo_deal_pick(const zoo_deal_table *table, double *room);

#endif
