/*
 * config.c: what a folder says about its tokenizer beside the tokenizer file.
 *
 * tokenizer_config.json names the special tokens by role, may say whether begin and end tokens are
 * added to a text, and lists added tokens, which formats without such a list need.
 * special_tokens_map.json fills roles that the former leaves open. A role may be a string or an
 * object with `content`.
 */
#include "base/mem.h"
#include "text/tokenizer/json_fields.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

struct tok_config {
    tok_json main, map, added;
    char main_path[4200], map_path[4200], added_path[4200];
    char *main_data, *map_data, *added_data;
};

static zoo_status open_one(tok_json *j, char **data, const char *path)
{
    struct stat info;
    size_t n;
    if (stat(path, &info) != 0) {
        return ZOO_OK;
    }
    ZOO_TRY(tok_read_file(path, data, &n, j->err));
    return tok_json_open(j, *data, n);
}

zoo_status tok_config_open(zoo_tokenizer *t, const char *folder, zoo_error *err)
{
    struct tok_config *c = zoo_mem_array(1, sizeof *c);
    if (!c) {
        return tok_no_memory(err);
    }
    t->config = c;
    (void)snprintf(c->main_path, sizeof c->main_path, "%.4000s/tokenizer_config.json", folder);
    (void)snprintf(c->map_path, sizeof c->map_path, "%.4000s/special_tokens_map.json", folder);
    (void)snprintf(c->added_path, sizeof c->added_path, "%.4000s/added_tokens.json", folder);
    c->added = (tok_json){.t = t, .name = c->added_path, .err = err};
    c->main = (tok_json){.t = t, .name = c->main_path, .err = err};
    c->map = (tok_json){.t = t, .name = c->map_path, .err = err};
    ZOO_TRY(open_one(&c->main, &c->main_data, c->main_path));
    ZOO_TRY(open_one(&c->added, &c->added_data, c->added_path));
    return open_one(&c->map, &c->map_data, c->map_path);
}

void tok_config_close(zoo_tokenizer *t)
{
    if (t->config) {
        tok_json_close(&t->config->main);
        tok_json_close(&t->config->map);
        tok_json_close(&t->config->added);
        zoo_mem_free(t->config->added_data);
        zoo_mem_free(t->config->main_data);
        zoo_mem_free(t->config->map_data);
        zoo_mem_free(t->config);
        t->config = NULL;
    }
}

const cJSON *tok_config_get(const zoo_tokenizer *t, const char *key)
{
    return t->config ? tok_json_get(t->config->main.root, key) : NULL;
}

const cJSON *tok_config_added(const zoo_tokenizer *t)
{
    return t->config ? t->config->added.root : NULL;
}

uint32_t tok_config_count_added(const zoo_tokenizer *t)
{
    const cJSON *list = tok_config_get(t, "added_tokens_decoder");
    uint32_t n = 0;
    for (const cJSON *item = list ? list->child : NULL; item && n < TOK_ID_MAX; item = item->next) {
        n++;
    }
    return n;
}

static zoo_status add_listed(tok_json *j, const cJSON *item)
{
    tok_added_token token = {0};
    char *end = NULL;
    unsigned long id = item->string ? strtoul(item->string, &end, 10) : ULONG_MAX;
    if (!end || *end || end == item->string || id >= TOK_ID_MAX) {
        return tok_json_fail(j, "added_tokens_decoder has a key that is not an id");
    }
    ZOO_TRY(tok_json_text(j, tok_json_get(item, "content"), "an added token's content",
                          &token.content));
    ZOO_TRY(tok_json_flag_at(j, item, "special", true, &token.special));
    ZOO_TRY(tok_json_flag_at(j, item, "single_word", false, &token.single_word));
    ZOO_TRY(tok_json_flag_at(j, item, "lstrip", false, &token.lstrip));
    ZOO_TRY(tok_json_flag_at(j, item, "rstrip", false, &token.rstrip));
    uint32_t known = zoo_tokenizer_id(j->t, token.content.p, token.content.n);
    if (!token.content.n || token.content.n > TOK_CONTENT_MAX ||
        (known != ZOO_ID_NONE && known != id)) {
        return tok_json_fail(j, "the added token \"%.80s\" is empty, too long or has another id",
                             token.content.p);
    }
    return tok_add_token_at(j->t, &token, (uint32_t)id, j->name, j->err);
}

