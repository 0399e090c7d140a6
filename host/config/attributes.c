/*
 * attributes.c: fields, defaults, spellings and types of a class; the derivations are in derive*.c.
 */
#include "config/attributes.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"

enum { CLASS_BYTES_MAX = 1 << 20, VALUE_TEXT_MAX = 80 };

static const cJSON *part(const zoo_attributes *a, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(a->class_json, name);
}

static zoo_status read_file(const char *folder, const char *name, const char *member, cJSON **out,
                            zoo_error *err)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/classes/%s.json", folder, name) >= (int)sizeof path ||
        access(path, R_OK) != 0) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_json_read_python(path, CLASS_BYTES_MAX, out, err));
    if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(*out, member))) {
        cJSON_Delete(*out);
        *out = NULL;
        return zoo_fail(err, ZOO_E_FORMAT, "%s: there is no object \"%s\"", path, member);
    }
    return ZOO_OK;
}

zoo_status zoo_class_read(const char *folder, const char *type, cJSON **out, zoo_error *err)
{
    static const char *const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789_-";
    *out = NULL;
    bool plain = *type && *type != '_' && strspn(type, letters) == strlen(type);
    return plain ? read_file(folder, type, "keys", out, err) : ZOO_OK;
}

zoo_status zoo_class_common(const char *folder, cJSON **out, zoo_error *err)
{
    *out = NULL;
    ZOO_TRY(read_file(folder, "_common", "rope_kinds", out, err));
    return *out ? ZOO_OK
                : zoo_fail(err, ZOO_E_IO, "%s/classes/_common.json cannot be read", folder);
}

const char *zoo_attributes_name(const zoo_attributes *a, const char *key)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(part(a, "names"), key);
    return cJSON_IsString(name) ? name->valuestring : key;
}

static cJSON *walk(const cJSON *root, const char *path)
{
    const char *dot = strchr(path, '.');
    char member[ZOO_CLASS_KEY_MAX];
    if (!dot) {
        return cJSON_GetObjectItemCaseSensitive(root, path);
    }
    (void)snprintf(member, sizeof member, "%.*s", (int)(dot - path), path);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, member);
    return item ? walk(item, dot + 1) : NULL;
}

cJSON *zoo_attributes_get(const zoo_attributes *a, const char *key)
{
    char path[ZOO_CLASS_KEY_MAX], head[ZOO_CLASS_KEY_MAX];
    size_t n = strcspn(key, ".");
    (void)snprintf(head, sizeof head, "%.*s", (int)n, key);
    (void)snprintf(path, sizeof path, "%s%s", zoo_attributes_name(a, head), key + n);
    cJSON *found = walk(a->set, path);
    return found ? found : walk(a->extras, key);
}

static zoo_status out_of_memory(const zoo_attributes *a, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", a->path);
}

static bool put(cJSON *object, const char *key, cJSON *value)
{
    if (cJSON_GetObjectItemCaseSensitive(object, key)) {
        return cJSON_ReplaceItemInObjectCaseSensitive(object, key, value);
    }
    return cJSON_AddItemToObject(object, key, value);
}

static zoo_status set_in(zoo_attributes *a, cJSON *object, const char *key, cJSON *value,
                         const char *origin, zoo_error *err)
{
    cJSON *from = value ? cJSON_CreateString(origin) : NULL;
    if (!from || !put(object, key, value)) {
        cJSON_Delete(from);
        if (!from) {
            cJSON_Delete(value);
        }
        return out_of_memory(a, err);
    }
    return put(a->origins, zoo_attributes_name(a, key), from) ? ZOO_OK : out_of_memory(a, err);
}

zoo_status zoo_attributes_set(zoo_attributes *a, const char *key, cJSON *value, const char *origin,
                              zoo_error *err)
{
    return set_in(a, a->set, zoo_attributes_name(a, key), value, origin, err);
}

zoo_status zoo_attributes_set_extra(zoo_attributes *a, const char *key, cJSON *value,
                                    const char *origin, zoo_error *err)
{
    return a->converted ? zoo_attributes_set(a, key, value, origin, err)
                        : set_in(a, a->extras, key, value, origin, err);
}

bool zoo_json_number(const cJSON *item, double *out)
{
    *out = cJSON_IsNumber(item) ? item->valuedouble : cJSON_IsTrue(item) ? 1 : 0;
    return cJSON_IsNumber(item) || cJSON_IsBool(item);
}

bool zoo_attributes_model_reads(const zoo_attributes *a, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(part(a, "keys"), zoo_attributes_name(a, key)) ||
           cJSON_GetObjectItemCaseSensitive(part(a, "keys"), key);
}

