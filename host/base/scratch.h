/*
 * scratch.h: a bump allocator for the scratch of a step: taken in order, released down to a mark.
 * When a block is full another is chained, and the next clear replaces them all by one of the total
 * size, so that in the steady state nothing is allocated.
 */
#ifndef ZOO_BASE_SCRATCH_H
#define ZOO_BASE_SCRATCH_H

#include "base.h"

enum { ZOO_SCRATCH_BLOCKS_MAX = 48 };

typedef struct zoo_scratch {
    unsigned char *blocks[ZOO_SCRATCH_BLOCKS_MAX];
    size_t sizes[ZOO_SCRATCH_BLOCKS_MAX];
    uint32_t n_blocks, present;
    size_t used;      /* of the present block */
    uint64_t n_grown; /* how often a block was chained after the first */
} zoo_scratch;

typedef struct zoo_scratch_mark {
    uint32_t block;
    size_t used;
} zoo_scratch_mark;

/* First block of n bytes. ZOO_E_MEMORY. [session] */
zoo_status zoo_scratch_init(zoo_scratch *scratch, size_t n, zoo_error *err);
void zoo_scratch_release(zoo_scratch *scratch);
/* n bytes, 64-byte aligned, not cleared; null only when the system has no memory left. [step] */
void *zoo_scratch_take(zoo_scratch *scratch, size_t n);
zoo_scratch_mark zoo_scratch_get_mark(const zoo_scratch *scratch);
void zoo_scratch_return(zoo_scratch *scratch, zoo_scratch_mark mark);
/* Releases everything; several blocks become one. [step] */
void zoo_scratch_clear(zoo_scratch *scratch);

#endif
