/*
 * dialect.h: chat interfaces other than OpenAI's: a body is translated into that of
 * /v1/chat/completions, and the answer written in the interface's own shape.
 *
 *   body -> read -> body of a chat -> (batch/request.h, live queue) -> answer | events (writer)
 *
 * A key without a counterpart in a chat is refused by name. Members of the body that the answer
 * repeats are kept in `echoed`.
 */
#ifndef ZOO_SERVE_DIALECT_H
#define ZOO_SERVE_DIALECT_H

#include "serve/stream.h"

/* A body being translated; the caller frees body, chat and echoed. */
typedef struct zoo_translation {
    cJSON *body;    /* as received; read removes the members that it understands */
    cJSON *chat;    /* the resulting body of /v1/chat/completions */
    cJSON *echoed;  /* members that the answer repeats, or null */
    char param[64]; /* the key that a refusal is about, or "" */
} zoo_translation;

typedef struct zoo_dialect {
    /* Translates the body. ZOO_E_USAGE, ZOO_E_UNSUPPORTED, ZOO_E_MEMORY. Null: nothing to
     * translate. */
    zoo_status (*read)(zoo_translation *t, zoo_error *err);
    /* Writes the body of an answer that is not streamed. */
    void (*answer)(zoo_out *out, const zoo_answer *answer, const cJSON *echoed);
    /* Writes an error body; code and param may be null. */
    void (*error)(zoo_out *out, const char *type, const char *code, const char *param,
                  const char *message);
    const zoo_event_writer *writer; /* of streamed answers */
} zoo_dialect;

extern const zoo_dialect zoo_dialect_completions, zoo_dialect_chat;
extern const zoo_dialect zoo_dialect_messages;  /* Anthropic's Messages API */
extern const zoo_dialect zoo_dialect_responses; /* OpenAI's Responses API */

/* ---- for dialects (dialect.c) ---- */

/* Fails with `code` and names the key of the body in t->param. */
zoo_status zoo_translation_refuse(zoo_translation *t, const char *key, zoo_status code,
                                  zoo_error *err, const char *format, ...) ZOO_PRINTF(5, 6);
/* Detaches a member of the body, the caller's; null: it is null or absent. */
cJSON *zoo_translation_take(zoo_translation *t, const char *key);
/* Moves member `from` of the body to member `to` of the chat, if it is there. ZOO_E_MEMORY. */
zoo_status zoo_translation_move(zoo_translation *t, const char *from, const char *to,
                                zoo_error *err);
/* Whether the member of the object is this text. */
bool zoo_text_is(const cJSON *object, const char *key, const char *text);
/* The text of a member, or null. */
const char *zoo_text_at(const cJSON *object, const char *key);
/* Adds item to the object, or to the array when key is null; takes it over. False: no memory, or
 * object or item null. */
bool zoo_put(cJSON *object, const char *key, cJSON *item);
/* Refuses the first member that is left in the body: read knew none of them. */
zoo_status zoo_translation_end(zoo_translation *t, zoo_error *err);

/* Prompt, output and cached tokens of an answer. */
typedef struct zoo_usage {
    uint64_t n_prompt, n_out, n_cached;
} zoo_usage;
zoo_usage zoo_usage_of(const zoo_answer *answer);

/* Writes `"key":"text"`. */
void zoo_put_text(zoo_out *out, const char *key, const char *text);

#endif
