/*
 * embedding_table.h: a stored matrix as a zoo_table: rows are read from the file when needed.
 *
 * Touching a mapped row brings 64 KiB of the file into memory, or 2 MiB where the system keeps
 * files in large pages, and in time nearly every row of a large table is touched. So rows of a
 * plain table are read with pread instead, unless the whole table is small enough to be held, and
 * large quantised tables release their pages after a few rows: a table costs a few MiB at most,
 * however many of its rows are read.
 *
 * A block that reads a row cannot fail. A row that cannot be read is zero, and the first such error
 * is kept in the source, where the step that read it finds it (zoo_table_check).
 */
#ifndef ZOO_CHECKPOINT_EMBEDDING_TABLE_H
#define ZOO_CHECKPOINT_EMBEDDING_TABLE_H

#include <stdatomic.h>

#include "checkpoint/matrix.h"
#include "zoo.h"

/* What zoo_table.host points to; lives as long as the table. */
typedef struct zoo_table_source {
    zoo_matrix matrix; /* found, of at most UINT32_MAX rows and columns */
    zoo_tensor held;   /* with data in memory, where it is held; else data is null */
    bool is_large;
    atomic_uint n_read;   /* rows */
    atomic_uint n_failed; /* rows */
    zoo_error error;      /* of the first row that failed; complete when its reader is done */
    struct zoo_table_source *next; /* the caller's */
} zoo_table_source;

/* The table over source->matrix, which the caller has filled. Its rows may be read by any number of
 * threads. [load] */
zoo_table zoo_table_make(zoo_table_source *source);

/* Bytes of a table that is worth holding in memory; 0: its rows are read from the file. */
size_t zoo_table_held_bytes(const zoo_table_source *source);
/* Holds it in copy [zoo_table_held_bytes], which lives as long as the source. With null, or where
 * the file cannot be read, rows are read when needed, and the step that reads one tells why.
 * [load] */
void zoo_table_hold(zoo_table_source *source, void *copy);

/* Whether all rows read so far could be read; else the error of the first. No thread reads while
 * this is called. [any] */
zoo_status zoo_table_check(const zoo_table_source *source, zoo_error *err);

#endif
