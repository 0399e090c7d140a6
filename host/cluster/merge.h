/*
 * merge.h: the results of all shards of one run as the files of one run: results, errors, journal.
 *
 *   s0.jsonl, s1.jsonl, ... with their journals -> judged -> lines copied -> all.jsonl
 *
 * Everything is checked before the first line is written: the shards are those of one run (their
 * journals agree in all that can change a result), each is given once and is finished, and no row
 * occurs twice. Lines are copied byte for byte, in the order of the shards or in that of the input;
 * the input is the file named or the one that the journals name, compared by its hash.
 *
 * Memory: 32 bytes per row of the shard at hand, and 16 per row of the input when its order is
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
    bool restart;       /* replaces existing output files */
} zoo_merge_job;

typedef struct zoo_merge_totals {
    uint64_t n_results, n_errors;
} zoo_merge_totals;

/* ZOO_E_USAGE: a shard is missing, of another run, unfinished or given twice; the sentence names
 * it. ZOO_E_FORMAT: a line was not written by this program. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_merge(const zoo_merge_job *job, zoo_merge_totals *totals, zoo_error *err);

#endif
