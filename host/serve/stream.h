/*
 * stream.h: an answer as server-sent events, while it is written.
 *
 *   pieces of text of each row -> parts of a message -> events of a dialect, in one growing buffer
 *
 * A completion's part is its text. A chat's text is taken apart again with each piece, as far as
 * what follows cannot change its meaning: reasoning and content as they grow, a tool call when it
 * is whole. The parts of a stream, joined, are the message that the answer without a stream has.
 * How parts are put into events is the voice of a dialect (dialect.h).
 *
 * Not thread-safe: its owner locks.
 */
#ifndef ZOO_SERVE_STREAM_H
#define ZOO_SERVE_STREAM_H

#include "base/json_writer.h"
#include "batch/result.h"

typedef struct zoo_event_stream zoo_event_stream;

/* The calls of a stream, in this order; row < n_rows. */
typedef struct zoo_voice {
    void (*begin)(zoo_event_stream *stream); /* or null */
    void (*reasoning)(zoo_event_stream *stream, uint32_t row, const char *text, size_t n);
    void (*content)(zoo_event_stream *stream, uint32_t row, const char *text, size_t n);
    void (*call)(zoo_event_stream *stream, uint32_t row, const cJSON *call);
    void (*finish)(zoo_event_stream *stream, const zoo_answer *answer, uint32_t row);
    /* answer null: the request failed, why says how. */
    void (*end)(zoo_event_stream *stream, const zoo_answer *answer, const char *why);
} zoo_voice;

/* What was sent of a row. */
typedef struct zoo_event_row {
    zoo_text text;                 /* so far; as the row's, growing */
    size_t n_content, n_reasoning; /* bytes sent */
    uint32_t n_calls;              /* sent */
    uint32_t n_logged;             /* tokens whose log-probabilities were sent */
    bool has_role;
} zoo_event_row;

/* The block of a message that a voice has begun and not ended. */
typedef struct zoo_event_block {
    char kind; /* 'r'easoning, 'c'ontent, 't'ool call, 0: none */
    uint32_t index;
    zoo_text text; /* of it */
} zoo_event_block;

struct zoo_event_stream {
    zoo_answer answer; /* request, id, model, format, ...; rows are null until the end */
    const zoo_voice *voice;
    const cJSON *asked; /* what the answer repeats of the body; or null */
    bool wants_usage;
    zoo_out out;         /* events, from the first byte on */
    zoo_event_row *rows; /* [n_rows] */
    uint32_t n_rows;
    const zoo_row *now; /* the row at hand, whose tokens are known; or null */
    uint32_t n_events;  /* for voices that number them */
    zoo_event_block block;
    cJSON *items; /* for voices that repeat them at the end */
    bool failed;  /* no memory: the stream ends with an error event */
};

/* answer without rows; its pointers must live as long as the stream. Voice, asked and wants_usage
 * are set by the caller before. False: no memory. */
bool zoo_stream_open(zoo_event_stream *stream, const zoo_answer *answer, uint32_t n_rows);
void zoo_stream_close(zoo_event_stream *stream);

/* More text of a row; now: as far as it is written, or null. */
void zoo_stream_text(zoo_event_stream *stream, uint32_t row, const char *text, size_t n,
                     const zoo_row *now);
/* What is left of all rows, their ends, the usage where it is wanted, and the last event. answer:
 * null when the request failed; error says why. */
void zoo_stream_end(zoo_event_stream *stream, const zoo_answer *answer, const zoo_error *error);

/* For voices: appends to a text; no memory is noted in the stream. */
void zoo_stream_add(zoo_event_stream *stream, zoo_text *text, const char *more, size_t n);

/* OpenAI's completions and chats. */
extern const zoo_voice zoo_voice_completions, zoo_voice_chat;

#endif
