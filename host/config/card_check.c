/*
 * card_check.c: the checks, member by member (card_check.h).
 *
 * A key counts as read if the plugin has read it (claimed it), lists it, or the class or the
 * model's code reads it. Keys that this config does not use, such as those of experts in a dense
 * release, are known to one of these; a misspelt key to none.
 */
#include "config/card_check.h"

#include <string.h>

#include "config/config_private.h"
#include "config/nearest.h"

typedef struct checked {
    const zoo_model_config *config;
    const zoo_plugin *plugin;
    const char *card;
} checked;

/* Whether the plugin has read the key or a member of it. */
static bool is_claimed(const zoo_model_config *c, const char *key)
{
    size_t n = strlen(key);
    for (uint32_t i = 0; i < c->n_claims; i++) {
        const char *claim = c->claims[i];
        if (strncmp(claim, key, n) == 0 && (!claim[n] || claim[n] == '.')) {
            return true;
        }
    }
    return false;
}

static bool is_listed(const zoo_plugin *plugin, const char *key)
{
    for (const zoo_key *k = plugin->keys; k && k->key; k++) {
        if (strcmp(k->key, key) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_of_class(const zoo_model_config *c, const char *key)
{
    char head[ZOO_CLASS_KEY_MAX];
    (void)snprintf(head, sizeof head, "%.*s", (int)strcspn(key, ".["), key);
    return c->class_json && zoo_attributes_reads(&c->attributes, head);
}

/* Whether an alias of the card maps a key that was read to this spelling. */
static bool is_spelling(const zoo_model_config *c, const char *key)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, zoo_card_part(c->card, "aliases"))
    {
        const cJSON *alias = cJSON_IsArray(item) ? item->child : item;
        for (; alias; alias = cJSON_IsArray(item) ? alias->next : NULL) {
            if (cJSON_IsString(alias) && strcmp(alias->valuestring, key) == 0 &&
                is_claimed(c, item->string)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_read(const checked *j, const char *key)
{
    return is_claimed(j->config, key) || is_listed(j->plugin, key) || is_of_class(j->config, key) ||
           is_spelling(j->config, key);
}

static void try_members(zoo_nearest *n, const cJSON *object)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object)
    {
        zoo_nearest_try(n, item->string);
    }
}

static void try_claims(zoo_nearest *n, const zoo_model_config *c)
{
    for (uint32_t i = 0; i < c->n_claims; i++) {
        if (c->claims[i][0] != '@') {
            zoo_nearest_try(n, c->claims[i]);
        }
    }
}

static void try_class(zoo_nearest *n, const zoo_model_config *c)
{
    static const char *const groups[] = {"keys", "inputs", "names", "parts"};
    for (size_t i = 0; i < ZOO_COUNT(groups); i++) {
        try_members(n, cJSON_GetObjectItemCaseSensitive(c->class_json, groups[i]));
    }
}

static zoo_status refuse_unread_name(const checked *j, const char *member, const char *key,
                                     zoo_error *err)
{
    zoo_nearest near = {.word = key};
    try_claims(&near, j->config);
    try_class(&near, j->config);
    return zoo_fail(err, ZOO_E_FORMAT,
                    "%s: \"%s\" names \"%.80s\", which neither plugin %s nor the reference reads; "
                    "did you mean \"%s\"?",
                    j->card, member, key, j->plugin->name, near.text);
}

static zoo_status check_keys(const checked *j, const char *member, zoo_problems *problems,
                             zoo_error *err)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, zoo_card_part(j->config->card, member))
    {
        if (!is_read(j, item->string)) {
            zoo_status status = refuse_unread_name(j, member, item->string, err);
            ZOO_TRY(zoo_problems_take(problems, status, err));
        }
    }
    return ZOO_OK;
}

/* Whether a spelling can be a key of the file: the class reads it, or the file has it. */
static bool is_of_file(const checked *j, const char *key)
{
    char head[ZOO_CLASS_KEY_MAX];
    (void)snprintf(head, sizeof head, "%.*s", (int)strcspn(key, ".["), key);
    return !j->config->class_json || is_of_class(j->config, key) ||
           cJSON_GetObjectItemCaseSensitive(j->config->text, head);
}

static zoo_status check_alias(const checked *j, const cJSON *item, zoo_error *err)
{
    if (!is_claimed(j->config, item->string) && !is_listed(j->plugin, item->string)) {
        zoo_nearest near = {.word = item->string};
        try_claims(&near, j->config);
        if (zoo_nearest_is_close(&near)) {
            return refuse_unread_name(j, "aliases", item->string, err);
        }
    }
    bool any = false, named = false;
    const char *last = "";
    const cJSON *alias = cJSON_IsArray(item) ? item->child : item;
    for (; alias; alias = cJSON_IsArray(item) ? alias->next : NULL) {
        last = cJSON_IsString(alias) ? alias->valuestring : "";
        any = any || is_of_file(j, last);
        named = true;
    }
    if (any || !named) {
        return ZOO_OK;
    }
    zoo_nearest near = {.word = last}; /* other files of the type may have it */
    try_class(&near, j->config);
    try_members(&near, j->config->text);
    return zoo_nearest_is_close(&near) ? refuse_unread_name(j, "aliases", last, err) : ZOO_OK;
}

static zoo_status check_aliases(const checked *j, zoo_problems *problems, zoo_error *err)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, zoo_card_part(j->config->card, "aliases"))
    {
        ZOO_TRY(zoo_problems_take(problems, check_alias(j, item, err), err));
    }
    return ZOO_OK;
}

