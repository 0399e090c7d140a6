/*
 * json_check.h: a small JSON Schema validator, for tests only: it shares nothing with the code
 * under test but the JSON parser. Same keywords as host/text/grammar/grammar.h.
 */
#ifndef ZOO_TESTS_JSON_CHECK_H
#define ZOO_TESTS_JSON_CHECK_H

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static bool check_schema(const cJSON *root, const cJSON *schema, const cJSON *v);

static const cJSON *check_get(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static bool check_type(const char *type, const cJSON *v)
{
    return (strcmp(type, "null") == 0 && cJSON_IsNull(v)) ||
           (strcmp(type, "boolean") == 0 && cJSON_IsBool(v)) ||
           (strcmp(type, "number") == 0 && cJSON_IsNumber(v)) ||
           (strcmp(type, "integer") == 0 && cJSON_IsNumber(v) &&
            v->valuedouble == floor(v->valuedouble)) ||
           (strcmp(type, "string") == 0 && cJSON_IsString(v)) ||
           (strcmp(type, "array") == 0 && cJSON_IsArray(v)) ||
           (strcmp(type, "object") == 0 && cJSON_IsObject(v));
}

static size_t check_length(const char *s)
{
    size_t n = 0;
    for (; *s; s++) {
        n += ((unsigned char)*s & 0xC0) != 0x80;
    }
    return n;
}

static bool check_bound(const cJSON *schema, const char *key, double value, int sign, bool strict)
{
    const cJSON *bound = check_get(schema, key);
    double d = bound ? (value - bound->valuedouble) * sign : 1.0;
    return strict ? d > 0.0 : d >= 0.0;
}

static bool check_object(const cJSON *root, const cJSON *schema, const cJSON *v)
{
    const cJSON *properties = check_get(schema, "properties");
    const cJSON *required = check_get(schema, "required");
    const cJSON *more = check_get(schema, "additionalProperties");
    for (const cJSON *c = required ? required->child : NULL; c; c = c->next) {
        if (!check_get(v, c->valuestring)) {
            return false;
        }
    }
    for (const cJSON *c = v->child; c; c = c->next) {
        const cJSON *one = check_get(properties, c->string);
        one = one ? one : more;
        if (one && !check_schema(root, one, c)) {
            return false;
        }
    }
    return true;
}

static bool check_array(const cJSON *root, const cJSON *schema, const cJSON *v)
{
    const cJSON *prefix = check_get(schema, "prefixItems"), *items = check_get(schema, "items");
    int i = 0, n_prefix = cJSON_GetArraySize(prefix);
    for (const cJSON *c = v->child; c; c = c->next, i++) {
        const cJSON *one = i < n_prefix ? cJSON_GetArrayItem(prefix, i) : items;
        if (one && !check_schema(root, one, c)) {
            return false;
        }
    }
    return check_bound(schema, "minItems", i, 1, false) &&
           check_bound(schema, "maxItems", i, -1, false);
}

static int check_count(const cJSON *root, const cJSON *list, const cJSON *v)
{
    int n = 0;
    for (const cJSON *c = list->child; c; c = c->next) {
        n += check_schema(root, c, v);
    }
    return n;
}

static bool check_combined(const cJSON *root, const cJSON *schema, const cJSON *v)
{
    const cJSON *any = check_get(schema, "anyOf"), *one = check_get(schema, "oneOf");
    const cJSON *all = check_get(schema, "allOf"), *ref = check_get(schema, "$ref");
    if ((any && check_count(root, any, v) < 1) || (one && check_count(root, one, v) != 1) ||
        (all && check_count(root, all, v) != cJSON_GetArraySize(all))) {
        return false;
    }
    if (!ref) {
        return true;
    }
    const char *at = ref->valuestring + 1;
    const cJSON *target = root;
    while (*at == '/' && target) {
        char part[64] = "";
        size_t n = strcspn(++at, "/");
        memcpy(part, at, n);
        target = check_get(target, part);
        at += n;
    }
    return target && check_schema(root, target, v);
}

static bool check_listed(const cJSON *schema, const cJSON *v)
{
    const cJSON *list = check_get(schema, "enum"), *value = check_get(schema, "const");
    bool found = !list;
    for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
        found = found || cJSON_Compare(c, v, 1);
    }
    return found && (!value || cJSON_Compare(value, v, 1));
}

static bool check_types(const cJSON *schema, const cJSON *v)
{
    const cJSON *type = check_get(schema, "type");
    if (cJSON_IsString(type)) {
        return check_type(type->valuestring, v);
    }
    for (const cJSON *c = type ? type->child : NULL; c; c = c->next) {
        if (check_type(c->valuestring, v)) {
            return true;
        }
    }
    return !type;
}

/* Patterns are not looked at. */
static bool check_schema(const cJSON *root, const cJSON *schema, const cJSON *v)
{
    if (cJSON_IsBool(schema)) {
        return cJSON_IsTrue(schema);
    }
    bool ok = check_types(schema, v) && check_listed(schema, v) && check_combined(root, schema, v);
    if (ok && cJSON_IsObject(v)) {
        ok = check_object(root, schema, v);
    } else if (ok && cJSON_IsArray(v)) {
        ok = check_array(root, schema, v);
    } else if (ok && cJSON_IsString(v)) {
        double n = (double)check_length(v->valuestring);
        ok = check_bound(schema, "minLength", n, 1, false) &&
             check_bound(schema, "maxLength", n, -1, false);
    } else if (ok && cJSON_IsNumber(v)) {
        ok = check_bound(schema, "minimum", v->valuedouble, 1, false) &&
             check_bound(schema, "maximum", v->valuedouble, -1, false) &&
             check_bound(schema, "exclusiveMinimum", v->valuedouble, 1, true) &&
             check_bound(schema, "exclusiveMaximum", v->valuedouble, -1, true);
    }
    return ok;
}

#endif
