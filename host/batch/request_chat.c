/*
 * request_chat.c: messages and tools of a chat request, as the template gets them.
 *
 * Content given as a list of text parts becomes one string, parts joined by a line feed; arguments
 * of tool calls become objects, as templates expect. Every key of a message goes to the template.
 */
#include <string.h>

#include "base/mem.h"
#include "batch/request.h"

static zoo_status bad_message(zoo_request *out, int index, const char *what, zoo_error *err)
{
    return zoo_request_refuse(out, "messages", ZOO_E_USAGE, err, "messages[%d]%s", index, what);
}

/* Checks that the parts are text and adds up their bytes. */
static zoo_status judge_parts(const cJSON *parts, int index, size_t *n, zoo_request *out,
                              zoo_error *err)
{
    const cJSON *part;
    *n = 1;
    cJSON_ArrayForEach(part, parts)
    {
        const cJSON *type = cJSON_GetObjectItemCaseSensitive(part, "type");
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(part, "text");
        if (!cJSON_IsString(type)) {
            return bad_message(out, index, " has a content part without a type", err);
        }
        if (strcmp(type->valuestring, "text") != 0) {
            return zoo_request_refuse(out, "messages", ZOO_E_UNSUPPORTED, err,
                                      "messages[%d] has a content part of type \"%.40s\"; only "
                                      "text is read",
                                      index, type->valuestring);
        }
        if (!cJSON_IsString(text)) {
            return bad_message(out, index, " has a text part without text", err);
        }
        *n += strlen(text->valuestring) + 1;
    }
    return ZOO_OK;
}

static zoo_status join_parts(cJSON *message, const cJSON *parts, int index, zoo_request *out,
                             zoo_error *err)
{
    const cJSON *part;
    cJSON *joined;
    char *text;
    size_t n, at = 0;
    ZOO_TRY(judge_parts(parts, index, &n, out, err));
    text = zoo_mem_alloc(n);
    if (!text) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for messages[%d]", index);
    }
    text[0] = 0;
    cJSON_ArrayForEach(part, parts)
    {
        const char *s = cJSON_GetObjectItemCaseSensitive(part, "text")->valuestring;
        size_t length = strlen(s);
        if (at > 0 || part != parts->child) {
            text[at++] = '\n';
        }
        memcpy(text + at, s, length + 1);
        at += length;
    }
    joined = cJSON_CreateString(text);
    zoo_mem_free(text);
    if (!joined || !cJSON_ReplaceItemInObjectCaseSensitive(message, "content", joined)) {
        cJSON_Delete(joined);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for messages[%d]", index);
    }
    return ZOO_OK;
}

static zoo_status read_calls(cJSON *calls, int index, zoo_request *out, zoo_error *err)
{
    cJSON *call;
    if (!cJSON_IsArray(calls)) {
        return bad_message(out, index, ".tool_calls must be a list", err);
    }
    cJSON_ArrayForEach(call, calls)
    {
        cJSON *function = cJSON_GetObjectItemCaseSensitive(call, "function");
        cJSON *arguments = cJSON_GetObjectItemCaseSensitive(function, "arguments");
        cJSON *tree;
        if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(function, "name"))) {
            return bad_message(out, index, ".tool_calls: a call has no function.name", err);
        }
        if (!cJSON_IsString(arguments)) {
            continue;
        }
        if (zoo_json_parse(arguments->valuestring, strlen(arguments->valuestring), "arguments",
                           &tree, NULL) != ZOO_OK ||
            !cJSON_IsObject(tree)) {
            cJSON_Delete(tree);
            return bad_message(out, index, ".tool_calls: arguments are not a JSON object", err);
        }
        if (!cJSON_ReplaceItemInObjectCaseSensitive(function, "arguments", tree)) {
            cJSON_Delete(tree);
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for messages[%d]", index);
        }
    }
    return ZOO_OK;
}

