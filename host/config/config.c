/*
 * config.c: key lookup in card, class and file, and the list of claimed keys.
 *
 * A key is a path of members and indices: "rope_parameters.rope_theta", "layer_types[3]". Claims
 * are stored as paths without indices, and checked in config_check.c. Memory: the cJSON tree and
 * one string per claim, until the config is closed.
 */
#include "config/config_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/mem.h"

enum { CONFIG_BYTES_MAX = 64 << 20, KEY_MAX = 256 };

static const char *const text_parts[] = {"text_config", "language_config", "llm_config"};
/* Members at a wrapper's top level that concern the text part. */
static const char *const outer_keys[] = {"tie_word_embeddings", "eos_token_id", "bos_token_id",
                                         "pad_token_id",        "dtype",        "torch_dtype",
                                         "quantization_config"};

void zoo_config_claim(const zoo_model_config *config, const char *key)
{
    zoo_model_config *c = (zoo_model_config *)(uintptr_t)config;
    char plain[KEY_MAX];
    size_t n = 0;
    for (const char *p = key; *p && n + 1 < sizeof plain; p++) {
        if (*p == '[') {
            while (p[1] && *p != ']') {
                p++;
            }
        } else {
            plain[n++] = *p;
        }
    }
    plain[n] = '\0';
    if (zoo_config_is_claimed(c, plain)) {
        return;
    }
    if (c->n_claims == c->claims_max) {
        uint32_t grown = c->claims_max ? c->claims_max * 2 : 64;
        char **claims = zoo_mem_realloc(c->claims, grown * sizeof *claims);
        if (!claims) {
            return;
        }
        c->claims = claims;
        c->claims_max = grown;
    }
    char *copy = zoo_mem_text(plain, n);
    if (copy) {
        c->claims[c->n_claims++] = copy;
    }
}

bool zoo_config_is_claimed(const zoo_model_config *config, const char *key)
{
    for (uint32_t i = 0; i < config->n_claims; i++) {
        if (strcmp(config->claims[i], key) == 0) {
            return true;
        }
    }
    return false;
}

/* Follows members and indices; a member whose name contains dots takes precedence. */
static const cJSON *walk(const cJSON *root, const char *key)
{
    if (!root || !*key) {
        return root;
    }
    const cJSON *whole = cJSON_GetObjectItemCaseSensitive(root, key);
    if (whole) {
        return whole;
    }
    char member[KEY_MAX];
    size_t n = strcspn(key, ".[");
    if (n >= sizeof member) {
        return NULL;
    }
    memcpy(member, key, n);
    member[n] = '\0';
    const cJSON *item = n ? cJSON_GetObjectItemCaseSensitive(root, member) : root;
    const char *rest = key + n;
    while (item && *rest == '[') {
        char *end = NULL;
        long index = strtol(rest + 1, &end, 10);
        item = index >= 0 && index <= INT32_MAX ? cJSON_GetArrayItem(item, (int)index) : NULL;
        rest = *end == ']' ? end + 1 : end;
    }
    return walk(item, *rest == '.' ? rest + 1 : rest);
}

/* Looks up key with its first n_head characters replaced by `alias`, below root: the file's text,
 * the attributes or the card's defaults. */
static const cJSON *walk_alias(const zoo_model_config *c, const cJSON *root, const char *key,
                               size_t n_head, const cJSON *alias)
{
    char path[KEY_MAX];
    if (!cJSON_IsString(alias) ||
        snprintf(path, sizeof path, "%s%s", alias->valuestring, key + n_head) >= (int)sizeof path) {
        return NULL;
    }
    const cJSON *found = walk(root, path);
    if (found) {
        zoo_config_claim(c, path);
    }
    return found;
}

/* Whether the model's code, not the class alone, reads an attribute or the object that holds it. */
static bool is_read(const zoo_model_config *c, const char *path)
{
    char head[KEY_MAX];
    (void)snprintf(head, sizeof head, "%.*s", path ? (int)strcspn(path, ".[") : 0, path);
    return zoo_attributes_model_reads(&c->attributes, head);
}