bool zoo_attributes_reads(const zoo_attributes *a, const char *key)
{
    static const char *const rope[] = {"rope_parameters", "rope_scaling", "rope_theta",
                                       "partial_rotary_factor", "original_max_position_embeddings"};
    const cJSON *convert = part(a, "rope");
    for (size_t i = 0; convert && i < ZOO_COUNT(rope); i++) {
        if (strcmp(key, rope[i]) == 0) {
            return true;
        }
    }
    const char *how = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(convert, "how"));
    bool legacy =
        how && ((strcmp(how, "by_layer") == 0 && strcmp(key, "rope_local_base_freq") == 0) ||
                (strcmp(how, "rotary_pct") == 0 &&
                 (strcmp(key, "rotary_pct") == 0 || strcmp(key, "rotary_emb_base") == 0)) ||
                (strcmp(how, "rotary_dim") == 0 && strcmp(key, "rotary_dim") == 0));
    return legacy || zoo_attributes_model_reads(a, key) ||
           cJSON_GetObjectItemCaseSensitive(part(a, "inputs"), key) ||
           cJSON_GetObjectItemCaseSensitive(part(a, "inputs"), zoo_attributes_name(a, key)) ||
           cJSON_GetObjectItemCaseSensitive(part(a, "parts"), key);
}

bool zoo_json_truthy(const cJSON *item)
{
    if (!item || cJSON_IsNull(item) || cJSON_IsFalse(item)) {
        return false;
    }
    if (cJSON_IsNumber(item)) {
        return item->valuedouble != 0;
    }
    if (cJSON_IsString(item)) {
        return item->valuestring[0] != '\0';
    }
    return cJSON_IsTrue(item) || item->child;
}

zoo_status zoo_attributes_whole(const zoo_attributes *a, const char *key, const char *derivation,
                                uint32_t max, uint32_t *out, zoo_error *err)
{
    double value = -1;
    bool number = zoo_json_number(zoo_attributes_get(a, key), &value);
    if (!number || !(value >= 0) || value > max || value != floor(value)) {
        return zoo_fail(err, ZOO_E_CONFIG,
                        "%s: \"%s\" should be a whole number up to %u, for the derivation \"%s\"",
                        a->path, key, max, derivation);
    }
    *out = (uint32_t)value;
    return ZOO_OK;
}

/* "int", "float", "bool", "str", "list", "dict", "null" of a value, as in class files. */
static bool has_kind(const cJSON *item, const char *kind, size_t n)
{
    static const char *const kinds[] = {"int", "float", "bool", "str", "list", "dict", "null"};
    bool is[] = {cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble),
                 cJSON_IsNumber(item),
                 cJSON_IsBool(item),
                 cJSON_IsString(item),
                 cJSON_IsArray(item),
                 cJSON_IsObject(item),
                 cJSON_IsNull(item)};
    for (size_t i = 0; i < ZOO_COUNT(kinds); i++) {
        if (strlen(kinds[i]) == n && strncmp(kinds[i], kind, n) == 0) {
            return is[i];
        }
    }
    return false;
}

static zoo_status check_type(const zoo_attributes *a, const char *key, const cJSON *entry,
                             const cJSON *value, zoo_error *err)
{
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "type"));
    if (!type) {
        return ZOO_OK;
    }
    for (const char *p = type; *p; p += *p == '|') {
        size_t n = strcspn(p, "|");
        if (has_kind(value, p, n)) {
            return ZOO_OK;
        }
        p += n;
    }
    char *text = cJSON_PrintUnformatted(value);
    zoo_status status = zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" is %.*s; the reference expects %s",
                                 a->path, key, VALUE_TEXT_MAX, text ? text : "?", type);
    cJSON_free(text);
    return status;
}

/* The members of an object that has a class of its own (attn_config): file, else default. */
static zoo_status fill_part(zoo_attributes *a, const cJSON *members, zoo_error *err)
{
    cJSON *object = cJSON_GetObjectItemCaseSensitive(a->set, members->string);
    if (!cJSON_IsObject(object)) {
        object = cJSON_CreateObject();
        ZOO_TRY(zoo_attributes_set(a, members->string, object, "class", err));
    }
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, members)
    {
        const cJSON *given = cJSON_GetObjectItemCaseSensitive(object, entry->string);
        const cJSON *fallback = cJSON_GetObjectItemCaseSensitive(entry, "default");
        if (given) {
            zoo_status status = check_type(a, entry->string, entry, given, err);
            ZOO_TRY(zoo_problems_take(a->problems, status, err));
        } else if (fallback &&
                   !cJSON_AddItemToObject(object, entry->string, cJSON_Duplicate(fallback, true))) {
            return out_of_memory(a, err);
        }
    }
    return ZOO_OK;
}

