/*
 * embedding_table.h: a stored matrix as a zoo_table: rows are read from the file when needed.
 *
 * A touched row of the map brings its neighbourhood of the file into memory, 64 KiB or, where the
 * system keeps files in large pages, 2 MiB; in a large table nearly every row is touched in time.
 * So rows of a large plain table are read past the map, and quantised ones give their pages back
 * after a few rows: a table costs a few MiB at most, however many of its rows are read.
 */
#ifndef ZOO_CHECKPOINT_EMBEDDING_TABLE_H
#define ZOO_CHECKPOINT_EMBEDDING_TABLE_H

#include <stdatomic.h>

#include "checkpoint/matrix.h"
#include "zoo.h"

/* What zoo_table.host points to; lives as long as the table. */
typedef struct zoo_table_source {
    zoo_matrix matrix; /* found, of at most UINT32_MAX rows and columns */
    bool is_large;
    atomic_uint n_read; /* rows */
} zoo_table_source;

/* The table over source->matrix, which the caller has filled. Its rows may be read by any number of
 * threads. [load] */
zoo_table zoo_table_make(zoo_table_source *source);

#endif
