/*
 * request_chat.c: messages and tools of a chat request, as the template gets them.
 *
 * Content given as a list of text parts becomes one string, parts joined by a line feed; arguments
 * of tool calls become objects, as most templates expect (their text is kept for the others). A key
 * of a message goes to the template, which must mention it; null is absent.
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

/* Keeps a call's arguments as the client wrote them, for templates that join them as text. */
static bool keep_text(zoo_request *out, cJSON *function, const char *text)
{
    cJSON *copy = cJSON_CreateString(text);
    uint32_t n = out->n_call_texts;
    zoo_call_text *grown =
        n % 8 > 0 ? out->call_texts : zoo_mem_realloc(out->call_texts, (n + 8u) * sizeof *grown);
    out->call_texts = grown ? grown : out->call_texts;
    if (!grown || !copy) {
        cJSON_Delete(copy);
        return false;
    }
    out->call_texts[out->n_call_texts++] = (zoo_call_text){function, copy};
    return true;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == 0;
}

/* Arguments become an object; blank or none: an empty one. */
static zoo_status read_arguments(cJSON *function, int index, zoo_request *out, zoo_error *err)
{
    cJSON *arguments = cJSON_GetObjectItemCaseSensitive(function, "arguments"), *tree = NULL;
    const char *text = cJSON_GetStringValue(arguments);
    if (cJSON_IsObject(arguments)) {
        return ZOO_OK;
    }
    if (!arguments || cJSON_IsNull(arguments) || (text && is_blank(text))) {
        tree = cJSON_CreateObject();
    } else if (!text || zoo_json_parse(text, strlen(text), "arguments", &tree, NULL) != ZOO_OK ||
               !cJSON_IsObject(tree)) {
        cJSON_Delete(tree);
        return bad_message(out, index, ".tool_calls: arguments are not a JSON object", err);
    }
    bool ok = tree && (!text || keep_text(out, function, text));
    ok = ok && (arguments ? cJSON_ReplaceItemInObjectCaseSensitive(function, "arguments", tree)
                          : cJSON_AddItemToObject(function, "arguments", tree));
    if (!ok) {
        cJSON_Delete(tree);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for messages[%d]", index);
    }
    return ZOO_OK;
}

bool zoo_request_arguments_as_text(zoo_request *r)
{
    bool ok = true;
    for (uint32_t i = 0; i < r->n_call_texts; i++) {
        zoo_call_text *call = &r->call_texts[i];
        if (call->text) {
            ok = cJSON_ReplaceItemInObjectCaseSensitive(call->function, "arguments", call->text);
            call->text = ok ? NULL : call->text;
        }
    }
    return ok && r->n_call_texts > 0;
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
        if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(function, "name"))) {
            return bad_message(out, index, ".tool_calls: a call has no function.name", err);
        }
        ZOO_TRY(read_arguments(function, index, out, err));
    }
    return ZOO_OK;
}

/* A key that is not read here must be one that the template reads. */
static zoo_status judge_message_key(const zoo_request_context *context, const cJSON *value,
                                    int index, zoo_request *out, zoo_error *err)
{
    static const char *const known[] = {
        "role", "content", "name", "tool_calls", "reasoning", "reasoning_content", "tool_call_id"};
    const char *key = value->string;
    for (size_t i = 0; i < ZOO_COUNT(known); i++) {
        if (strcmp(key, known[i]) == 0) {
            return ZOO_OK;
        }
    }
    /* Members of an answer that a client sends back. */
    if (strcmp(key, "annotations") == 0 && cJSON_IsArray(value)) {
        return ZOO_OK;
    }
    if (context->chat && zoo_template_mentions(context->chat, key)) {
        return ZOO_OK;
    }
    return zoo_request_refuse(out, "messages", ZOO_E_UNSUPPORTED, err,
                              "messages[%d] has the key \"%.60s\", which the chat template does "
                              "not read%s",
                              index, key,
                              strcmp(key, "function_call") == 0 ? " (tool_calls it does)" : "");
}

/* null is absent, but for content, which a template may ask about. */
static void drop_nulls(cJSON *object)
{
    for (cJSON *value = object->child, *next; value; value = next) {
        next = value->next;
        if (cJSON_IsNull(value) && strcmp(value->string, "content") != 0) {
            cJSON_Delete(cJSON_DetachItemViaPointer(object, value));
        }
    }
}

