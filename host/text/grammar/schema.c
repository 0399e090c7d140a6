/*
 * schema.c: one JSON schema to nodes: keywords known and refused, types, enum,
 * alternatives, numbers.
 *
 * Each schema is one rule, found again by its place in the document, so that $ref may lead back. A
 * keyword of another type than the schema's says nothing, as JSON Schema has it. A schema without
 * `type` whose keywords belong to one type writes values of that type.
 */
#include <math.h>
#include <string.h>

#include "text/grammar/grammar_private.h"

#define DEPTH_MAX 100

static bool is_one_of(const char *key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(key, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool zoo_gschema_is_annotation(const char *key)
{
    static const char *const names[] = {"title",
                                        "description",
                                        "default",
                                        "example",
                                        "examples",
                                        "$schema",
                                        "$id",
                                        "$anchor",
                                        "$comment",
                                        "$defs",
                                        "definitions",
                                        "deprecated",
                                        "readOnly",
                                        "writeOnly",
                                        "discriminator",
                                        "nullable",
                                        "propertyOrdering",
                                        "contentEncoding",
                                        "contentMediaType",
                                        "contentSchema",
                                        "externalDocs",
                                        "xml"};
    return strncmp(key, "x-", 2) == 0 || is_one_of(key, names, ZOO_COUNT(names));
}

static void check_keys(zoo_gbuild *b, const cJSON *schema)
{
    static const char *const known[] = {
        "type",          "enum",         "const",      "properties",       "required",
        "items",         "prefixItems",  "minItems",   "maxItems",         "minLength",
        "maxLength",     "pattern",      "minimum",    "maximum",          "exclusiveMinimum",
        "anyOf",         "oneOf",        "$ref",       "exclusiveMaximum", "additionalProperties",
        "allOf",         "format",       "multipleOf", "uniqueItems",      "patternProperties",
        "minProperties", "maxProperties"};
    for (const cJSON *c = schema->child; c; c = c->next) {
        if (!zoo_gschema_is_annotation(c->string) &&
            !is_one_of(c->string, known, ZOO_COUNT(known))) {
            zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "the keyword '%.60s' is not supported",
                            c->string);
        }
    }
}

static const cJSON *get(const cJSON *schema, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(schema, key);
}

uint32_t zoo_gschema_count(zoo_gbuild *b, const cJSON *schema, const char *key, uint32_t fallback)
{
    const cJSON *v = get(schema, key);
    if (!v) {
        return fallback;
    }
    double d = cJSON_IsNumber(v) ? v->valuedouble : -1.0;
    if (!(d >= 0.0 && d < 4e9 && d == floor(d))) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "%s is not a count", key);
        return fallback;
    }
    return (uint32_t)d;
}

static unsigned type_bit(zoo_gbuild *b, const cJSON *name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } types[] = {{"null", ZOO_T_NULL},     {"boolean", ZOO_T_BOOLEAN}, {"integer", ZOO_T_INTEGER},
                 {"number", ZOO_T_NUMBER}, {"string", ZOO_T_STRING},   {"array", ZOO_T_ARRAY},
                 {"object", ZOO_T_OBJECT}};
    for (size_t i = 0; cJSON_IsString(name) && i < ZOO_COUNT(types); i++) {
        if (strcmp(name->valuestring, types[i].name) == 0) {
            return types[i].bit;
        }
    }
    zoo_gbuild_fail(b, ZOO_E_FORMAT, "type names no JSON type");
    return 0;
}

unsigned zoo_gschema_types(zoo_gbuild *b, const cJSON *schema)
{
    const cJSON *type = get(schema, "type");
    unsigned bits = 0;
    if (!type) {
        return ZOO_T_ALL;
    }
    if (!cJSON_IsArray(type)) {
        return type_bit(b, type);
    }
    for (const cJSON *c = type->child; c; c = c->next) {
        bits |= type_bit(b, c);
    }
    return bits;
}

