/*
 * memory.h: cache size of a sequence and cost of a token, from the streams of a plan.
 *
 * Kept: the cache of a sequence of n positions. Read: how much of it one more token reads. Figures
 * count rows; the cache's pages round them up to 64 rows a stream.
 */
#ifndef ZOO_EXPLAIN_MEMORY_H
#define ZOO_EXPLAIN_MEMORY_H

#include "explain/arch.h"

typedef struct zoo_arch_cost {
    double kept, read;      /* bytes of caches */
    double growing;         /* bytes that one more position adds while windows fill */
    double growing_later;   /* and after they are full */
    double windows, states; /* bytes of full windows; of states, whatever the length */
    double flops;           /* of one token: matrices, caches and states */
    double cache_flops;     /* of them, over caches and states */
} zoo_arch_cost;

/* dtype: of the cache; positions: those before the token. */
zoo_arch_cost zoo_arch_cost_at(const zoo_arch *arch, zoo_dtype dtype, double positions);

/* One kind of stream of all layers together, for showing the arithmetic. */
typedef struct zoo_arch_sum {
    zoo_stream decl;
    double rows_read;
    uint32_t n; /* layers that keep one */
} zoo_arch_sum;
enum { ZOO_SUMS_MAX = 64 };
/* Fills out [ZOO_SUMS_MAX]; returns how many there are. */
uint32_t zoo_arch_sums(const zoo_arch *arch, zoo_arch_sum *out);

#endif
