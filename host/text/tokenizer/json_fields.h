/*
 * json_fields.h: reading JSON files of tokenizers with cJSON, strictly enough.
 *
 * cJSON cuts strings at U+0000, so the escape is rewritten to an unused noncharacter before parsing
 * and put back when a string is taken. Files must be UTF-8 without raw zero bytes. Object members
 * are walked, never looked up in large objects.
 */
#ifndef ZOO_TEXT_TOKENIZER_JSON_FIELDS_H
#define ZOO_TEXT_TOKENIZER_JSON_FIELDS_H

#include "text/tokenizer/tokenizer_private.h"

#include <cJSON.h>

typedef struct tok_json {
    zoo_tokenizer *t;
    const char *name; /* of the file, for messages */
    zoo_error *err;
    cJSON *root;
    uint32_t zero; /* the noncharacter that stands for U+0000, 0: none */
} tok_json;

/* Parses data[n] (changed in place; data[n] is 0). The caller frees with tok_json_close. */
zoo_status tok_json_open(tok_json *j, char *data, size_t n);
void tok_json_close(tok_json *j);

ZOO_PRINTF(2, 3)
zoo_status tok_json_fail(const tok_json *j, const char *fmt, ...);

/* The member, or null when it is absent or null. */
const cJSON *tok_json_get(const cJSON *object, const char *key);
/* A string copied into the tokenizer's pool. */
zoo_status tok_json_text(tok_json *j, const cJSON *item, const char *what, tok_str *out);
/* The same for a member; p is null when it is absent or null. */
zoo_status tok_json_text_at(tok_json *j, const cJSON *object, const char *key, tok_str *out);
zoo_status tok_json_flag_at(tok_json *j, const cJSON *object, const char *key, bool missing,
                            bool *out);
/* A whole number from 0 to max. */
zoo_status tok_json_number(tok_json *j, const cJSON *item, const char *what, uint32_t max,
                           uint32_t *out);
zoo_status tok_json_number_at(tok_json *j, const cJSON *object, const char *key, uint32_t missing,
                              uint32_t *out);
/* The `type` of a component, or "". */
const char *tok_json_type(const cJSON *object);

/* The components (load_parts.c, load_ends.c); null items mean none. */
zoo_status tok_load_norms(tok_json *j, const cJSON *item);
zoo_status tok_load_steps(tok_json *j, const cJSON *item);
zoo_status tok_load_decs(tok_json *j, const cJSON *item);
zoo_status tok_load_post(tok_json *j, const cJSON *item);
/* {"String": s} or {"Regex": s}. */
zoo_status tok_load_pattern(tok_json *j, const cJSON *item, tok_regex **out);

zoo_status tok_load_model(tok_json *j, const cJSON *item);
/* Base64 to bytes in place; the number of bytes, or SIZE_MAX when it is not base64. */
size_t tok_base64(char *p, size_t n);
/* The tokens that tokenizer_config.json lists in added_tokens_decoder: how many, and adding them at
 * their ids where they are not known yet. */
uint32_t tok_config_count_added(const zoo_tokenizer *t);
zoo_status tok_config_add_tokens(zoo_tokenizer *t, zoo_error *err);
/* The same for tokenizer.json, with added_tokens.json, roles and lists of special tokens
 * (load_added.c): how many at most, and adding them. */
uint32_t tok_config_count_extra(const zoo_tokenizer *t);
zoo_status tok_config_add_extra(tok_json *j);
/* The object of added_tokens.json, or null; only while a folder is being opened. */
const cJSON *tok_config_added(const zoo_tokenizer *t);
/* A member of tokenizer_config.json, or null; only while a folder is being opened. */
const cJSON *tok_config_get(const zoo_tokenizer *t, const char *key);
/* Adds one token as the reference numbers it; `stated` is the id that the file gives or ID_NONE. */
zoo_status tok_add_token(zoo_tokenizer *t, const tok_added_token *token, uint32_t stated,
                         const char *name, zoo_error *err);
/* Adds one token at a given id. */
zoo_status tok_add_token_at(zoo_tokenizer *t, const tok_added_token *token, uint32_t id,
                            const char *name, zoo_error *err);
/* Room for n added tokens. */
zoo_status tok_added_init(zoo_tokenizer *t, uint32_t n, zoo_error *err);

#endif
