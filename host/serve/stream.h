/*
 * stream.h: an answer as server-sent events, while it is generated.
 *
 *   pieces of text of each row -> parts of a message -> events of a dialect, in one growing buffer
 *
 * A completion has one part, its text. A chat's text is parsed again with each piece, as far as
 * text to come cannot change the result: reasoning and content are sent as they grow, a tool call
 * when it is complete. The parts of a stream, joined, equal the message of the answer that is not
 * streamed. An event writer puts parts into the events of a dialect (dialect.h).
 *
 * Not thread-safe: the owner locks.
 */
#ifndef ZOO_SERVE_STREAM_H
#define ZOO_SERVE_STREAM_H

#include "base/json_writer.h"
#include "batch/result.h"

typedef struct zoo_event_stream zoo_event_stream;

/* Callbacks that write the events of a dialect, called in this order; row < n_rows. */
typedef struct zoo_event_writer {
    void (*begin)(zoo_event_stream *stream); /* or null */
    void (*reasoning)(zoo_event_stream *stream, uint32_t row, const char *text, size_t n);
    void (*content)(zoo_event_stream *stream, uint32_t row, const char *text, size_t n);
    void (*call)(zoo_event_stream *stream, uint32_t row, const cJSON *call);
    void (*finish)(zoo_event_stream *stream, const zoo_answer *answer, uint32_t row);
    /* answer null: the request failed, `why` is the reason. */
    void (*end)(zoo_event_stream *stream, const zoo_answer *answer, const char *why);
} zoo_event_writer;

/* What was sent of a row. */
typedef struct zoo_event_row {
    zoo_text text;                 /* generated so far */
    size_t n_content, n_reasoning; /* bytes sent */
    uint32_t n_calls;              /* sent */
    uint32_t n_logged;             /* tokens whose log-probabilities were sent */
} zoo_event_row;

/* The block of a message that a writer has begun and not ended. */
typedef struct zoo_event_block {
    char kind; /* 'r'easoning, 'c'ontent, 't'ool call, 0: none */
    uint32_t index;
    zoo_text text; /* sent so far */
} zoo_event_block;

struct zoo_event_stream {
    zoo_answer answer; /* request, id, model, format, ...; rows are null until the end */
    const zoo_event_writer *writer;
    const cJSON *echoed; /* members of the body that the answer repeats, or null */
    bool wants_usage;
    zoo_out out;         /* events not yet sent */
    zoo_event_row *rows; /* [n_rows] */
    uint32_t n_rows;
    const zoo_row *now; /* the row at hand with its tokens so far, or null */
    uint32_t n_events;  /* for writers that number events */
    zoo_event_block block;
    cJSON *items; /* for writers that repeat all items at the end */
    bool failed;  /* no memory: the stream ends with an error event */
};

/* Begins a stream whose writer, echoed and wants_usage are already set. answer has no rows yet; its
 * pointers must outlive the stream. False: no memory. */
bool zoo_stream_open(zoo_event_stream *stream, const zoo_answer *answer, uint32_t n_rows);
void zoo_stream_close(zoo_event_stream *stream);

/* Adds text[n] to a row; now: the row with its tokens so far, or null. */
void zoo_stream_text(zoo_event_stream *stream, uint32_t row, const char *text, size_t n,
                     const zoo_row *now);
/* Sends the rest of all rows, their ends, the usage if wanted, and the last event. answer null: the
 * request failed, error is the reason. */
void zoo_stream_end(zoo_event_stream *stream, const zoo_answer *answer, const zoo_error *error);

/* For writers: appends to a text; lack of memory sets stream->failed. */
void zoo_stream_add(zoo_event_stream *stream, zoo_text *text, const char *more, size_t n);

/* OpenAI's completions and chats. */
extern const zoo_event_writer zoo_event_writer_completions, zoo_event_writer_chat;

#endif
