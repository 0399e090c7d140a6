/*
 * grammar_tools.c: the schema of tool calls: {"name": one of the names, "arguments": its
 * parameters}.
 */
#include <string.h>

#include "text/grammar.h"

/* The function of a tool: {"type": "function", "function": {...}}, or the object itself. */
static const cJSON *function_of(const cJSON *tool)
{
    const cJSON *function = cJSON_GetObjectItemCaseSensitive(tool, "function");
    return function ? function : tool;
}

static bool put(cJSON *object, const char *key, cJSON *item)
{
    if (!item || !object || !cJSON_AddItemToObject(object, key, item)) {
        cJSON_Delete(item);
        return false;
    }
    return true;
}

/* One call; without parameters any object is an argument. */
static cJSON *call_schema(const char *name, const cJSON *parameters)
{
    static const char *const keys[] = {"name", "arguments"};
    cJSON *call = cJSON_CreateObject(), *properties = cJSON_CreateObject();
    cJSON *const_name = cJSON_CreateObject();
    bool ok = put(call, "type", cJSON_CreateString("object")) &&
              put(const_name, "const", cJSON_CreateString(name));
    ok = put(properties, "name", const_name) && ok;
    cJSON *arguments = parameters ? cJSON_Duplicate(parameters, 1) : cJSON_CreateObject();
    ok = (parameters || put(arguments, "type", cJSON_CreateString("object"))) && ok;
    ok = put(properties, "arguments", arguments) && ok;
    ok = put(call, "properties", properties) && ok;
    ok = ok && put(call, "required", cJSON_CreateStringArray(keys, 2));
    if (!ok) {
        cJSON_Delete(call);
        return NULL;
    }
    return call;
}

static bool has_reference(const cJSON *schema)
{
    for (const cJSON *c = schema ? schema->child : NULL; c; c = c->next) {
        if ((c->string && strcmp(c->string, "$ref") == 0) || has_reference(c)) {
            return true;
        }
    }
    return false;
}

static zoo_status add_call(cJSON *list, const cJSON *tool, const char *choice, zoo_error *err)
{
    const cJSON *function = function_of(tool);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(function, "name");
    const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(function, "parameters");
    if (!cJSON_IsString(name)) {
        return zoo_fail(err, ZOO_E_FORMAT, "a tool has no name");
    }
    if (choice && strcmp(choice, name->valuestring) != 0) {
        return ZOO_OK;
    }
    if (has_reference(parameters)) {
        return zoo_fail(err, ZOO_E_UNSUPPORTED,
                        "the tool '%.60s': $ref in parameters is not supported", name->valuestring);
    }
    cJSON *call = call_schema(name->valuestring, parameters);
    if (!call || !cJSON_AddItemToArray(list, call)) {
        cJSON_Delete(call);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the schema of tools");
    }
    return ZOO_OK;
}

zoo_status zoo_grammar_tool_schema(const cJSON *tools, const char *choice, cJSON **schema,
                                   zoo_error *err)
{
    cJSON *out = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(out, "anyOf");
    zoo_status status = list ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory for a schema");
    *schema = NULL;
    for (const cJSON *c = tools ? tools->child : NULL; c && status == ZOO_OK; c = c->next) {
        status = add_call(list, c, choice, err);
    }
    if (status == ZOO_OK && !list->child) {
        status = zoo_fail(err, ZOO_E_USAGE, "there is no tool%s%.60s", choice ? " " : "",
                          choice ? choice : "");
    }
    if (status != ZOO_OK) {
        cJSON_Delete(out);
        return status;
    }
    *schema = out;
    return ZOO_OK;
}
