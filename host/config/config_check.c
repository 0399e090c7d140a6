/*
 * config_check.c: checks after configure that every leaf of config.json is claimed and that the
 * rules of claimed keys hold.
 *
 * Harmless keys (config_harmless.c), nulls and empty lists and objects are not checked.
 */
#include <string.h>

#include "base/mem.h"
#include "config/config_private.h"

typedef struct config_check {
    zoo_model_config *config;
    const zoo_plugin *plugin;
    const char *const *allowed;
    zoo_key_fn *report;
    void *arg;
    zoo_error *err;
    bool strict, refused;
} config_check;

static bool in_list(const char *const *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n && list[i]; i++) {
        if (strcmp(list[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static const zoo_key *find_key(const zoo_plugin *plugin, const char *path)
{
    for (const zoo_key *key = plugin->keys; key && key->key; key++) {
        if (strcmp(key->key, path) == 0) {
            return key;
        }
    }
    return NULL;
}

/* True if `text` is one of the '|'-separated words of `list`. */
static bool is_one_of(const char *list, const char *text)
{
    size_t n = strlen(text);
    for (const char *p = list; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        if (strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == '\0')) {
            return true;
        }
    }
    return false;
}

static zoo_status refuse_value(config_check *j, const char *path, const zoo_key *key,
                               const char *note, const char *value)
{
    if (key && key->rule == ZOO_KEY_IS && !is_one_of(key->note, value)) {
        return zoo_fail(j->err, ZOO_E_CONFIG, "%s: \"%s\" is %s; plugin %s computes only %s",
                        j->config->path, path, value, j->plugin->name, key->note);
    }
    bool claimed =
        zoo_config_is_claimed(j->config, path) || note || (key && key->rule == ZOO_KEY_IS);
    if (!note && key && key->rule == ZOO_KEY_IGNORED) {
        claimed = true;
        note = key->note ? key->note : "the reference does not read it";
    }
    if (j->report) {
        if (!claimed || (note && !zoo_config_is_claimed(j->config, path))) {
            j->report(j->arg, path, value, claimed ? note : NULL);
        }
        return ZOO_OK;
    }
    if (claimed || in_list(j->allowed, j->allowed ? SIZE_MAX : 0, path)) {
        return ZOO_OK;
    }
    if (!j->config->card) {
        return zoo_fail(j->err, ZOO_E_CONFIG,
                        "%s: \"%s\" is %s, which plugin %s does not know, and no card names "
                        "model_type \"%s\" (--allow-unknown %s overrides)",
                        j->config->path, path, value, j->plugin->name, j->config->model_type, path);
    }
    return zoo_fail(
        j->err, ZOO_E_CONFIG,
        "%s: \"%s\" is %s, which neither plugin %s nor a card knows (--allow-unknown %s overrides)",
        j->config->path, path, value, j->plugin->name, path);
}

static zoo_status check_value(config_check *j, const char *path, const zoo_key *key,
                              const char *note, const char *value)
{
    zoo_problems *problems = j->report ? NULL : j->config->problems;
    return zoo_problems_take(problems, refuse_value(j, path, key, note, value), j->err);
}

static zoo_status check_leaf(config_check *j, const char *path, const cJSON *item)
{
    if (cJSON_IsNull(item) || ((cJSON_IsArray(item) || cJSON_IsObject(item)) && !item->child)) {
        return ZOO_OK;
    }
    char *value = cJSON_PrintUnformatted(item);
    if (!value) {
        return zoo_fail(j->err, ZOO_E_MEMORY, "%s: out of memory", j->config->path);
    }
    if (strlen(value) > 80) {
        memcpy(value + 76, "...", 4);
    }
    zoo_status status = check_value(j, path, find_key(j->plugin, path),
                                    zoo_card_remark(j->config->card, path, item), value);
    cJSON_free(value);
    return status;
}

static bool is_known_object(const config_check *j, const char *path)
{
    const cJSON *ignored = zoo_card_part(j->config->card, "ignored");
    const zoo_key *key = find_key(j->plugin, path);
    return cJSON_GetObjectItemCaseSensitive(ignored, path) || (key && key->rule != ZOO_KEY_READ);
}

static zoo_status check_object(config_check *j, const char *prefix, const cJSON *object)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object)
    {
        char path[256];
        if (snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", item->string) >=
            (int)sizeof path) {
            return zoo_fail(j->err, ZOO_E_CONFIG, "%s: the key \"%.100s\" is too long",
                            j->config->path, path);
        }
        if (zoo_config_name_is_harmless(item->string)) {
            continue;
        }
        if (cJSON_IsObject(item) && !is_known_object(j, path)) {
            ZOO_TRY(check_object(j, path, item));
        } else {
            ZOO_TRY(check_leaf(j, path, item));
        }
    }
    return ZOO_OK;
}

/* Rotary parameters by layer type; types that no layer has are not checked. */
static zoo_status check_layer_types(config_check *j, const char *name, const cJSON *levels)
{
    const cJSON *level = NULL;
    cJSON_ArrayForEach(level, levels)
    {
        char path[256];
        (void)snprintf(path, sizeof path, "%s.%.100s.rope_type", name, level->string);
        if (zoo_config_is_claimed(j->config, path)) {
            (void)snprintf(path, sizeof path, "%s.%.100s", name, level->string);
            ZOO_TRY(check_object(j, path, level));
        }
    }
    return ZOO_OK;
}

/* A key of the file that the class reads: its attribute must be claimed, or be the default. */
static zoo_status check_attribute(config_check *j, const cJSON *given)
{
    const zoo_attributes *a = &j->config->attributes;
    const char *name = zoo_attributes_name(a, given->string);
    bool rope = strcmp(name, "rope_parameters") == 0 || strcmp(name, "rope_scaling") == 0;
    name = rope ? "rope_parameters" : name;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(a->set, name);
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(a->class_json, "keys");
    const cJSON *usual =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(keys, name), "default");
    if (!value || !zoo_attributes_model_reads(a, name) || cJSON_Compare(value, usual, true)) {
        return ZOO_OK;
    }
    if (rope && value->child && cJSON_IsObject(value->child)) {
        return check_layer_types(j, name, value);
    }
    return cJSON_IsObject(value) && !is_known_object(j, name) ? check_object(j, name, value)
                                                              : check_leaf(j, name, value);
}