/* The first spelling of the card that root has; with `read` one that the model's code reads. */
static const cJSON *find_alias(const zoo_model_config *c, const cJSON *root, const char *key,
                               bool read)
{
    const cJSON *aliases = zoo_card_part(c->card, "aliases");
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, aliases)
    {
        size_t n = strlen(item->string);
        if (strncmp(item->string, key, n) != 0 || (key[n] && key[n] != '.' && key[n] != '[')) {
            continue;
        }
        const cJSON *alias = cJSON_IsArray(item) ? item->child : item;
        for (; alias; alias = cJSON_IsArray(item) ? alias->next : NULL) {
            bool skip = read && !is_read(c, cJSON_GetStringValue(alias));
            const cJSON *found = skip ? NULL : walk_alias(c, root, key, n, alias);
            if (found) {
                return found;
            }
        }
    }
    return NULL;
}

/* The card's default; not for members of an object that the file has. */
static const cJSON *find_default(const zoo_model_config *c, const char *key)
{
    const cJSON *defaults = zoo_card_part(c->card, "defaults");
    char member[KEY_MAX];
    size_t n = strcspn(key, ".[");
    if (!defaults || n >= sizeof member) {
        return NULL;
    }
    memcpy(member, key, n);
    member[n] = '\0';
    const cJSON *from = c->class_json ? c->attributes.set : c->text;
    const cJSON *given = key[n] ? cJSON_GetObjectItemCaseSensitive(from, member) : NULL;
    if (given && !cJSON_IsNull(given)) {
        return NULL;
    }
    const cJSON *found = walk(defaults, key);
    return found ? found : find_alias(c, defaults, key, false);
}

/* The class's attribute at a path, by the class's names or the card's aliases. One that only the
 * class reads gives way to an alias that the model's code reads. */
static const cJSON *find_attribute(const zoo_model_config *c, const char *key)
{
    char head[KEY_MAX], path[KEY_MAX];
    size_t n = strcspn(key, ".[");
    const cJSON *found = is_read(c, key) ? NULL : find_alias(c, c->attributes.set, key, true);
    if (found) {
        return found;
    }
    (void)snprintf(head, sizeof head, "%.*s", (int)n, key);
    const char *name = zoo_attributes_name(&c->attributes, head);
    (void)snprintf(path, sizeof path, "%s%s", name, key + n);
    found = walk(c->attributes.set, path);
    if (found) {
        zoo_config_claim(c, path);
        return found;
    }
    return find_alias(c, c->attributes.set, key, false);
}

/* quantization_config is read from the file, since it is not an attribute of the class. */
static const cJSON *find_quantization(const zoo_model_config *c, const char *key)
{
    static const char *const head = "quantization_config";
    size_t n = strlen(head);
    if (strncmp(key, head, n) != 0 || !strchr(".[", key[n])) {
        return NULL;
    }
    const cJSON *found = walk(c->text, key);
    return found ? found : walk(c->json, key);
}

static const cJSON *find(const zoo_model_config *c, const char *key)
{
    if (*key == '@') {
        return walk(zoo_card_part(c->card, "options"), key + 1);
    }
    zoo_config_claim(c, key);
    const cJSON *found = walk(zoo_card_part(c->card, "fixed"), key);
    if (c->class_json) {
        found = found ? found : find_attribute(c, key);
        found = found ? found : find_quantization(c, key);
        return found ? found : find_default(c, key);
    }
    if (!found && c->text != c->json && strcmp(key, "tie_word_embeddings") == 0) {
        found = walk(c->json, key); /* the reference ties the wrapper's own head */
    }
    if (!found) {
        found = walk(c->text, key);
    }
    if (!found) {
        found = find_alias(c, c->text, key, false);
    }
    if (!found && c->text != c->json) {
        for (size_t i = 0; i < ZOO_COUNT(outer_keys) && !found; i++) {
            size_t n = strlen(outer_keys[i]);
            bool same = strncmp(key, outer_keys[i], n) == 0 && strchr(".[", key[n]);
            found = same ? walk(c->json, key) : NULL;
        }
    }
    return found ? found : find_default(c, key);
}

/* Remembers the first error, unless all are collected. */
static void note_misuse(zoo_model_config *c, const zoo_error *error)
{
    if (c->misuse.code == ZOO_OK && zoo_problems_take(c->problems, ZOO_E_CONFIG, error) != ZOO_OK) {
        c->misuse = *error;
    }
}

static void remember(const zoo_model_config *config, const char *key, const char *want)
{
    zoo_model_config *c = (zoo_model_config *)(uintptr_t)config;
    zoo_error error;
    (void)zoo_fail(&error, ZOO_E_CONFIG, "%s: \"%s\" should be %s", c->path, key, want);
    note_misuse(c, &error);
}

