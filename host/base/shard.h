/*
 * shard.h: the lines of a request file whose number modulo N is I, as a source of lines. Of an
 * uncompressed file only these lines are read; of a compressed one the others are decoded and
 * skipped.
 */
#ifndef ZOO_BASE_SHARD_H
#define ZOO_BASE_SHARD_H

#include "base/line_index.h"

typedef struct zoo_shard {
    uint64_t i, n; /* i < n; n 1: every line */
    zoo_input *input;
    zoo_line_index *index;
    const char *name; /* of the input, for errors */
    bool is_plain;
    uint64_t at; /* number of the last line given */
} zoo_shard;

/* Reads "I/N" with 0 <= I < N, digits alone; ZOO_E_USAGE: a sentence. */
zoo_status zoo_shard_read(const char *text, uint64_t *i, uint64_t *n, zoo_error *err);

/* Sets is_plain; the other fields are the caller's, who keeps input and index. ZOO_E_IO. */
zoo_status zoo_shard_init(zoo_shard *shard, zoo_error *err);
/* Rows of the shard. ZOO_E_IO. */
zoo_status zoo_shard_count(zoo_shard *shard, uint64_t *n_rows, zoo_error *err);
/* next: ZOO_E_IO: a line is not what it was when the index was made. */
zoo_line_source zoo_shard_source(zoo_shard *shard);

#endif
