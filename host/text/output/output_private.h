/*
 * output_private.h: what the files of the output parser share.
 */
#ifndef ZOO_TEXT_OUTPUT_OUTPUT_PRIVATE_H
#define ZOO_TEXT_OUTPUT_OUTPUT_PRIVATE_H

#include "text/output/output.h"

/* A piece of somebody else's text; s null: not given. */
typedef struct zoo_piece {
    const char *s;
    size_t n;
} zoo_piece;

#define ZOO_MARKS_MAX 16

typedef struct zoo_marks {
    zoo_piece at[ZOO_MARKS_MAX];
    size_t n;
} zoo_marks;

typedef struct zoo_reasoning_marks {
    zoo_piece open, close;
    bool implicit;
} zoo_reasoning_marks;

typedef struct zoo_channel_marks {
    bool given;
    zoo_piece start, channel, message, recipient, recipient_prefix, role, constrain;
    zoo_marks ends, reasoning, content;
} zoo_channel_marks;

typedef enum zoo_call_shape {
    ZOO_CALL_JSON,
    ZOO_CALL_NAMED,
    ZOO_CALL_TAGGED,
    ZOO_CALL_LOOSE
} zoo_call_shape;

typedef struct zoo_call_marks {
    zoo_call_shape shape;
    zoo_piece begin, end, skip, separator, close, id, prefix, quote, string_mark;
    zoo_piece function_begin, function_name_end, function_open_end, function_end;
    zoo_piece parameter_begin, parameter_name_end, parameter_open_end, parameter_end;
    zoo_marks name, arguments;
} zoo_call_marks;

struct zoo_output_format {
    cJSON *spec; /* owns the text of all pieces */
    char *name;
    zoo_reasoning_marks reasoning[ZOO_MARKS_MAX];
    size_t n_reasoning;
    zoo_channel_marks channels;
    zoo_call_marks tools[ZOO_MARKS_MAX];
    size_t n_tools;
    size_t written; /* the one of tools that the model is made to write */
    zoo_marks when, drop, section;
};

/* Bare JSON with name and arguments: what a model is made to write whose format has no calls. */
extern const zoo_call_marks zoo_calls_bare;

/* Whether a model of the format is made to write calls as zoo_calls_bare says; f null: yes. */
bool zoo_calls_are_bare(const zoo_output_format *f);

/* Growable bytes; failed says that an allocation did, and nothing is added after that. */
typedef struct zoo_bytes {
    char *s;
    size_t n, capacity;
    bool failed;
} zoo_bytes;

void zoo_bytes_add(zoo_bytes *b, const char *s, size_t n);
void zoo_bytes_piece(zoo_bytes *b, zoo_piece p);
void zoo_bytes_free(zoo_bytes *b);
/* Appends s as a JSON string with its quotes. */
void zoo_bytes_quote(zoo_bytes *b, zoo_piece p);

bool zoo_piece_starts(zoo_piece p, zoo_piece with);
bool zoo_piece_is(zoo_piece p, const char *text);
/* Offset of the mark in p from `from` on, or SIZE_MAX. An empty mark is never found. */
size_t zoo_piece_find(zoo_piece p, zoo_piece mark, size_t from);
zoo_piece zoo_piece_sub(zoo_piece p, size_t begin, size_t end);
/* Without white space (ASCII) at both ends. */
zoo_piece zoo_piece_trim(zoo_piece p);

/* Bytes of the JSON value at the start of p (after white space), 0 when there is no whole one. */
size_t zoo_json_extent(zoo_piece p);
/* The value of a key of the JSON object that p is; false when it has none. */
bool zoo_json_member(zoo_piece object, zoo_piece key, zoo_piece *value);

/* Calls found so far; message is where they go. */
typedef struct zoo_calls {
    cJSON *list; /* null until the first */
    const cJSON *tools;
    zoo_piece text; /* the whole output: ids are made from it */
    bool failed;    /* no memory */
} zoo_calls;

/* arguments: JSON text of an object (a string holding one is unwrapped). False: not added. */
bool zoo_calls_add(zoo_calls *calls, zoo_piece name, zoo_piece arguments, zoo_piece id);
bool zoo_calls_know(const zoo_calls *calls, zoo_piece name);

/* The answer with its calls taken out into calls, appended to rest. */
void zoo_calls_parse(const zoo_output_format *f, zoo_piece answer, zoo_calls *calls,
                     zoo_bytes *rest);
/* The text as JSON calls without marks; false: it is something else. */
bool zoo_calls_take_bare(const zoo_call_marks *m, zoo_piece answer, zoo_calls *calls);
/* One call, or one list of calls, that begins at text (after the begin mark):
 * bytes used, 0: none. */
size_t zoo_call_tagged(const zoo_call_marks *m, zoo_piece text, zoo_calls *calls);
size_t zoo_call_loose(const zoo_call_marks *m, zoo_piece text, zoo_calls *calls);

#endif