/* The types whose keywords a schema without `type` uses; 0: none of them. */
static unsigned implied_types(const cJSON *schema)
{
    static const struct {
        const char *key;
        unsigned bits;
    } keys[] = {{"properties", ZOO_T_OBJECT},
                {"required", ZOO_T_OBJECT},
                {"additionalProperties", ZOO_T_OBJECT},
                {"items", ZOO_T_ARRAY},
                {"prefixItems", ZOO_T_ARRAY},
                {"minItems", ZOO_T_ARRAY},
                {"maxItems", ZOO_T_ARRAY},
                {"minLength", ZOO_T_STRING},
                {"maxLength", ZOO_T_STRING},
                {"format", ZOO_T_STRING},
                {"uniqueItems", ZOO_T_ARRAY},
                {"patternProperties", ZOO_T_OBJECT},
                {"minProperties", ZOO_T_OBJECT},
                {"maxProperties", ZOO_T_OBJECT},
                {"multipleOf", ZOO_T_NUMBER},
                {"pattern", ZOO_T_STRING},
                {"minimum", ZOO_T_NUMBER},
                {"maximum", ZOO_T_NUMBER},
                {"exclusiveMinimum", ZOO_T_NUMBER},
                {"exclusiveMaximum", ZOO_T_NUMBER}};
    unsigned bits = 0;
    for (size_t i = 0; i < ZOO_COUNT(keys); i++) {
        bits |= get(schema, keys[i].key) ? keys[i].bits : 0;
    }
    return bits;
}

static unsigned type_of_value(const cJSON *v)
{
    if (cJSON_IsNumber(v)) {
        bool whole = v->valuedouble == floor(v->valuedouble);
        return whole ? ZOO_T_INTEGER | ZOO_T_NUMBER : ZOO_T_NUMBER;
    }
    return cJSON_IsString(v)   ? ZOO_T_STRING
           : cJSON_IsBool(v)   ? ZOO_T_BOOLEAN
           : cJSON_IsNull(v)   ? ZOO_T_NULL
           : cJSON_IsArray(v)  ? ZOO_T_ARRAY
           : cJSON_IsObject(v) ? ZOO_T_OBJECT
                               : 0;
}

static bool is_exact(const cJSON *v)
{
    if (cJSON_IsNumber(v)) {
        return fabs(v->valuedouble) < 9007199254740992.0;
    }
    for (const cJSON *c = cJSON_IsArray(v) || cJSON_IsObject(v) ? v->child : NULL; c; c = c->next) {
        if (!is_exact(c)) {
            return false;
        }
    }
    return true;
}

static zoo_gnode literal(zoo_gbuild *b, const cJSON *value, zoo_gnode next);

/* A listed value in the shape loose: strings between quote marks, keys bare. */
static zoo_gnode loose_literal(zoo_gbuild *b, const cJSON *value, zoo_gnode next)
{
    bool is_object = cJSON_IsObject(value);
    if (cJSON_IsString(value)) {
        zoo_piece text = {value->valuestring, strlen(value->valuestring)};
        zoo_gnode end = zoo_g_mark(b, b->quote, next);
        return zoo_g_mark(b, b->quote, zoo_g_text(b, text.s, text.n, end));
    }
    if (!is_object && !cJSON_IsArray(value)) {
        return literal(b, value, next);
    }
    next = zoo_g_text(b, is_object ? "}" : "]", 1, next);
    for (int i = cJSON_GetArraySize(value) - 1; i >= 0 && b->status == ZOO_OK; i--) {
        const cJSON *item = cJSON_GetArrayItem(value, i);
        next = loose_literal(b, item, next);
        next = is_object ? zoo_g_key(b, item->string, next) : next;
        next = i ? zoo_g_text(b, ",", 1, next) : next;
    }
    return zoo_g_text(b, is_object ? "{" : "[", 1, next);
}

static zoo_gnode literal(zoo_gbuild *b, const cJSON *value, zoo_gnode next)
{
    if (b->quote.n && (cJSON_IsString(value) || cJSON_IsObject(value) || cJSON_IsArray(value))) {
        return loose_literal(b, value, next);
    }
    char *text = is_exact(value) ? cJSON_PrintUnformatted(value) : NULL;
    if (!text) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "enum or const holds a number beyond 2^53");
        return ZOO_GNODE_RETURN;
    }
    zoo_gnode out = zoo_g_text(b, text, strlen(text), next);
    cJSON_free(text);
    return out;
}

