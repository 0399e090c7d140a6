/*
 * merge.c: follows $ref, merges allOf, checks that alternatives of oneOf exclude each other.
 *
 * Merging joins properties and required, intersects types, and takes every other keyword that only
 * one side has, or both have alike; the rest is refused. additionalProperties sees only the
 * properties beside it, so it is refused where the other side brings some.
 */
#include <stdlib.h>
#include <string.h>

#include "text/grammar/grammar_private.h"

#define REFS_MAX 50

static const cJSON *get(const cJSON *schema, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(schema, key);
}

static bool says_nothing(const cJSON *schema)
{
    if (cJSON_IsTrue(schema)) {
        return true;
    }
    for (const cJSON *c = schema->child; c; c = c->next) {
        if (!zoo_gschema_is_annotation(c->string)) {
            return false;
        }
    }
    return cJSON_IsObject(schema);
}

/* Keeps a schema that was made here until the compile ends. */
static cJSON *keep(zoo_gbuild *b, cJSON *schema)
{
    if (!schema || !cJSON_AddItemToArray(b->made, schema)) {
        cJSON_Delete(schema);
        zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
        return NULL;
    }
    return schema;
}

const cJSON *zoo_gschema_without(zoo_gbuild *b, const cJSON *schema, const char *key)
{
    cJSON *copy = keep(b, cJSON_CreateObject());
    for (const cJSON *c = schema->child; c && copy; c = c->next) {
        if (strcmp(c->string, key) != 0 && !zoo_gschema_is_annotation(c->string) &&
            !cJSON_AddItemToObject(copy, c->string, cJSON_Duplicate(c, 1))) {
            zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
        }
    }
    return copy;
}

/* One part of a JSON pointer at *at, unescaped into out; moves *at after it. */
static bool pointer_part(const char **at, char *out, size_t size)
{
    size_t n = 0;
    const char *s = *at + 1;
    for (; *s && *s != '/'; s++) {
        char c = *s;
        if (c == '%' || n + 1 >= size) {
            return false;
        }
        if (c == '~') {
            s++;
            if (*s != '0' && *s != '1') {
                return false;
            }
            c = *s == '0' ? '~' : '/';
        }
        out[n++] = c;
    }
    out[n] = 0;
    *at = s;
    return true;
}

static const cJSON *follow(zoo_gbuild *b, const cJSON *ref)
{
    char part[256];
    const cJSON *found = b->root;
    const char *at = cJSON_IsString(ref) ? ref->valuestring : "";
    if (at[0] != '#' || (at[1] && at[1] != '/')) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "the $ref '%.60s' leads out of the document", at);
        return NULL;
    }
    at++;
    while (*at && found) {
        if (!pointer_part(&at, part, sizeof part)) {
            found = NULL;
        } else if (cJSON_IsArray(found)) {
            char *end = NULL;
            long i = strtol(part, &end, 10);
            found =
                *part && !*end && i >= 0 && i < 100000 ? cJSON_GetArrayItem(found, (int)i) : NULL;
        } else {
            found = get(found, part);
        }
    }
    if (!found) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "the $ref '%.60s' points to nothing", ref->valuestring);
    }
    return found;
}

static bool brings_properties(const cJSON *schema)
{
    const cJSON *p = get(schema, "properties");
    return p && p->child;
}

static bool is_closed(const cJSON *schema)
{
    const cJSON *a = get(schema, "additionalProperties");
    return a && !cJSON_IsTrue(a);
}

static bool put(cJSON *into, const char *key, cJSON *value)
{
    if (!value || !cJSON_AddItemToObject(into, key, value)) {
        cJSON_Delete(value);
        return false;
    }
    return true;
}

/* A property that both sides have becomes {"allOf": [one, other]}. */
static bool join_properties(cJSON *into, const cJSON *more)
{
    for (const cJSON *c = more->child; c; c = c->next) {
        cJSON *old = cJSON_GetObjectItemCaseSensitive(into, c->string);
        if (!old) {
            if (!put(into, c->string, cJSON_Duplicate(c, 1))) {
                return false;
            }
            continue;
        }
        cJSON *both = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(both, "allOf");
        bool ok = list && cJSON_AddItemToArray(list, cJSON_Duplicate(old, 1)) &&
                  cJSON_AddItemToArray(list, cJSON_Duplicate(c, 1));
        if (!ok || !cJSON_ReplaceItemInObjectCaseSensitive(into, c->string, both)) {
            cJSON_Delete(both);
            return false;
        }
    }
    return true;
}

static bool join_lists(cJSON *into, const cJSON *more)
{
    for (const cJSON *c = more->child; c; c = c->next) {
        if (!cJSON_AddItemToArray(into, cJSON_Duplicate(c, 1))) {
            return false;
        }
    }
    return true;
}

static bool set_types(cJSON *into, unsigned bits)
{
    static const char *const names[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};
    cJSON *list = cJSON_CreateArray();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < ZOO_COUNT(names); i++) {
        if (bits >> i & 1u) {
            ok = cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
        }
    }
    if (!ok || !cJSON_ReplaceItemInObjectCaseSensitive(into, "type", list)) {
        cJSON_Delete(list);
        return false;
    }
    return true;
}

static unsigned with_integers(unsigned bits)
{
    return bits & ZOO_T_NUMBER ? bits | ZOO_T_INTEGER : bits;
}

