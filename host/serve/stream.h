/*
 * stream.h: an answer as server-sent events, while it is written.
 *
 *   pieces of text of each row -> deltas -> "data: {...}\n\n" in one growing buffer
 *
 * A completion's delta is its text. A chat's text is taken apart again with each piece, as far as
 * what follows cannot change its meaning: reasoning and content as they grow, a tool call when it
 * is whole. The deltas of a stream, joined, are the message that the answer without a stream has.
 *
 * Not thread-safe: its owner locks.
 */
#ifndef ZOO_SERVE_STREAM_H
#define ZOO_SERVE_STREAM_H

#include "base/json_writer.h"
#include "batch/result.h"

/* What was sent of a row. */
typedef struct zoo_event_row {
    zoo_text text;                 /* so far; as the row's, growing */
    size_t n_content, n_reasoning; /* bytes sent */
    uint32_t n_calls;              /* sent */
    bool has_role;
} zoo_event_row;

typedef struct zoo_event_stream {
    zoo_answer answer;   /* request, id, model, format, ...; rows are null until the end */
    zoo_out out;         /* events, from the first byte on */
    zoo_event_row *rows; /* [n_rows] */
    uint32_t n_rows;
    bool failed; /* no memory: the stream ends with an error event */
} zoo_event_stream;

/* answer without rows; its pointers must live as long as the stream. False: no memory. */
bool zoo_stream_open(zoo_event_stream *stream, const zoo_answer *answer, uint32_t n_rows);
void zoo_stream_close(zoo_event_stream *stream);

/* More text of a row. */
void zoo_stream_text(zoo_event_stream *stream, uint32_t row, const char *text, size_t n);
/* What is left of all rows, their ends, the usage where it is wanted, and the last event. answer:
 * null when the request failed; then status and message say why. */
void zoo_stream_end(zoo_event_stream *stream, const zoo_answer *answer, bool wants_usage,
                    const zoo_error *error);

#endif
