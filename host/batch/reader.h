/*
 * reader.h: a thread that reads request lines ahead: parses, checks and tokenizes them, in the
 * order of the file, into a bounded queue, so that none of this stands between two steps.
 *
 * Lines that a former run finished are skipped by their hash. A custom_id that repeats that of an
 * earlier line is refused; the source says so, or, if it gives all lines in order, it is found
 * here. Blank lines are not rows.
 *
 * Each line has a budget of bytes, steps and seconds (budget.h), for all that its preparation
 * takes, compiled grammars included; beyond it the line is refused. Bytes that lines hold, queued
 * or taken and not yet freed, stay within bytes_max: the thread waits for room before it reads on.
 */
#ifndef ZOO_BATCH_READER_H
#define ZOO_BATCH_READER_H

#include "base/budget.h"
#include "base/input.h"
#include "batch/request.h"

typedef struct zoo_reader zoo_reader;

/* A line that is not done yet. status is not ZOO_OK: it is refused, error says why. */
typedef struct zoo_line zoo_line;
struct zoo_line {
    uint64_t number; /* 1 is the first of the file */
    zoo_id id;       /* hash of number and bytes: names the row in results */
    zoo_request request;
    zoo_status status;
    bool is_duplicate;
    zoo_error error;
    size_t bytes; /* that it holds, and that its rows and answer may */
    zoo_reader *reader;
    zoo_line *next;
};

typedef struct zoo_reader_options {
    zoo_line_source source; /* begun by the reader */
    zoo_input *input;       /* whose bytes are hashed while they are read; or null */
    const char *name;       /* of the input, for errors */
    const char *hash;       /* of what it must hold; null: not compared */
    const zoo_request_context *context;
    const zoo_idmap *done;             /* ids of finished lines with the hash of their custom_id */
    size_t line_bytes_max;             /* a line may hold and take while it is made ready */
    size_t bytes_max;                  /* all of them may hold */
    uint64_t rows_max;                 /* lines to give; UINT64_MAX: all */
    double seconds_max;                /* for one line; 0: no bound */
    const volatile sig_atomic_t *stop; /* ends the work at hand; or null */
} zoo_reader_options;

/* All pointers are kept. ZOO_E_IO, ZOO_E_MEMORY. */
zoo_status zoo_reader_start(const zoo_reader_options *options, zoo_reader **out, zoo_error *err);

/*
 * The next line; *line null: none yet (only when wait is false), or *ended. The caller gives it to
 * zoo_line_free. ZOO_E_IO: the file cannot be read on, or is not what it was when it was hashed.
 */
zoo_status zoo_reader_next(zoo_reader *reader, bool wait, zoo_line **line, bool *ended,
                           zoo_error *err);

/* Ends the thread; null is fine. Lines that were taken must be freed before. */
void zoo_reader_stop(zoo_reader *reader);

void zoo_line_free(zoo_line *line);

#endif
