/*
 * line_index.h: where each line of a request file begins, so that a shard reads its own lines
 * alone.
 *
 *   requests.jsonl -> requests.jsonl.index: a header, then for each line {offset, length, id}
 *
 * Made once and kept beside the file; a process that needs it meanwhile waits. It is rebuilt when
 * the file's size or modification time has changed, and each line that is read is checked against
 * its hash. Where it cannot be kept (a read-only folder, a pipe) it is an unnamed temporary file.
 * It counts lines, not rows: a blank line has length 0 and is no row.
 *
 * A row whose custom_id repeats that of an earlier row is marked, since its shard may not read the
 * earlier one.
 *
 * Memory: a buffer of entries, and while it is made 16 bytes a row.
 */
#ifndef ZOO_BASE_LINE_INDEX_H
#define ZOO_BASE_LINE_INDEX_H

#include "base/input.h"

typedef struct zoo_line_index zoo_line_index;

typedef struct zoo_line_entry {
    uint64_t number, offset, n; /* n 0: blank */
    uint64_t id;                /* part[0] of the line's zoo_id */
    bool is_duplicate;
} zoo_line_entry;

/* path: the input's name. *is_kept: it lies beside the input. Rewinds the input. ZOO_E_IO,
 * ZOO_E_FORMAT, ZOO_E_MEMORY. The caller closes. */
zoo_status zoo_line_index_open(zoo_input *input, const char *path, bool *is_kept,
                               zoo_line_index **out, zoo_error *err);
void zoo_line_index_close(zoo_line_index *index);

/* zoo_input_hash of the whole file; lines, blank ones too; rows. */
const char *zoo_line_index_hash(const zoo_line_index *index);
uint64_t zoo_line_index_n_lines(const zoo_line_index *index);
uint64_t zoo_line_index_n_rows(const zoo_line_index *index);

/* The entry of line `number`, 1 .. n_lines; cheap in ascending order. ZOO_E_IO. */
zoo_status zoo_line_index_get(zoo_line_index *index, uint64_t number, zoo_line_entry *out,
                              zoo_error *err);

/* The hash by which a custom_id is known (idmap.h); false: the line has none. */
bool zoo_line_custom_id(const char *line, size_t n, zoo_id *out);

#endif