/* Keywords that would have to be checked on each listed value are refused beside a list. */
static void check_alone(zoo_gbuild *b, const cJSON *schema, const char *keyword)
{
    static const char *const beside[] = {"type", "enum", "const", "format"};
    for (const cJSON *c = schema->child; c; c = c->next) {
        if (!zoo_gschema_is_annotation(c->string) &&
            !is_one_of(c->string, beside, ZOO_COUNT(beside))) {
            zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "%s beside %.60s is not supported", keyword,
                            c->string);
        }
    }
}

static zoo_gnode add_literal(zoo_gbuild *b, const cJSON *schema, const cJSON *value, bool *any,
                             zoo_gnode out, zoo_gnode next)
{
    if (!(type_of_value(value) & zoo_gschema_types(b, schema))) {
        return out;
    }
    zoo_gnode one = literal(b, value, next);
    out = *any ? zoo_g_either(b, out, one) : one;
    *any = true;
    return out;
}

zoo_gnode zoo_g_schema_listed(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    const cJSON *list = get(schema, "enum"), *value = get(schema, "const");
    zoo_gnode out = ZOO_GNODE_RETURN;
    bool any = false;
    check_alone(b, schema, list ? "enum" : "const");
    if (list && !cJSON_IsArray(list)) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "enum is not a list");
        return out;
    }
    if (!list) {
        out = add_literal(b, schema, value, &any, out, next);
    }
    for (const cJSON *c = list ? list->child : NULL; c; c = c->next) {
        if (!value || cJSON_Compare(c, value, 1)) {
            out = add_literal(b, schema, c, &any, out, next);
        }
    }
    if (!any) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "enum and const leave no value of the type");
    }
    return out;
}

static void check_exclusive(zoo_gbuild *b, const cJSON *list)
{
    for (const cJSON *x = list->child; x; x = x->next) {
        for (const cJSON *y = x->next; y && b->status == ZOO_OK; y = y->next) {
            if (!zoo_gschema_exclude(b, x, y)) {
                zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                                "oneOf with alternatives that one value may both satisfy is not "
                                "supported (anyOf is)");
            }
        }
    }
}

static zoo_gnode alternatives(zoo_gbuild *b, const cJSON *schema, const char *key, zoo_gnode next)
{
    const cJSON *list = get(schema, key);
    zoo_gnode out = ZOO_GNODE_RETURN;
    if (!cJSON_IsArray(list) || !list->child) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "%s is not a list of schemas", key);
        return out;
    }
    if (strcmp(key, "oneOf") == 0) {
        check_exclusive(b, list);
    }
    const cJSON *rest = zoo_gschema_without(b, schema, key);
    for (const cJSON *c = list->child; c && b->status == ZOO_OK; c = c->next) {
        const cJSON *one = zoo_gschema_merge(b, rest, c);
        zoo_gnode node = one ? zoo_g_schema(b, one, next) : ZOO_GNODE_RETURN;
        out = c == list->child ? node : zoo_g_either(b, out, node);
    }
    return out;
}

/* The regular expression that `pattern` says or `format` stands for; null: none. */
static const char *pattern_of(zoo_gbuild *b, const cJSON *schema)
{
    const cJSON *pattern = get(schema, "pattern"), *format = get(schema, "format");
    const char *found = NULL;
    if (pattern && !cJSON_IsString(pattern)) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "pattern is not a string");
        return NULL;
    }
    if (format) {
        const char *name = cJSON_IsString(format) ? format->valuestring : "";
        found = zoo_gformat_pattern(name);
        if (!found) {
            zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "the format '%.60s' is not supported", name);
        } else if (pattern) {
            zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED, "pattern beside format is not supported");
        }
    }
    return pattern ? pattern->valuestring : found;
}