static zoo_value get_type(const zoo_config *config, const char *key)
{
    const zoo_model_config *c = config->host;
    if (strcmp(key, "@card") == 0) {
        return c->card ? ZOO_STRING : ZOO_ABSENT;
    }
    const cJSON *item = find(config->host, key);
    if (!item) {
        return ZOO_ABSENT;
    }
    return cJSON_IsNull(item)     ? ZOO_NULL
           : cJSON_IsBool(item)   ? ZOO_BOOLEAN
           : cJSON_IsNumber(item) ? ZOO_NUMBER
           : cJSON_IsString(item) ? ZOO_STRING
           : cJSON_IsArray(item)  ? ZOO_ARRAY
                                  : ZOO_OBJECT;
}

static uint32_t get_count(const zoo_config *config, const char *key)
{
    const cJSON *item = find(config->host, key);
    return cJSON_IsArray(item) || cJSON_IsObject(item) ? (uint32_t)cJSON_GetArraySize(item) : 0;
}

static double get_number(const zoo_config *config, const char *key, double fallback)
{
    const cJSON *item = find(config->host, key);
    if (!item || cJSON_IsNull(item)) {
        return fallback;
    }
    if (!cJSON_IsNumber(item)) {
        remember(config->host, key, "a number");
        return fallback;
    }
    return item->valuedouble;
}

static uint32_t get_whole(const zoo_config *config, const char *key, uint32_t fallback)
{
    const cJSON *item = find(config->host, key);
    if (!item || cJSON_IsNull(item)) {
        return fallback;
    }
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
    if (!(value >= 0.0 && value < 4294967295.0) || value != floor(value)) {
        remember(config->host, key, "a whole number from 0 on");
        return fallback;
    }
    return (uint32_t)value;
}

/* Whether a null replaces a boolean default, so that the reference's code takes it for false; a
 * null that is the default itself means the plugin's fallback. */
static bool is_given(const zoo_model_config *c, const cJSON *item)
{
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(c->class_json, "keys");
    const cJSON *entry = item->string ? cJSON_GetObjectItemCaseSensitive(keys, item->string) : NULL;
    return cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(entry, "default"));
}

static bool get_flag(const zoo_config *config, const char *key, bool fallback)
{
    const cJSON *item = find(config->host, key);
    if (!item || cJSON_IsNull(item)) {
        return item && is_given(config->host, item) ? false : fallback;
    }
    if (!cJSON_IsBool(item)) {
        remember(config->host, key, "true or false");
        return fallback;
    }
    return cJSON_IsTrue(item);
}

static const char *get_text(const zoo_config *config, const char *key, const char *fallback)
{
    const zoo_model_config *c = config->host;
    const cJSON *item = find(c, key);
    if (strcmp(key, "@prefix") == 0 && c->text != c->json) {
        const cJSON *nested = walk(zoo_card_part(c->card, "options"), "prefix_nested");
        item = cJSON_IsString(nested) ? nested : item;
        fallback = "model.language_model";
    }
    if (!item || cJSON_IsNull(item)) {
        return fallback;
    }
    if (!cJSON_IsString(item)) {
        remember(config->host, key, "a string");
        return fallback;
    }
    return item->valuestring;
}

static uint32_t get_shape(const zoo_config *config, const char *name, uint64_t *dims, uint32_t n)
{
    const zoo_model_config *c = config->host;
    return c->shape ? c->shape(c->shape_arg, name, dims, n) : 0;
}

static bool get_tensor(const zoo_config *config, const char *name)
{
    return get_shape(config, name, NULL, 0) > 0;
}

ZOO_PRINTF(2, 3)
static void refuse(const zoo_config *config, const char *format, ...)
{
    zoo_model_config *c = config->host;
    zoo_error error;
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)zoo_fail(&error, ZOO_E_CONFIG, "%s: %s", c->path, text);
    note_misuse(c, &error);
}

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static zoo_status read_file(zoo_model_config *c, const char *folder, zoo_error *err)
{
    size_t n = strlen(folder) + sizeof "/config.json";
    c->path = zoo_mem_alloc(n);
    if (!c->path) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", folder);
    }
    (void)snprintf(c->path, n, "%s%s", folder, is_file(folder) ? "" : "/config.json");
    return zoo_json_read_python(c->path, CONFIG_BYTES_MAX, &c->json, err);
}

static zoo_status read_text(zoo_model_config *c, const char *name, const char *text, zoo_error *err)
{
    c->path = zoo_mem_text(name, strlen(name));
    return c->path ? zoo_json_parse_python(text, strlen(text), name, &c->json, err)
                   : zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", name);
}

