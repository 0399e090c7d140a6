/*
 * order.h: finished lines on their way to the journal: at once, or in the order of the input, held
 * until those before them are there.
 *
 * Memory: the held lines; the owner checks `bytes` and starts no more rows while it is too large.
 */
#ifndef ZOO_BATCH_ORDER_H
#define ZOO_BATCH_ORDER_H

#include "batch/journal.h"

typedef struct zoo_order {
    bool is_kept; /* false: lines go on at once */
    zoo_journal *journal;
    struct zoo_held {
        char *text; /* null: not there yet */
        size_t n;
        bool is_error;
    } * held; /* [capacity], of line number next + i at place (first + i) % capacity */
    size_t first, capacity;
    uint64_t next;
    size_t bytes;
} zoo_order;

/* Line number `at` (0, 1, ... as lines were read) is done. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_order_put(zoo_order *order, uint64_t at, bool is_error, const char *line, size_t n,
                         zoo_error *err);
void zoo_order_free(zoo_order *order);

#endif