static zoo_status read_message(cJSON *message, int index, zoo_request *out, zoo_error *err)
{
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(message, "role");
    cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
    cJSON *calls = cJSON_GetObjectItemCaseSensitive(message, "tool_calls");
    bool has_calls = calls && !cJSON_IsNull(calls);
    if (!cJSON_IsObject(message)) {
        return bad_message(out, index, " is not an object", err);
    }
    if (!cJSON_IsString(role) || !role->valuestring[0]) {
        return bad_message(out, index, " has no role", err);
    }
    if (has_calls) {
        ZOO_TRY(read_calls(calls, index, out, err));
    }
    if (cJSON_IsString(content)) {
        return ZOO_OK;
    }
    if (cJSON_IsArray(content)) {
        return join_parts(message, content, index, out, err);
    }
    if ((!content || cJSON_IsNull(content)) && strcmp(role->valuestring, "assistant") == 0) {
        return ZOO_OK;
    }
    return bad_message(out, index, ".content must be a string or a list of text parts", err);
}

/* Moves a key of the body into the variables; absent and null: nothing. */
static bool move(cJSON *body, cJSON *variables, const char *key)
{
    cJSON *value = cJSON_GetObjectItemCaseSensitive(body, key);
    if (!value || cJSON_IsNull(value)) {
        return true;
    }
    value = cJSON_DetachItemViaPointer(body, value);
    if (!cJSON_AddItemToObject(variables, key, value)) {
        cJSON_Delete(value);
        return false;
    }
    return true;
}

static zoo_status judge_lists(const cJSON *body, zoo_request *out, zoo_error *err)
{
    const cJSON *tools = cJSON_GetObjectItemCaseSensitive(body, "tools");
    const cJSON *documents = cJSON_GetObjectItemCaseSensitive(body, "documents");
    const cJSON *modalities = cJSON_GetObjectItemCaseSensitive(body, "modalities");
    const cJSON *item;
    if (tools && !cJSON_IsNull(tools) && !cJSON_IsArray(tools)) {
        return zoo_request_refuse(out, "tools", ZOO_E_USAGE, err, "tools must be a list");
    }
    cJSON_ArrayForEach(item, tools)
    {
        const cJSON *function = cJSON_GetObjectItemCaseSensitive(item, "function");
        if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(function, "name"))) {
            return zoo_request_refuse(out, "tools", ZOO_E_USAGE, err,
                                      "tools: an entry has no function.name");
        }
    }
    if (documents && !cJSON_IsNull(documents) && !cJSON_IsArray(documents)) {
        return zoo_request_refuse(out, "documents", ZOO_E_USAGE, err, "documents must be a list");
    }
    cJSON_ArrayForEach(item, modalities)
    {
        if (!cJSON_IsString(item) || strcmp(item->valuestring, "text") != 0) {
            return zoo_request_refuse(out, "modalities", ZOO_E_UNSUPPORTED, err,
                                      "modalities: only text is generated");
        }
    }
    return ZOO_OK;
}

zoo_status zoo_request_chat(cJSON *body, zoo_request *out, zoo_error *err)
{
    static const char *const keys[] = {"messages", "documents", "continue_final_message",
                                       "reasoning_effort", "chat_template_kwargs"};
    cJSON *messages = cJSON_GetObjectItemCaseSensitive(body, "messages");
    const cJSON *choice = cJSON_GetObjectItemCaseSensitive(body, "tool_choice");
    const cJSON *add = cJSON_GetObjectItemCaseSensitive(body, "add_generation_prompt");
    bool goes_on = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "continue_final_message"));
    cJSON *message;
    bool ok;
    int index = 0;
    if (!cJSON_IsArray(messages) || !messages->child) {
        return zoo_request_refuse(out, "messages", ZOO_E_USAGE, err,
                                  "messages must be a list that is not empty");
    }
    if (goes_on && cJSON_IsTrue(add)) {
        return zoo_request_refuse(out, "continue_final_message", ZOO_E_USAGE, err,
                                  "continue_final_message and add_generation_prompt exclude each "
                                  "other");
    }
    ZOO_TRY(judge_lists(body, out, err));
    for (message = messages->child; message; message = message->next) {
        ZOO_TRY(read_message(message, index++, out, err));
    }
    out->variables = cJSON_CreateObject();
    ok = out->variables &&
         cJSON_AddBoolToObject(out->variables, "add_generation_prompt",
                               add && !cJSON_IsNull(add) ? cJSON_IsTrue(add) : !goes_on);
    for (size_t i = 0; ok && i < ZOO_COUNT(keys); i++) {
        ok = move(body, out->variables, keys[i]);
    }
    if (ok && !(cJSON_IsString(choice) && strcmp(choice->valuestring, "none") == 0)) {
        ok = move(body, out->variables, "tools");
    }
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "no memory for the messages");
}