zoo_status tok_config_add_tokens(zoo_tokenizer *t, zoo_error *err)
{
    const cJSON *list = tok_config_get(t, "added_tokens_decoder");
    (void)err;
    for (const cJSON *item = list ? list->child : NULL; item; item = item->next) {
        ZOO_TRY(add_listed(&t->config->main, item));
    }
    return ZOO_OK;
}

/* The spelling of a role in one file; p stays null when it is not there. */
static zoo_status role_in(tok_json *j, const char *key, tok_str *out)
{
    const cJSON *item = tok_json_get(j->root, key);
    if (cJSON_IsObject(item)) {
        item = tok_json_get(item, "content");
    }
    if (item && !cJSON_IsString(item)) {
        return tok_json_fail(j, "%s is neither a string nor an object with content", key);
    }
    return item ? tok_json_text(j, item, key, out) : ZOO_OK;
}

/* Whether the post-processor already puts the id before (or after) the text. */
static bool posts(const zoo_tokenizer *t, uint32_t id, bool before)
{
    bool seen = false, found = false;
    for (uint32_t i = 0; i < t->n_post; i++) {
        seen = seen || t->post[i] == ZOO_ID_NONE;
        found = found || (t->post[i] == id && seen != before);
    }
    return found;
}

/* Makes the begin (or end) token be added, or not, as an explicit flag says. */
static zoo_status apply_flag(zoo_tokenizer *t, zoo_special role, const char *key, zoo_error *err)
{
    const cJSON *flag = tok_config_get(t, key);
    uint32_t id = zoo_tokenizer_special(t, role), n = 0;
    bool before = role == ZOO_SPECIAL_BOS;
    if (!cJSON_IsBool(flag) || id == ZOO_ID_NONE || posts(t, id, before) == cJSON_IsTrue(flag)) {
        return ZOO_OK;
    }
    uint32_t *post = tok_pool_take(&t->pool, (TOK_STEPS_MAX + 3) * sizeof *post);
    if (!post) {
        return tok_no_memory(err);
    }
    if (cJSON_IsTrue(flag) && before) {
        post[n++] = id;
    }
    bool seen = false;
    for (uint32_t i = 0; i < t->n_post && i < TOK_STEPS_MAX; i++) {
        seen = seen || t->post[i] == ZOO_ID_NONE;
        if (cJSON_IsTrue(flag) || t->post[i] != id || seen == before) {
            post[n++] = t->post[i];
        }
    }
    if (!t->n_post) {
        post[n++] = ZOO_ID_NONE;
    }
    if (cJSON_IsTrue(flag) && !before) {
        post[n++] = id;
    }
    t->post = post;
    t->n_post = n;
    return ZOO_OK;
}

zoo_status tok_config_apply(zoo_tokenizer *t, zoo_error *err)
{
    static const char *const keys[ZOO_SPECIAL_COUNT] = {"bos_token", "eos_token", "pad_token",
                                                        "unk_token"};
    for (size_t i = 0; i < ZOO_SPECIAL_COUNT; i++) {
        ZOO_TRY(role_in(&t->config->main, keys[i], &t->roles[i]));
        if (!t->roles[i].p) {
            ZOO_TRY(role_in(&t->config->map, keys[i], &t->roles[i]));
        }
    }
    ZOO_TRY(apply_flag(t, ZOO_SPECIAL_BOS, "add_bos_token", err));
    return apply_flag(t, ZOO_SPECIAL_EOS, "add_eos_token", err);
}
