/* dealer.h: ranks as rank 0 sees them, and who gets how many rows (deal_policy.c). */
#ifndef ZOO_CLUSTER_DEALER_H
#define ZOO_CLUSTER_DEALER_H

#include "cluster/window.h"
#include "generate/schedule.h"

/* A rank as rank 0 sees it. */
typedef struct zoo_peer {
    bool is_ready; /* its model is open */
    bool is_dead, is_done;
    char host[64];
    uint32_t seqs_max;
    zoo_deal_row **rows; /* [n], dealt and not finished */
    size_t n, capacity;
    double work;       /* of these rows, as guessed */
    double did, cost;  /* of its finished rows: as guessed, and as it was */
    double spent;      /* cost of all that it did, of rows that run too */
    double late, busy; /* cost and seconds of the last while */
    double last;       /* when its last line came */
    uint64_t n_lines;
    zoo_schedule_stats stats;
} zoo_peer;

/* Rows at once for one peer, in one message. */
enum { ZOO_DEAL_BLOCK = 16 };

/* Peers alive, and what is left to do besides what they hold. */
typedef struct zoo_deal_table {
    zoo_peer *peers; /* [n] */
    uint32_t n;
    double work;      /* not dealt, read or not */
    double next_work; /* of the next row to deal */
} zoo_deal_table;

/* A row of the peer is finished. */
void zoo_deal_finish(zoo_peer *peer, double work, double cost);
/* What the peer has spent so far (zoo_batch_cost of its counters). */
void zoo_deal_spend(zoo_peer *peer, double spent);
/* Counts the seconds that peers were busy and lets old ones fade. */
void zoo_deal_tick(const zoo_deal_table *table, double seconds);
/* Who gets rows next and for how much work, or null: nobody now. */
zoo_peer *zoo_deal_pick(const zoo_deal_table *table, double *room);

#endif