static zoo_gnode string(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    const char *pattern = pattern_of(b, schema);
    uint32_t min = zoo_gschema_count(b, schema, "minLength", 0);
    uint32_t max = zoo_gschema_count(b, schema, "maxLength", UINT32_MAX);
    if (min > max) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "minLength is greater than maxLength");
    }
    if (!pattern) {
        return zoo_g_string(b, min, max, next);
    }
    if (b->quote.n) {
        zoo_gbuild_fail(b, ZOO_E_UNSUPPORTED,
                        "pattern and format cannot be kept in this model's calls");
    }
    return zoo_g_pattern(b, pattern, min, max, next);
}

static zoo_gnode boolean(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    (void)schema;
    return zoo_g_either(b, zoo_g_text(b, "true", 4, next), zoo_g_text(b, "false", 5, next));
}

static zoo_gnode null(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    (void)schema;
    return zoo_g_text(b, "null", 4, next);
}

static zoo_gnode of_types(zoo_gbuild *b, const cJSON *schema, unsigned bits, zoo_gnode next)
{
    typedef zoo_gnode (*build_fn)(zoo_gbuild *, const cJSON *, zoo_gnode);
    static const struct {
        unsigned bit;
        build_fn build;
    } types[] = {{ZOO_T_OBJECT, zoo_g_schema_object},
                 {ZOO_T_ARRAY, zoo_g_schema_array},
                 {ZOO_T_STRING, string},
                 {ZOO_T_NUMBER, zoo_g_schema_number},
                 {ZOO_T_INTEGER, zoo_g_schema_integer},
                 {ZOO_T_BOOLEAN, boolean},
                 {ZOO_T_NULL, null}};
    zoo_gnode out = ZOO_GNODE_RETURN;
    bool any = false;
    bits &= bits & ZOO_T_NUMBER ? ~(unsigned)ZOO_T_INTEGER : ~0u;
    for (size_t i = 0; i < ZOO_COUNT(types); i++) {
        if (bits & types[i].bit) {
            zoo_gnode one = types[i].build(b, schema, next);
            out = any ? zoo_g_either(b, out, one) : one;
            any = true;
        }
    }
    if (!any) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "no JSON type is left for a value");
    }
    return out;
}

static zoo_gnode body(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    schema = zoo_gschema_resolve(b, schema);
    if (b->status != ZOO_OK || !schema) {
        return ZOO_GNODE_RETURN;
    }
    if (cJSON_IsTrue(schema)) {
        return zoo_g_value(b, next);
    }
    if (!cJSON_IsObject(schema)) {
        zoo_gbuild_fail(b, ZOO_E_FORMAT, "a schema is neither an object nor true");
        return ZOO_GNODE_RETURN;
    }
    check_keys(b, schema);
    if (get(schema, "anyOf")) {
        return alternatives(b, schema, "anyOf", next);
    }
    if (get(schema, "oneOf")) {
        return alternatives(b, schema, "oneOf", next);
    }
    if (get(schema, "enum") || get(schema, "const")) {
        return zoo_g_schema_listed(b, schema, next);
    }
    if (get(schema, "type")) {
        return of_types(b, schema, zoo_gschema_types(b, schema), next);
    }
    unsigned implied = implied_types(schema);
    return implied ? of_types(b, schema, implied, next) : zoo_g_value(b, next);
}

zoo_gnode zoo_g_schema(zoo_gbuild *b, const cJSON *schema, zoo_gnode next)
{
    for (uint32_t i = 0; i < b->code->n_rules; i++) {
        if (b->code->rules[i].schema == schema) {
            return zoo_g_call(b, i, next);
        }
    }
    if (b->depth >= DEPTH_MAX) {
        zoo_gbuild_fail(b, ZOO_E_LIMIT, "it is nested deeper than %d", DEPTH_MAX);
    }
    if (b->status != ZOO_OK) {
        return ZOO_GNODE_RETURN;
    }
    b->depth++;
    uint32_t rule = zoo_g_rule(b, schema);
    zoo_g_rule_set(b, rule, body(b, schema, ZOO_GNODE_RETURN));
    b->depth--;
    return zoo_g_call(b, rule, next);
}
