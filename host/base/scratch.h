/*
 * scratch.h: scratch memory of a step: taken in order, given back to a mark. When a block is full
 * another is chained, and the next clear replaces all by one of the whole size, so that a steady
 * state allocates nothing.
 */
#ifndef ZOO_BASE_SCRATCH_H
#define ZOO_BASE_SCRATCH_H

#include "base.h"

enum { ZOO_BUMP_BLOCKS_MAX = 48 };

typedef struct zoo_bump {
    unsigned char *blocks[ZOO_BUMP_BLOCKS_MAX];
    size_t sizes[ZOO_BUMP_BLOCKS_MAX];
    uint32_t n_blocks, present;
    size_t used;      /* of the present block */
    uint64_t n_grown; /* how often a block was chained after the first */
} zoo_bump;

typedef struct zoo_bump_mark {
    uint32_t block;
    size_t used;
} zoo_bump_mark;

/* First block of n bytes. ZOO_E_MEMORY. [session] */
zoo_status zoo_bump_init(zoo_bump *bump, size_t n, zoo_error *err);
void zoo_bump_release(zoo_bump *bump);
/* n bytes, 64-byte aligned, not cleared; null only when the system has no memory left. [step] */
void *zoo_bump_take(zoo_bump *bump, size_t n);
zoo_bump_mark zoo_bump_get_mark(const zoo_bump *bump);
void zoo_bump_return(zoo_bump *bump, zoo_bump_mark mark);
/* Gives everything back; several blocks become one. [step] */
void zoo_bump_clear(zoo_bump *bump);

#endif
