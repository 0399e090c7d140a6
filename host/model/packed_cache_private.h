/*
 * packed_cache_private.h: the file of packed_cache.h, for packed*.c.
 *
 *   header, 64 bytes | table, 40 bytes a matrix | zeros | matrices in the order of binding
 *
 * The matrices begin at a multiple of ZOO_PACKED_ALIGN, each at a multiple of 64: panels, zeros up
 * to a multiple of 64, scales, zeros again. Integers are in the byte order of the machine, which
 * the header tells.
 */
#ifndef ZOO_MODEL_PACKED_CACHE_PRIVATE_H
#define ZOO_MODEL_PACKED_CACHE_PRIVATE_H

#include "model/packed_cache.h"

#define ZOO_PACKED_MAGIC "lmzoo pk" /* 8 bytes, without the null */

enum {
    ZOO_PACKED_VERSION = 3, /* of this layout and of the panels */
    ZOO_PACKED_ORDER = 0x01020304,
    ZOO_PACKED_ALIGN = 1 << 12,
    ZOO_PACKED_MATRICES_MAX = 1 << 24
};

typedef struct zoo_packed_header {
    char magic[8];
    uint32_t version, order;
    uint64_t key[2];
    uint64_t n_matrices;
    uint64_t begin;   /* of the first matrix */
    uint64_t n_bytes; /* of the file */
    uint64_t check;   /* XXH3 of this header, check 0, and of the table */
} zoo_packed_header;

typedef struct zoo_packed_entry {
    uint64_t name; /* XXH3 of it */
    uint32_t kind, rows, cols, group;
    uint64_t n_bytes;
    uint64_t check; /* XXH3 of the XXH3 of its pieces of 1 MiB */
} zoo_packed_entry;

struct zoo_packed {
    char path[4400];
    char note[1200];
    uint64_t key[2];
    unsigned char *base; /* the mapped file; null: none */
    size_t size;
    const zoo_packed_entry *table; /* [n_matrices] of it */
    uint64_t n_matrices;
    uint64_t n_taken, at;      /* matrices taken, offset of the next */
    bool reads;                /* the next matrix may come from the file */
    zoo_packed_entry *entries; /* of the model */
    const void **data;
    uint64_t n_entries, entries_max;
};

/* Where and under which key the file of a model lies (packed_cache_key.c). */
zoo_status zoo_packed_locate(zoo_packed *packed, const zoo_model *model, const char *where,
                             const char *kind, zoo_error *err);
/* Bytes of a matrix in the file. 0: no such matrix. */
uint64_t zoo_packed_bytes(const zoo_packed_entry *entry);
/* Checksum of n bytes on all threads; false without memory. */
bool zoo_packed_check(const void *data, uint64_t n, zoo_pool *pool, uint64_t *check);
/* Maps and checks the file at path; on false *why tells, "" where there is no file. */
bool zoo_packed_map(zoo_packed *packed, char *why, size_t n_why);
/* Writes the entries; 0 or an errno, EBUSY where another process is at it. */
int zoo_packed_write(const zoo_packed *packed);

#endif
