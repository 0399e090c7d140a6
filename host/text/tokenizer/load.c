/*
 * load.c: tokenizer.json: the top level and the added tokens.
 */
#include "text/tokenizer/json_fields.h"

static zoo_status load_added_token(tok_json *j, const cJSON *item)
{
    tok_added_token token = {0};
    uint32_t stated;
    if (!cJSON_IsObject(item)) {
        return tok_json_fail(j, "an added token is not an object");
    }
    ZOO_TRY(tok_json_text(j, tok_json_get(item, "content"), "an added token's content",
                          &token.content));
    ZOO_TRY(tok_json_number_at(j, item, "id", ZOO_ID_NONE, &stated));
    ZOO_TRY(tok_json_flag_at(j, item, "special", false, &token.special));
    ZOO_TRY(tok_json_flag_at(j, item, "normalized", !token.special, &token.normalized));
    ZOO_TRY(tok_json_flag_at(j, item, "single_word", false, &token.single_word));
    ZOO_TRY(tok_json_flag_at(j, item, "lstrip", false, &token.lstrip));
    ZOO_TRY(tok_json_flag_at(j, item, "rstrip", false, &token.rstrip));
    return tok_add_token(j->t, &token, stated, j->name, j->err);
}

/* The number of items of an array; refuses other values and absurd counts. */
static zoo_status count_items(tok_json *j, const cJSON *array, const char *what, uint32_t *n)
{
    *n = 0;
    if (array && !cJSON_IsArray(array)) {
        return tok_json_fail(j, "%s is not an array", what);
    }
    for (const cJSON *item = array ? array->child : NULL; item; item = item->next) {
        if (++*n >= TOK_ID_MAX) {
            return tok_json_fail(j, "%s has more than 2^24 items", what);
        }
    }
    return ZOO_OK;
}

static zoo_status load_added(tok_json *j)
{
    const cJSON *array = tok_json_get(j->root, "added_tokens");
    uint32_t n;
    ZOO_TRY(count_items(j, array, "added_tokens", &n));
    ZOO_TRY(tok_added_init(j->t, n + tok_config_count_extra(j->t), j->err));
    for (const cJSON *item = array ? array->child : NULL; item; item = item->next) {
        ZOO_TRY(load_added_token(j, item));
    }
    return tok_config_add_extra(j);
}

static zoo_status load_top(tok_json *j)
{
    const cJSON *version = tok_json_get(j->root, "version");
    if (version && !(cJSON_IsString(version) && strcmp(version->valuestring, "1.0") == 0)) {
        return tok_json_fail(j, "its version is not \"1.0\"");
    }
    ZOO_TRY(tok_load_model(j, tok_json_get(j->root, "model")));
    ZOO_TRY(tok_load_norms(j, tok_json_get(j->root, "normalizer")));
    ZOO_TRY(tok_load_steps(j, tok_json_get(j->root, "pre_tokenizer")));
    ZOO_TRY(load_added(j));
    ZOO_TRY(tok_load_post(j, tok_json_get(j->root, "post_processor")));
    ZOO_TRY(tok_load_decs(j, tok_json_get(j->root, "decoder")));
    if (tok_json_get(j->root, "truncation")) {
        tok_add_note(j->t, "The tokenizer file asks for truncation, which is not applied.");
    }
    if (tok_json_get(j->root, "padding")) {
        tok_add_note(j->t, "The tokenizer file asks for padding, which is not applied.");
    }
    return ZOO_OK;
}

zoo_status tok_load_json(zoo_tokenizer *t, const char *name, char *data, size_t n, zoo_error *err)
{
    tok_json j = {.t = t, .name = name, .err = err};
    zoo_status status = tok_json_open(&j, data, n);
    status = status == ZOO_OK ? load_top(&j) : status;
    tok_json_close(&j);
    return status == ZOO_OK ? tok_finish(t, err) : status;
}
