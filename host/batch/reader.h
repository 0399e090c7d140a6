/*
 * reader.h: a thread that reads request lines ahead: parses, checks and tokenizes them, in the
 * order of the file, into a bounded queue, so that none of this stands between two steps.
 *
 * Lines that a former run finished are passed over by their hash. A custom_id that an earlier line
 * of the file has is refused. Empty lines are no rows.
 */
#ifndef ZOO_BATCH_READER_H
#define ZOO_BATCH_READER_H

#include "base/idmap.h"
#include "batch/request.h"

/* A line that is not done yet. status is not ZOO_OK: it is refused, error says why. */
typedef struct zoo_line zoo_line;
struct zoo_line {
    uint64_t number; /* 1 is the first of the file */
    zoo_id id;       /* hash of number and bytes: names the row in results */
    zoo_request request;
    zoo_status status;
    bool is_duplicate;
    zoo_error error;
    zoo_line *next;
};

typedef struct zoo_reader zoo_reader;

/* path is opened before this returns. done: ids of finished lines with the hash of their custom_id.
 * All are kept by reference. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_reader_start(const char *path, const zoo_request_context *context,
                            const zoo_idmap *done, zoo_reader **out, zoo_error *err);

/*
 * The next line, waiting for it if need be; *line null: the end. The caller gives it to
 * zoo_line_free. An error: the file cannot be read on.
 */
zoo_status zoo_reader_next(zoo_reader *reader, zoo_line **line, zoo_error *err);

/* Ends the thread; null is fine. */
void zoo_reader_stop(zoo_reader *reader);

void zoo_line_free(zoo_line *line);

/* The name of a line in results; the same in every run over the same file. */
zoo_id zoo_line_id(const char *text, size_t n, uint64_t number);

#endif
