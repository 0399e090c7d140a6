/*
 * load_added.c: added tokens that the files beside tokenizer.json list, as the reference adds them.
 *
 * In this order: added_tokens_decoder of tokenizer_config.json by rising id (without it
 * added_tokens.json), the special tokens by role, extra_special_tokens. A token that the tokenizer
 * has with the same flags stays; one with other flags gets those listed here; a new one gets the id
 * that is next, whatever the list says, and a note when the two differ.
 * Source: transformers 5, tokenization_utils_tokenizers.py; tokenizers, AddedVocabulary.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/tokenizer/json_fields.h"

typedef struct listed {
    tok_added_token token;
    unsigned long id;
} listed;

static int by_id(const void *a, const void *b)
{
    const listed *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static zoo_status read_listed(tok_json *j, const cJSON *item, const char *key, listed *out)
{
    char *end = NULL;
    out->id = key ? strtoul(key, &end, 10) : TOK_ID_MAX;
    if (!end || *end || end == key || out->id >= TOK_ID_MAX) {
        return tok_json_fail(j, "added_tokens_decoder has a key that is not an id");
    }
    ZOO_TRY(tok_json_text(j, tok_json_get(item, "content"), "an added token's content",
                          &out->token.content));
    ZOO_TRY(tok_json_flag_at(j, item, "special", false, &out->token.special));
    ZOO_TRY(tok_json_flag_at(j, item, "normalized", !out->token.special, &out->token.normalized));
    ZOO_TRY(tok_json_flag_at(j, item, "single_word", false, &out->token.single_word));
    ZOO_TRY(tok_json_flag_at(j, item, "lstrip", false, &out->token.lstrip));
    return tok_json_flag_at(j, item, "rstrip", false, &out->token.rstrip);
}

static const tok_added_token *known(const zoo_tokenizer *t, tok_str content)
{
    uint32_t index = tok_vocab_find(&t->added.by_text, content.p, content.n);
    return index == ZOO_ID_NONE ? NULL : &t->added.tokens[index];
}

static bool is_same(const tok_added_token *a, const tok_added_token *b)
{
    return a->special == b->special && a->normalized == b->normalized &&
           a->single_word == b->single_word && a->lstrip == b->lstrip && a->rstrip == b->rstrip;
}

/* listed id ZOO_ID_NONE: none is said. */
static zoo_status add(tok_json *j, const tok_added_token *token, uint32_t id)
{
    const tok_added_token *old = known(j->t, token->content);
    if (!token->content.n || (old && is_same(old, token))) {
        return ZOO_OK;
    }
    ZOO_TRY(tok_add_token(j->t, token, ZOO_ID_NONE, j->name, j->err));
    const tok_added_token *fresh = known(j->t, token->content);
    if (id != ZOO_ID_NONE && fresh && fresh->id != id) {
        tok_add_warning(j->t, "An added token is listed with another id than it gets, which is the "
                              "next one, as in the reference.");
    }
    return ZOO_OK;
}

static zoo_status add_decoder(tok_json *j, const cJSON *list)
{
    size_t n = (size_t)cJSON_GetArraySize(list), i = 0;
    listed *items = zoo_mem_array(n + 1, sizeof *items);
    zoo_status status = items ? ZOO_OK : tok_no_memory(j->err);
    for (const cJSON *c = list->child; status == ZOO_OK && c; c = c->next, i++) {
        status = read_listed(j, c, c->string, &items[i]);
    }
    if (status == ZOO_OK) {
        qsort(items, n, sizeof *items, by_id);
    }
    for (i = 0; status == ZOO_OK && i < n; i++) {
        status = add(j, &items[i].token, (uint32_t)items[i].id);
    }
    zoo_mem_free(items);
    return status;
}

/* A token given as a string, or as an object with content and flags. */
static zoo_status add_special(tok_json *j, const cJSON *item, bool only_new)
{
    tok_added_token token = {.special = true};
    bool is_object = cJSON_IsObject(item);
    const cJSON *content = is_object ? tok_json_get(item, "content") : item;
    if (!cJSON_IsString(content)) {
        return ZOO_OK;
    }
    ZOO_TRY(tok_json_text(j, content, "a special token", &token.content));
    if (is_object) {
        ZOO_TRY(tok_json_flag_at(j, item, "normalized", false, &token.normalized));
        ZOO_TRY(tok_json_flag_at(j, item, "single_word", false, &token.single_word));
        ZOO_TRY(tok_json_flag_at(j, item, "lstrip", false, &token.lstrip));
        ZOO_TRY(tok_json_flag_at(j, item, "rstrip", false, &token.rstrip));
    }
    return only_new && known(j->t, token.content) ? ZOO_OK : add(j, &token, ZOO_ID_NONE);
}

/* {"content": id}; special where a role or a list says so, which come afterwards. */
static zoo_status add_file(tok_json *j, const cJSON *file)
{
    for (const cJSON *c = file->child; c; c = c->next) {
        double id = cJSON_IsNumber(c) ? c->valuedouble : -1.0;
        cJSON text = {.type = cJSON_String, .valuestring = c->string};
        tok_added_token token = {.normalized = true};
        if (!(id >= 0.0 && id < (double)TOK_ID_MAX)) {
            return tok_json_fail(j, "added_tokens.json has a value that is not an id");
        }
        ZOO_TRY(tok_json_text(j, &text, "an added token", &token.content));
        if (!known(j->t, token.content)) {
            ZOO_TRY(add(j, &token, (uint32_t)id));
        }
    }
    return ZOO_OK;
}

static const char *const roles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                    "pad_token", "cls_token", "mask_token"};
static const char *const lists[] = {"extra_special_tokens", "additional_special_tokens"};

uint32_t tok_config_count_extra(const zoo_tokenizer *t)
{
    int n = (int)ZOO_COUNT(roles) + cJSON_GetArraySize(tok_config_get(t, "added_tokens_decoder")) +
            cJSON_GetArraySize(tok_config_added(t));
    for (size_t i = 0; i < ZOO_COUNT(lists); i++) {
        n += cJSON_GetArraySize(tok_config_get(t, lists[i]));
    }
    return (uint32_t)n;
}

zoo_status tok_config_add_extra(tok_json *j)
{
    const cJSON *decoder = tok_config_get(j->t, "added_tokens_decoder");
    const cJSON *file = tok_config_added(j->t);
    if (cJSON_IsObject(decoder)) {
        ZOO_TRY(add_decoder(j, decoder));
    } else if (cJSON_IsObject(file)) {
        ZOO_TRY(add_file(j, file));
    }
    for (size_t i = 0; i < ZOO_COUNT(roles); i++) {
        ZOO_TRY(add_special(j, tok_config_get(j->t, roles[i]), true));
    }
    for (size_t i = 0; i < ZOO_COUNT(lists); i++) {
        const cJSON *list = tok_config_get(j->t, lists[i]);
        for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
            ZOO_TRY(add_special(j, c, true));
        }
    }
    return ZOO_OK;
}
