/*
 * merge.h: the results of all shards of one run as the files of one run: results, errors, journal.
 *
 *   s0.jsonl, s1.jsonl, ... with their journals -> judged -> lines copied -> all.jsonl
 *
 * Before a line is written it is known that the shards are those of one run (their journals agree
 * in all that can change a result), that each is there once and ended, and that no row stands
 * twice. Lines are copied as they are. The order is that of the shards given, or that of the input,
 * which is found through the journals or is named, and compared with the hash they hold.
 *
 * Memory: 32 bytes a row of the shard that is read, and 16 a row of the input where its order is
 * kept.
 */
#ifndef ZOO_CLUSTER_MERGE_H
#define ZOO_CLUSTER_MERGE_H

#include "batch/journal.h"

typedef struct zoo_merge_job {
    const char *const *results; /* [n], of the shards, in any order */
    uint32_t n;
    const char *output;
    const char *errors; /* null: beside the output */
    const char *input;  /* request file; null: where the journals say */
    bool in_order;      /* of the input */
    bool restart;       /* replaces what stands at output */
} zoo_merge_job;

typedef struct zoo_merge_totals {
    uint64_t n_results, n_errors;
} zoo_merge_totals;

/* ZOO_E_USAGE: a shard is missing, foreign, unfinished or there twice; the sentence names it.
 * ZOO_E_FORMAT: a line is none of this program's. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_merge(const zoo_merge_job *job, zoo_merge_totals *totals, zoo_error *err);

#endif