static bool is_field(const zoo_attributes *a, const char *key)
{
    static const char *const groups[] = {"keys", "inputs"};
    for (size_t i = 0; i < ZOO_COUNT(groups); i++) {
        const cJSON *entry = cJSON_GetObjectItemCaseSensitive(part(a, groups[i]), key);
        if (entry && (cJSON_GetObjectItemCaseSensitive(entry, "type") ||
                      cJSON_GetObjectItemCaseSensitive(entry, "default"))) {
            return true;
        }
    }
    return false;
}

static zoo_status read_fields(zoo_attributes *a, const cJSON *text, const char *group,
                              zoo_error *err)
{
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, part(a, group))
    {
        const cJSON *given = cJSON_GetObjectItemCaseSensitive(text, entry->string);
        const cJSON *fallback = cJSON_GetObjectItemCaseSensitive(entry, "default");
        const char *name = zoo_attributes_name(a, entry->string);
        char origin[ZOO_CLASS_KEY_MAX];
        bool declared = cJSON_GetObjectItemCaseSensitive(entry, "type") || fallback;
        bool hidden =
            strcmp(name, entry->string) != 0 && is_field(a, name); /* the later one wins */
        if (!declared || hidden || (!given && cJSON_GetObjectItemCaseSensitive(a->set, name))) {
            continue;
        }
        zoo_status status = given ? check_type(a, entry->string, entry, given, err) : ZOO_OK;
        ZOO_TRY(zoo_problems_take(a->problems, status, err));
        given = status == ZOO_OK ? given : NULL; /* a wrong type is replaced by the default */
        (void)snprintf(origin, sizeof origin, "%s%s", given ? "file: " : "class",
                       given ? entry->string : "");
        cJSON *value = given      ? cJSON_Duplicate(given, true)
                       : fallback ? cJSON_Duplicate(fallback, true)
                                  : cJSON_CreateNull();
        if (!value || !put(a->set, name, value) ||
            !put(a->origins, name, cJSON_CreateString(origin))) {
            return out_of_memory(a, err);
        }
    }
    return ZOO_OK;
}

static zoo_status read_extras(zoo_attributes *a, const cJSON *text, zoo_error *err)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, text)
    {
        if (is_field(a, item->string) || !zoo_attributes_reads(a, item->string)) {
            continue;
        }
        if (!cJSON_AddItemToObject(a->extras, item->string, cJSON_Duplicate(item, true))) {
            return out_of_memory(a, err);
        }
    }
    return ZOO_OK;
}

static zoo_status check_length(const zoo_attributes *a, const char *key, zoo_error *err)
{
    const cJSON *list = zoo_attributes_get(a, key), *n = zoo_attributes_get(a, "num_hidden_layers");
    if (cJSON_IsArray(list) && cJSON_IsNumber(n) && cJSON_GetArraySize(list) != n->valuedouble) {
        return zoo_fail(err, ZOO_E_CONFIG, "%s: \"%s\" has %d entries for %.0f layers", a->path,
                        key, cJSON_GetArraySize(list), n->valuedouble);
    }
    return ZOO_OK;
}

zoo_status zoo_attributes_check_lists(const zoo_attributes *a, zoo_error *err)
{
    static const char *const by_layer[] = {"first", "periodic", "repeat", "cycle", "where"};
    const cJSON *step = NULL;
    ZOO_TRY(check_length(a, "layer_types", err));
    ZOO_TRY(check_length(a, "mlp_layer_types", err));
    cJSON_ArrayForEach(step, part(a, "derived"))
    {
        const char *by = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(step, "by"));
        const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(step, "key"));
        for (size_t i = 0; i < ZOO_COUNT(by_layer) && by && key; i++) {
            if (strcmp(by, by_layer[i]) == 0) {
                ZOO_TRY(check_length(a, key, err));
            }
        }
    }
    return ZOO_OK;
}

zoo_status zoo_attributes_read(zoo_attributes *a, const cJSON *text, zoo_error *err)
{
    a->set = cJSON_CreateObject();
    a->extras = cJSON_CreateObject();
    a->origins = cJSON_CreateObject();
    if (!a->set || !a->extras || !a->origins) {
        return out_of_memory(a, err);
    }
    ZOO_TRY(read_fields(a, text, "keys", err));
    ZOO_TRY(read_fields(a, text, "inputs", err));
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, part(a, "parts"))
    {
        ZOO_TRY(fill_part(a, item, err));
    }
    return read_extras(a, text, err);
}

void zoo_attributes_free(zoo_attributes *a)
{
    cJSON_Delete(a->set);
    cJSON_Delete(a->extras);
    cJSON_Delete(a->origins);
    memset(a, 0, sizeof *a);
}
