/*
 * dialect.h: interfaces that carry a chat in other words: read into the body of
 * /v1/chat/completions, answered in their own shape.
 *
 *   body -> read -> body of a chat -> (batch/request.h, live queue) -> answer | voice
 *
 * What a body says and a chat has no word for is refused by name. What the answer repeats of the
 * body is kept in `asked`.
 */
#ifndef ZOO_SERVE_DIALECT_H
#define ZOO_SERVE_DIALECT_H

#include "serve/stream.h"

/* A body on its way; the caller frees chat and asked. */
typedef struct zoo_translation {
    cJSON *body;    /* what came; read takes apart what it needs */
    cJSON *chat;    /* the body of a chat */
    cJSON *asked;   /* what the answer repeats; or null */
    char param[64]; /* the key that a refusal is about, or "" */
} zoo_translation;

typedef struct zoo_dialect {
    /* ZOO_E_USAGE, ZOO_E_UNSUPPORTED, ZOO_E_MEMORY. Null: the body is a chat's or completion's. */
    zoo_status (*read)(zoo_translation *t, zoo_error *err);
    /* The body of the answer without a stream. */
    void (*answer)(zoo_out *out, const zoo_answer *answer, const cJSON *asked);
    void (*error)(zoo_out *out, const char *type, const char *code, const char *param,
                  const char *message);
    const zoo_voice *voice;
} zoo_dialect;

extern const zoo_dialect zoo_dialect_completions, zoo_dialect_chat;
extern const zoo_dialect zoo_dialect_messages;  /* Anthropic's */
extern const zoo_dialect zoo_dialect_responses; /* OpenAI's newer one */

/* ---- for dialects (dialect.c) ---- */

zoo_status zoo_translation_refuse(zoo_translation *t, const char *key, zoo_status code,
                                  zoo_error *err, const char *format, ...) ZOO_PRINTF(5, 6);
/* Takes a member of the body out; null and absent are null. */
cJSON *zoo_translation_take(zoo_translation *t, const char *key);
/* Moves a member of the body to the chat under another name. ZOO_E_MEMORY. */
zoo_status zoo_translation_move(zoo_translation *t, const char *from, const char *to,
                                zoo_error *err);
/* Whether the member of the object is this text. */
bool zoo_says(const cJSON *object, const char *key, const char *text);
/* The text of a member, or null. */
const char *zoo_text_at(const cJSON *object, const char *key);
/* Adds item to the object, or deletes it; false: no memory (item null, too). */
bool zoo_put(cJSON *object, const char *key, cJSON *item);
/* What is left in the body is not known: refuses the first. */
zoo_status zoo_translation_end(zoo_translation *t, zoo_error *err);

/* Prompt, output and cached tokens of an answer. */
typedef struct zoo_usage {
    uint64_t n_prompt, n_out, n_cached;
} zoo_usage;
zoo_usage zoo_usage_of(const zoo_answer *answer);

/* Writes `"key":"text"`. */
void zoo_put_text(zoo_out *out, const char *key, const char *text);

#endif