/* Finds the text part and the types. */
static zoo_status find_text_part(zoo_model_config *c, zoo_error *err)
{
    if (!cJSON_IsObject(c->json)) {
        return zoo_fail(err, ZOO_E_FORMAT, "%s: the file is not a JSON object", c->path);
    }
    c->text = c->json;
    for (size_t i = 0; i < ZOO_COUNT(text_parts) && c->text == c->json; i++) {
        const cJSON *part = cJSON_GetObjectItemCaseSensitive(c->json, text_parts[i]);
        c->text = cJSON_IsObject(part) ? part : c->json;
        c->text_key = text_parts[i];
    }
    const cJSON *outer = cJSON_GetObjectItemCaseSensitive(c->json, "model_type");
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(c->text, "model_type");
    c->model_type = cJSON_IsString(outer) ? outer->valuestring : "";
    c->text_type = cJSON_IsString(inner) ? inner->valuestring : c->model_type;
    return *c->text_type ? ZOO_OK
                         : zoo_fail(err, ZOO_E_CONFIG, "%s: there is no \"model_type\"", c->path);
}

static zoo_status open_config(const char *name, const char *text, zoo_model_config **out,
                              zoo_error *err)
{
    zoo_model_config *c = zoo_mem_array(1, sizeof *c);
    *out = NULL;
    if (!c) {
        return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", name);
    }
    c->view = (zoo_config){.size = sizeof c->view,
                           .host = c,
                           .type = get_type,
                           .count = get_count,
                           .number = get_number,
                           .whole = get_whole,
                           .flag = get_flag,
                           .text = get_text,
                           .has_tensor = get_tensor,
                           .refuse = refuse,
                           .shape = get_shape};
    zoo_status status = text ? read_text(c, name, text, err) : read_file(c, name, err);
    status = status == ZOO_OK ? find_text_part(c, err) : status;
    if (status != ZOO_OK) {
        zoo_model_config_close(c);
        return status;
    }
    *out = c;
    return ZOO_OK;
}

zoo_status zoo_model_config_open(const char *folder, zoo_model_config **out, zoo_error *err)
{
    return open_config(folder, NULL, out, err);
}

zoo_status zoo_model_config_open_text(const char *name, const char *text, zoo_model_config **out,
                                      zoo_error *err)
{
    return open_config(name, text, out, err);
}

void zoo_model_config_close(zoo_model_config *config)
{
    if (!config) {
        return;
    }
    for (uint32_t i = 0; i < config->n_claims; i++) {
        zoo_mem_free(config->claims[i]);
    }
    zoo_mem_free(config->claims);
    zoo_attributes_free(&config->attributes);
    cJSON_Delete(config->class_json);
    cJSON_Delete(config->wrapper_json);
    cJSON_Delete(config->common_json);
    cJSON_Delete(config->nothing);
    zoo_mem_free(config->path);
    cJSON_Delete(config->json);
    zoo_mem_free(config);
}

const char *zoo_model_config_type(const zoo_model_config *config)
{
    return config->model_type;
}

const char *zoo_model_config_text_type(const zoo_model_config *config)
{
    return config->text_type;
}

bool zoo_model_config_nested(const zoo_model_config *config)
{
    return config->text != config->json;
}

const char *zoo_model_config_path(const zoo_model_config *config)
{
    return config->path;
}

const cJSON *zoo_model_config_text(const zoo_model_config *config)
{
    return config->text;
}

const cJSON *zoo_model_config_json(const zoo_model_config *config)
{
    return config->json;
}

const cJSON *zoo_model_config_quantization(const zoo_model_config *config)
{
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(config->text, "quantization_config");
    return cJSON_IsObject(inner)
               ? inner
               : cJSON_GetObjectItemCaseSensitive(config->json, "quantization_config");
}

void zoo_model_config_use(zoo_model_config *config, const zoo_card *card, zoo_shape_fn *shape,
                          void *arg)
{
    config->card = card;
    config->shape = shape;
    config->shape_arg = arg;
}

const zoo_config *zoo_model_config_view(const zoo_model_config *config)
{
    return &config->view;
}

zoo_status zoo_model_config_misuse(const zoo_model_config *config, zoo_error *err)
{
    if (config->misuse.code != ZOO_OK && err) {
        *err = config->misuse;
    }
    return config->misuse.code;
}
