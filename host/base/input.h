/*
 * input.h: a file of lines that can be read again from its beginning: plain, gzip or zstd,
 * recognised by its first bytes.
 *
 * "-" is stdin. What is no regular file (a pipe, a terminal) is copied to an unnamed temporary file
 * first, since a run reads its requests twice. A byte order mark before the first line is skipped.
 * A Git LFS pointer and UTF-16 are refused by name.
 *
 * Memory: two buffers of 64 KiB, the decoder's window and the longest line, of which no more than
 * line_max bytes are kept.
 */
#ifndef ZOO_BASE_INPUT_H
#define ZOO_BASE_INPUT_H

#include <signal.h>

#include "base.h"
#include "base/idmap.h"

typedef struct zoo_input zoo_input;

typedef struct zoo_input_line {
    const char
        *text; /* [n], good until the next call; null when the line is longer than line_max */
    size_t n;
    uint64_t number;   /* 1 is the first */
    uint64_t offset;   /* of the line in the decoded bytes */
    zoo_id id;         /* XXH3 of the bytes, seeded with number */
    bool is_duplicate; /* an earlier line has its custom_id; of sources that know it */
} zoo_input_line;

/* Where lines come from: a whole file, a shard of it, another machine. */
typedef struct zoo_line_source {
    void *arg;
    bool knows_duplicates; /* it sets is_duplicate: it gives only some lines, or not in order */
    /* Before the first line; no more than line_max bytes of a line are kept. */
    zoo_status (*begin)(void *arg, size_t line_max, zoo_error *err);
    /* As zoo_input_next; may block. */
    zoo_status (*next)(void *arg, zoo_input_line *line, bool *more, zoo_error *err);
    /* From any thread: a blocked next returns with *more false; null: next never blocks. */
    void (*stop)(void *arg);
} zoo_line_source;

/* stop: ends waiting for a pipe when it is not 0; may be null. ZOO_E_IO, ZOO_E_FORMAT,
 * ZOO_E_MEMORY. The caller closes. */
zoo_status zoo_input_open(const char *path, const volatile sig_atomic_t *stop, zoo_input **out,
                          zoo_error *err);
void zoo_input_close(zoo_input *input);

/* Back to the beginning. */
zoo_status zoo_input_rewind(zoo_input *input, size_t line_max, zoo_error *err);
/* The next line with something besides white space; *more false: the end. ZOO_E_IO: the file cannot
 * be read on, or its compressed data end early. */
zoo_status zoo_input_next(zoo_input *input, zoo_input_line *line, bool *more, zoo_error *err);

zoo_line_source zoo_input_source(zoo_input *input);

/* Identifies a state of a file: a changed file has another stamp. */
typedef struct zoo_input_stamp {
    int64_t bytes, seconds, nanoseconds; /* size, and when it was written to */
    bool is_named;                       /* false: a private copy of a pipe */
    bool is_plain;                       /* not compressed: zoo_input_at can be called */
} zoo_input_stamp;
/* ZOO_E_IO. */
zoo_status zoo_input_stamp_get(const zoo_input *input, zoo_input_stamp *out, zoo_error *err);

/* Reads just the line of n bytes at offset, after a rewind that set line_max. line->number is
 * `number`, its id computed from it. ZOO_E_IO: also when the file is shorter. */
zoo_status zoo_input_at(zoo_input *input, uint64_t offset, uint64_t n, uint64_t number,
                        zoo_input_line *line, zoo_error *err);

/* Of what was read since the last rewind: the hash of the bytes as hex, and the number of lines
 * that zoo_input_next gives. zoo_input_scan reads to the end without returning lines. */
zoo_status zoo_input_scan(zoo_input *input, zoo_error *err);
void zoo_input_hash(const zoo_input *input, char hex[40]);
uint64_t zoo_input_n_lines(const zoo_input *input);

#endif