/* reasoning and reasoning_content are one thing; templates know one or the other. */
static bool share_reasoning(cJSON *message)
{
    static const char *const names[] = {"reasoning", "reasoning_content"};
    for (int i = 0; i < 2; i++) {
        const cJSON *there = cJSON_GetObjectItemCaseSensitive(message, names[i]);
        if (cJSON_IsString(there) && !cJSON_HasObjectItem(message, names[1 - i])) {
            return cJSON_AddStringToObject(message, names[1 - i], there->valuestring) != NULL;
        }
    }
    return true;
}

static zoo_status read_content(cJSON *message, const char *role, int index, zoo_request *out,
                               zoo_error *err)
{
    cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
    bool is_said =
        strcmp(role, "user") != 0 && strcmp(role, "system") != 0 && strcmp(role, "developer") != 0;
    if (cJSON_IsString(content)) {
        return ZOO_OK;
    }
    if (cJSON_IsArray(content) && (content->child || !is_said)) {
        return join_parts(message, content, index, out, err);
    }
    if (is_said && (!content || cJSON_IsNull(content) || cJSON_IsArray(content))) {
        return ZOO_OK;
    }
    return bad_message(out, index, ".content must be a string or a list of text parts", err);
}

static zoo_status read_message(const zoo_request_context *context, cJSON *message, int index,
                               zoo_request *out, zoo_error *err)
{
    const cJSON *role = cJSON_GetObjectItemCaseSensitive(message, "role"), *value;
    cJSON *calls;
    if (!cJSON_IsObject(message)) {
        return bad_message(out, index, " is not an object", err);
    }
    if (!cJSON_IsString(role) || !role->valuestring[0]) {
        return bad_message(out, index, " has no role", err);
    }
    drop_nulls(message);
    cJSON_ArrayForEach(value, message)
    {
        ZOO_TRY(judge_message_key(context, value, index, out, err));
    }
    calls = cJSON_GetObjectItemCaseSensitive(message, "tool_calls");
    if (calls) {
        ZOO_TRY(read_calls(calls, index, out, err));
    }
    if (!share_reasoning(message)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for messages[%d]", index);
    }
    return read_content(message, role->valuestring, index, out, err);
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
    if (modalities && !cJSON_IsNull(modalities) && !cJSON_IsArray(modalities)) {
        return zoo_request_refuse(out, "modalities", ZOO_E_USAGE, err, "modalities must be a list");
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

/* Keys that are checked on their own may not come in through this one. */
static zoo_status judge_kwargs(const cJSON *body, zoo_request *out, zoo_error *err)
{
    static const char *const ours[] = {"messages", "tools", "documents"};
    const cJSON *kwargs = cJSON_GetObjectItemCaseSensitive(body, "chat_template_kwargs");
    for (size_t i = 0; i < ZOO_COUNT(ours); i++) {
        if (cJSON_GetObjectItemCaseSensitive(kwargs, ours[i])) {
            return zoo_request_refuse(out, "chat_template_kwargs", ZOO_E_USAGE, err,
                                      "chat_template_kwargs cannot replace %s", ours[i]);
        }
    }
    return ZOO_OK;
}

zoo_status zoo_request_chat(const zoo_request_context *context, cJSON *body, zoo_request *out,
                            zoo_error *err)
{
    static const char *const keys[] = {"messages",         "documents", "continue_final_message",
                                       "reasoning_effort", "verbosity", "chat_template_kwargs"};
    cJSON *messages = cJSON_GetObjectItemCaseSensitive(body, "messages");
    const cJSON *choice = cJSON_GetObjectItemCaseSensitive(body, "tool_choice");
    const cJSON *add = cJSON_GetObjectItemCaseSensitive(body, "add_generation_prompt");
    bool goes_on = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "continue_final_message"));
    cJSON *message;
    bool ok;
    int index = 0;
    if (!cJSON_IsArray(messages) || !messages->child) {
        return zoo_request_refuse(out, "messages", ZOO_E_USAGE, err,
                                  "messages must be a non-empty list");
    }
    if (goes_on && cJSON_IsTrue(add)) {
        return zoo_request_refuse(out, "continue_final_message", ZOO_E_USAGE, err,
                                  "continue_final_message and add_generation_prompt exclude each "
                                  "other");
    }
    ZOO_TRY(judge_lists(body, out, err));
    ZOO_TRY(judge_kwargs(body, out, err));
    for (message = messages->child; message; message = message->next) {
        ZOO_TRY(read_message(context, message, index++, out, err));
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