/* An ignored key may be absent from this file; but one that is similar to a key of the file is a
 * misspelling of it. */
static zoo_status check_ignored(const checked *j, zoo_problems *problems, zoo_error *err)
{
    const cJSON *ignored = zoo_card_part(j->config->card, "ignored"), *item = NULL, *key = NULL;
    cJSON_ArrayForEach(item, ignored)
    {
        if (cJSON_GetObjectItemCaseSensitive(j->config->text, item->string) ||
            is_read(j, item->string)) {
            continue;
        }
        zoo_nearest near = {.word = item->string};
        cJSON_ArrayForEach(key, j->config->text)
        {
            bool said = cJSON_GetObjectItemCaseSensitive(ignored, key->string);
            bool counts =
                !j->config->class_json || zoo_attributes_reads(&j->config->attributes, key->string);
            if (!said && counts && !zoo_config_name_is_harmless(key->string)) {
                zoo_nearest_try(&near, key->string);
            }
        }
        if (zoo_nearest_is_close(&near)) {
            zoo_status status = zoo_fail(
                err, ZOO_E_FORMAT,
                "%s: \"ignored\" names \"%.80s\", which is no key of %s; did you mean \"%s\"?",
                j->card, item->string, j->config->path, near.text);
            ZOO_TRY(zoo_problems_take(problems, status, err));
        }
    }
    return ZOO_OK;
}

/* The value of a key of "must": the class's attribute, or the file's. */
static const cJSON *value_at(const zoo_model_config *c, const char *key)
{
    return c->class_json ? zoo_attributes_get(&c->attributes, key)
                         : cJSON_GetObjectItemCaseSensitive(c->text, key);
}

/* Refuses values that the plugin supports but the reference's code of this type does not. */
static zoo_status check_must(const checked *j, zoo_problems *problems, zoo_error *err)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, zoo_card_part(j->config->card, "must"))
    {
        const cJSON *value = value_at(j->config, item->string);
        const cJSON *is = cJSON_GetObjectItemCaseSensitive(item, "is");
        if (!is_read(j, item->string)) {
            ZOO_TRY(
                zoo_problems_take(problems, refuse_unread_name(j, "must", item->string, err), err));
        } else if (value && !zoo_card_is(is, value)) {
            char *found = cJSON_PrintUnformatted(value), *wanted = cJSON_PrintUnformatted(is);
            zoo_status status =
                zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" is %.80s, it must be %.80s: %s",
                         j->config->path, item->string, found ? found : "", wanted ? wanted : "",
                         cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "why")));
            cJSON_free(found);
            cJSON_free(wanted);
            ZOO_TRY(zoo_problems_take(problems, status, err));
        }
    }
    return ZOO_OK;
}

zoo_status zoo_card_check(const zoo_model_config *config, const zoo_plugin *plugin,
                          zoo_problems *problems, zoo_error *err)
{
    if (!config->card) {
        return ZOO_OK;
    }
    const checked j = {.config = config, .plugin = plugin, .card = config->card->path};
    ZOO_TRY(check_keys(&j, "defaults", problems, err));
    ZOO_TRY(check_keys(&j, "fixed", problems, err));
    ZOO_TRY(check_aliases(&j, problems, err));
    ZOO_TRY(check_must(&j, problems, err));
    return check_ignored(&j, problems, err);
}