/* Both have the keyword. */
static bool merge_key(zoo_gbuild *b, cJSON *into, cJSON *old, const cJSON *c)
{
    if (strcmp(c->string, "properties") == 0 && cJSON_IsObject(old) && cJSON_IsObject(c)) {
        return join_properties(old, c);
    }
    if (strcmp(c->string, "required") == 0 && cJSON_IsArray(old) && cJSON_IsArray(c)) {
        return join_lists(old, c);
    }
    if (strcmp(c->string, "type") == 0) {
        cJSON wrapped = {.type = cJSON_Object, .child = (cJSON *)(uintptr_t)c};
        unsigned mine = with_integers(zoo_gschema_types(b, into));
        return set_types(into, mine & with_integers(zoo_gschema_types(b, &wrapped)));
    }
    if (!cJSON_Compare(old, c, 1)) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "schemas that differ in '%.60s' cannot be merged",
                        c->string);
    }
    return true;
}

const cJSON *zoo_gschema_merge(zoo_gbuild *b, const cJSON *x, const cJSON *y)
{
    if (!x || says_nothing(x)) {
        return y;
    }
    y = zoo_gschema_resolve(b, y);
    if (!y || says_nothing(y)) {
        return x;
    }
    if (!cJSON_IsObject(x) || !cJSON_IsObject(y)) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "a schema is neither an object nor true");
        return NULL;
    }
    bool clash = (is_closed(x) && brings_properties(y)) || (is_closed(y) && brings_properties(x)) ||
                 (is_closed(x) && get(y, "required")) || (is_closed(y) && get(x, "required"));
    if (clash) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                        "additionalProperties beside the properties of another schema is not "
                        "supported");
        return NULL;
    }
    cJSON *out = keep(b, cJSON_Duplicate(x, 1));
    for (const cJSON *c = y->child; c && out && b->status == ZOO_OK; c = c->next) {
        cJSON *old = cJSON_GetObjectItemCaseSensitive(out, c->string);
        bool ok = zoo_gschema_is_annotation(c->string) ||
                  (old ? merge_key(b, out, old, c) : put(out, c->string, cJSON_Duplicate(c, 1)));
        if (!ok) {
            zoo_gbuild_fail(b, ZOO_E_MEMORY, "no memory");
        }
    }
    return out;
}

static const cJSON *merge_all(zoo_gbuild *b, const cJSON *schema)
{
    const cJSON *list = get(schema, "allOf");
    const cJSON *out = zoo_gschema_without(b, schema, "allOf");
    if (!cJSON_IsArray(list)) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "allOf is not a list of schemas");
        return NULL;
    }
    for (const cJSON *c = list->child; c && b->status == ZOO_OK; c = c->next) {
        out = zoo_gschema_merge(b, out, c);
    }
    return out;
}

const cJSON *zoo_gschema_resolve(zoo_gbuild *b, const cJSON *schema)
{
    uint32_t depth = b->depth;
    zoo_gbuild_step(b, 8);
    for (int i = 0; schema && b->status == ZOO_OK; i++) {
        const cJSON *ref = get(schema, "$ref");
        if (i > REFS_MAX || ++b->depth > 2 * REFS_MAX) {
            zoo_gbuild_fail(b, ZOO_E_FORMAT, "a $ref leads back to itself without a value between");
            return NULL;
        }
        if (ref) {
            const cJSON *rest = zoo_gschema_without(b, schema, "$ref");
            const cJSON *target = follow(b, ref);
            schema = target && rest ? zoo_gschema_merge(b, rest, target) : NULL;
        } else if (get(schema, "allOf")) {
            schema = merge_all(b, schema);
        } else {
            break;
        }
    }
    b->depth = depth;
    return b->status == ZOO_OK ? schema : NULL;
}

/* The values that enum or const list, as an array or single item; null when the schema has none. */
static const cJSON *listed(const cJSON *schema, bool *single)
{
    const cJSON *list = get(schema, "enum"), *one = get(schema, "const");
    *single = one != NULL;
    return one ? one : cJSON_IsArray(list) ? list : NULL;
}

static bool lists_exclude(const cJSON *x, bool x_single, const cJSON *y, bool y_single)
{
    const cJSON *first = x_single ? x : x->child;
    for (const cJSON *c = first; c; c = x_single ? NULL : c->next) {
        for (const cJSON *d = y_single ? y : y->child; d; d = y_single ? NULL : d->next) {
            if (cJSON_Compare(c, d, 1)) {
                return false;
            }
        }
    }
    return true;
}

static bool requires(const cJSON *schema, const char *name)
{
    const cJSON *list = get(schema, "required");
    for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
        if (cJSON_IsString(c) && strcmp(c->valuestring, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Two objects with a required property whose values exclude each other. */
static bool members_exclude(zoo_gbuild *b, const cJSON *x, const cJSON *y)
{
    const cJSON *list = get(x, "properties");
    for (const cJSON *c = list ? list->child : NULL; c && b->status == ZOO_OK; c = c->next) {
        const cJSON *other = get(get(y, "properties"), c->string);
        if (other && requires(x, c->string) && requires(y, c->string) &&
            zoo_gschema_exclude(b, c, other)) {
            return true;
        }
    }
    return false;
}

bool zoo_gschema_exclude(zoo_gbuild *b, const cJSON *x, const cJSON *y)
{
    bool x_single = false, y_single = false;
    if (b->depth > REFS_MAX) {
        return false;
    }
    b->depth++;
    x = zoo_gschema_resolve(b, x);
    y = zoo_gschema_resolve(b, y);
    bool out = false;
    if (x && y) {
        const cJSON *a = listed(x, &x_single), *c = listed(y, &y_single);
        unsigned types =
            with_integers(zoo_gschema_types(b, x)) & with_integers(zoo_gschema_types(b, y));
        out = !types || (a && c && lists_exclude(a, x_single, c, y_single)) ||
              (types == ZOO_T_OBJECT && members_exclude(b, x, y));
    }
    b->depth--;
    return out;
}