static void refuse_unread(void *arg, const char *key, const char *value, const char *note)
{
    config_check *j = arg;
    bool own_code = cJSON_GetObjectItemCaseSensitive(j->config->json, "auto_map");
    if (note || j->refused || in_list(j->allowed, j->allowed ? SIZE_MAX : 0, key) ||
        !(own_code || j->strict)) {
        return;
    }
    zoo_status status =
        zoo_fail(j->err, ZOO_E_CONFIG,
                 "%s: \"%s\" is %.80s, which %s does not read%s (--allow-unknown %s overrides)",
                 j->config->path, key, value, zoo_model_config_class(j->config),
                 own_code ? ", and the file names code of its own (auto_map) that may" : "", key);
    j->refused = zoo_problems_take(j->config->problems, status, j->err) != ZOO_OK;
}

static void report_unread(void *arg, const char *key, const char *value, const char *note)
{
    const config_check *j = arg;
    j->report(j->arg, key, value, note ? note : "the reference does not read it");
}

/* Reports a key that only derivations read, or whose value one of them replaced. */
static void report_replaced(const config_check *j, const cJSON *given)
{
    const zoo_attributes *a = &j->config->attributes;
    const char *from = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(a->origins, zoo_attributes_name(a, given->string)));
    bool own = from && strncmp(from, "file: ", 6) == 0;
    if (zoo_attributes_reads(a, given->string) && !cJSON_IsNull(given) &&
        (!own || !zoo_attributes_model_reads(a, given->string))) {
        char *value = cJSON_PrintUnformatted(given);
        j->report(j->arg, given->string, value ? value : "",
                  own ? "only derivations of the class read it" : "the class replaces it");
        cJSON_free(value);
    }
}

/* The keys outside the text part that set attributes of it. */
static zoo_status check_outer(config_check *j)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, j->config->json)
    {
        const char *from = cJSON_GetStringValue(
            cJSON_GetObjectItemCaseSensitive(j->config->attributes.origins, item->string));
        if (from && strncmp(from, "file: ", 6) == 0 && strcmp(from + 6, item->string) == 0 &&
            !cJSON_GetObjectItemCaseSensitive(j->config->text, item->string)) {
            ZOO_TRY(check_attribute(j, item));
        }
    }
    return ZOO_OK;
}

static zoo_status check_class(config_check *j)
{
    const cJSON *item = NULL;
    zoo_model_config_unread(j->config, j->report ? report_unread : refuse_unread, j);
    cJSON_ArrayForEach(item, j->config->text)
    {
        if (j->report) {
            report_replaced(j, item);
        }
        if (!j->refused && !zoo_config_name_is_harmless(item->string) &&
            zoo_attributes_reads(&j->config->attributes, item->string)) {
            ZOO_TRY(check_attribute(j, item));
        }
    }
    if (!j->refused) {
        ZOO_TRY(check_outer(j));
    }
    return j->refused ? ZOO_E_CONFIG : ZOO_OK;
}

zoo_status zoo_model_config_check(zoo_model_config *config, const zoo_plugin *plugin,
                                  const char *const *allowed, zoo_key_fn *report, void *arg,
                                  zoo_error *err)
{
    config_check j = {.config = config,
                      .plugin = plugin,
                      .allowed = allowed,
                      .report = report,
                      .arg = arg,
                      .err = err,
                      .strict = config->strict};
    return config->class_json ? check_class(&j) : check_object(&j, "", config->text);
}
