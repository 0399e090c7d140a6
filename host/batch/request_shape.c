/*
 * request_shape.c: what the answer must look like: response_format, and vLLM's structured_outputs
 * and guided_* for the same. One of them at most asks for a shape.
 */
#include <string.h>

#include "batch/request.h"

static zoo_status wrong(zoo_request *out, const char *key, const char *wanted, zoo_error *err)
{
    return zoo_request_refuse(out, key, ZOO_E_USAGE, err, "%s must be %s", key, wanted);
}

/* A schema, or its JSON as a string. */
static zoo_status take_schema(const char *key, const cJSON *value, zoo_request *out, zoo_error *err)
{
    const char *text = cJSON_GetStringValue(value);
    if (text && zoo_json_parse(text, strlen(text), key, &out->owned, NULL) != ZOO_OK) {
        return wrong(out, key, "a JSON schema", err);
    }
    out->schema = text ? out->owned : value;
    return cJSON_IsObject(out->schema) || cJSON_IsBool(out->schema)
               ? ZOO_OK
               : wrong(out, key, "a JSON schema", err);
}

static zoo_status take_pattern(const char *key, const cJSON *value, zoo_request *out,
                               zoo_error *err)
{
    out->pattern = cJSON_GetStringValue(value);
    return out->pattern && out->pattern[0] ? ZOO_OK : wrong(out, key, "a regular expression", err);
}

static zoo_status take_options(const char *key, const cJSON *value, zoo_request *out,
                               zoo_error *err)
{
    const cJSON *item;
    bool ok = cJSON_IsArray(value) && value->child;
    cJSON_ArrayForEach(item, value)
    {
        ok = ok && cJSON_IsString(item) && item->valuestring[0];
    }
    out->options = value;
    return ok ? ZOO_OK : wrong(out, key, "a list of strings, none of them empty", err);
}

static zoo_status take_grammar(const char *key, const cJSON *value, zoo_request *out,
                               zoo_error *err)
{
    out->ebnf = cJSON_GetStringValue(value);
    return out->ebnf && out->ebnf[0] ? ZOO_OK : wrong(out, key, "a grammar in EBNF", err);
}

static zoo_status take_object(const char *key, const cJSON *value, zoo_request *out, zoo_error *err)
{
    if (!cJSON_IsTrue(value)) {
        return wrong(out, key, "true", err);
    }
    return ZOO_OK; /* no schema: any object */
}

typedef zoo_status zoo_shape_take(const char *key, const cJSON *value, zoo_request *out,
                                  zoo_error *err);

static const struct {
    const char *key, *inner; /* as a key of the body, and inside structured_outputs */
    zoo_shape_take *take;
} shapes[] = {{"guided_json", "json", take_schema},
              {"guided_regex", "regex", take_pattern},
              {"guided_choice", "choice", take_options},
              {"guided_grammar", "grammar", take_grammar},
              {"", "json_object", take_object}};

static zoo_status read_structured(const char *key, const cJSON *value, zoo_request *out,
                                  zoo_error *err)
{
    /* Keys that only concern other engines. */
    static const char *const hints[] = {"disable_any_whitespace", "disable_fallback"};
    uint32_t n_shapes = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, value)
    {
        size_t i = 0;
        while (i < ZOO_COUNT(shapes) && strcmp(shapes[i].inner, c->string) != 0) {
            i++;
        }
        if (cJSON_IsNull(c) || cJSON_IsFalse(c) || strcmp(hints[0], c->string) == 0 ||
            strcmp(hints[1], c->string) == 0) {
            continue;
        }
        if (i == ZOO_COUNT(shapes)) {
            return zoo_request_refuse(out, key, ZOO_E_UNSUPPORTED, err,
                                      "%s has the key \"%.40s\", which is not read", key,
                                      c->string);
        }
        n_shapes++;
        ZOO_TRY(shapes[i].take(key, c, out, err));
    }
    return cJSON_IsObject(value) && n_shapes == 1
               ? ZOO_OK
               : wrong(out, key, "an object with one of json, regex, choice, grammar, json_object",
                       err);
}

static zoo_status read_format(const char *key, const cJSON *value, zoo_request *out, zoo_error *err)
{
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(value, "type"));
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(value, "json_schema");
    if (!type) {
        return wrong(out, key, "an object with a type", err);
    }
    if (strcmp(type, "json_schema") == 0) {
        out->schema = cJSON_GetObjectItemCaseSensitive(named, "schema");
        return out->schema ? ZOO_OK : wrong(out, key, "an object with a json_schema.schema", err);
    }
    return strcmp(type, "json_object") == 0
               ? ZOO_OK
               : zoo_request_refuse(out, key, ZOO_E_UNSUPPORTED, err,
                                    "%s: the type \"%.40s\" is not supported; text, json_object "
                                    "and json_schema are",
                                    key, type);
}

/* {"type": "text"} asks for nothing. */
static bool is_text(const cJSON *value)
{
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(value, "type"));
    return type && strcmp(type, "text") == 0;
}

zoo_status zoo_request_shape(const char *key, const cJSON *value, zoo_request *out, zoo_error *err)
{
    if (strcmp(key, "response_format") == 0 && is_text(value)) {
        return ZOO_OK;
    }
    if (out->wants_json) {
        return zoo_request_refuse(out, key, ZOO_E_USAGE, err,
                                  "%s and %s both constrain the answer; give only one of them", key,
                                  out->shape_key);
    }
    out->wants_json = true;
    for (size_t i = 0; i < ZOO_COUNT(shapes); i++) {
        if (strcmp(shapes[i].key, key) == 0) {
            out->shape_key = shapes[i].key;
            return shapes[i].take(key, value, out, err);
        }
    }
    bool is_format = strcmp(key, "response_format") == 0;
    out->shape_key = is_format ? "response_format" : "structured_outputs";
    return is_format ? read_format(key, value, out, err) : read_structured(key, value, out, err);
}
