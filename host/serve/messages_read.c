/*
 * messages_read.c: translates a body of Anthropic's Messages API into that of a chat.
 *
 *   system            -> a message of the role system
 *   content blocks    -> text: content; thinking: reasoning_content; tool_use: tool_calls;
 *                        tool_result: a message of the role tool before the rest
 *   tools             -> functions; tool_choice any, tool, auto, none, disable_parallel_tool_use
 *   thinking          -> enable_thinking for the template, budget_tokens as max_thinking_tokens
 *   output_config     -> response_format
 *
 * Images, documents and tools that run on the server are refused by name. Source: Anthropic's
 * reference of the Messages API.
 */
#include <string.h>

#include "serve/dialect.h"
#include "serve/messages.h"

static zoo_status no_memory(zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "no memory for the messages");
}

/* A message being built from its blocks. */
typedef struct message {
    const char *role;
    cJSON *texts;     /* parts of content */
    cJSON *calls;     /* of an assistant */
    cJSON *reasoning; /* a text */
} message;

static bool add_part(message *m, const char *text)
{
    cJSON *part = cJSON_CreateObject();
    bool ok = part && cJSON_AddStringToObject(part, "type", "text") &&
              cJSON_AddStringToObject(part, "text", text);
    m->texts = m->texts ? m->texts : cJSON_CreateArray();
    if (!ok) {
        cJSON_Delete(part);
    }
    return ok && zoo_put(m->texts, NULL, part);
}

static zoo_status add_call(zoo_translation *t, message *m, cJSON *block, zoo_error *err)
{
    cJSON *input = cJSON_DetachItemFromObjectCaseSensitive(block, "input");
    cJSON *call = cJSON_CreateObject(), *function;
    if (!zoo_text_at(block, "id") || !zoo_text_at(block, "name") || !cJSON_IsObject(input)) {
        cJSON_Delete(input);
        cJSON_Delete(call);
        return zoo_translation_refuse(t, "messages", ZOO_E_USAGE, err,
                                      "a tool_use block needs id, name and input, an object");
    }
    m->calls = m->calls ? m->calls : cJSON_CreateArray();
    function = call ? cJSON_AddObjectToObject(call, "function") : NULL;
    bool ok = zoo_put(function, "arguments", input) &&
              cJSON_AddStringToObject(function, "name", zoo_text_at(block, "name")) &&
              cJSON_AddStringToObject(call, "id", zoo_text_at(block, "id")) &&
              cJSON_AddStringToObject(call, "type", "function");
    if (!ok) {
        cJSON_Delete(call);
        return no_memory(err);
    }
    return zoo_put(m->calls, NULL, call) ? ZOO_OK : no_memory(err);
}

/* A tool_result, whose content is a text or text blocks, becomes a message of its own. */
static zoo_status add_result(zoo_translation *t, cJSON *list, cJSON *block, zoo_error *err)
{
    cJSON *content = cJSON_DetachItemFromObjectCaseSensitive(block, "content");
    cJSON *result = cJSON_CreateObject(), *part;
    const char *id = zoo_text_at(block, "tool_use_id");
    cJSON_ArrayForEach(part, content)
    {
        if (!zoo_text_is(part, "type", "text")) {
            const char *type = zoo_text_at(part, "type");
            zoo_status status = zoo_translation_refuse(
                t, "messages", ZOO_E_UNSUPPORTED, err,
                "a tool_result has a block of type \"%.40s\"; only text is supported",
                type ? type : "");
            cJSON_Delete(content);
            cJSON_Delete(result);
            return status;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(part, "cache_control");
    }
    content = content ? content : cJSON_CreateString("");
    bool ok = zoo_put(result, "content", content) &&
              cJSON_AddStringToObject(result, "role", "tool") &&
              cJSON_AddStringToObject(result, "tool_call_id", id ? id : "");
    if (!ok) {
        cJSON_Delete(result);
        return no_memory(err);
    }
    return zoo_put(list, NULL, result) ? ZOO_OK : no_memory(err);
}

static zoo_status read_block(zoo_translation *t, cJSON *list, message *m, cJSON *block,
                             zoo_error *err)
{
    const char *type = zoo_text_at(block, "type"), *text = zoo_text_at(block, "text");
    const char *thinking = zoo_text_at(block, "thinking");
    if (type && strcmp(type, "text") == 0 && text) {
        return add_part(m, text) ? ZOO_OK : no_memory(err);
    }
    if (type && strcmp(type, "tool_use") == 0) {
        return add_call(t, m, block, err);
    }
    if (type && strcmp(type, "tool_result") == 0) {
        return add_result(t, list, block, err);
    }
    if (type && strcmp(type, "thinking") == 0 && thinking) {
        cJSON_Delete(m->reasoning);
        m->reasoning = cJSON_CreateString(thinking);
        return m->reasoning ? ZOO_OK : no_memory(err);
    }
    if (type && strcmp(type, "redacted_thinking") == 0) {
        return ZOO_OK; /* encrypted by its provider, so there is nothing to read */
    }
    return zoo_translation_refuse(t, "messages", ZOO_E_UNSUPPORTED, err,
                                  "a content block of type \"%.40s\" is not supported; text, "
                                  "thinking, tool_use and tool_result are",
                                  type ? type : "");
}

/* Appends the message built; a user's message that held only tool results adds none. */
static zoo_status end_message(cJSON *list, message *m, bool has_results, zoo_error *err)
{
    cJSON *out;
    bool ok;
    if (!m->texts && !m->calls && has_results) {
        return ZOO_OK;
    }
    out = cJSON_CreateObject();
    ok = out && cJSON_AddStringToObject(out, "role", m->role);
    m->texts = m->texts ? m->texts : cJSON_CreateString("");
    ok = ok && zoo_put(out, "content", m->texts);
    m->texts = NULL;
    ok = ok && (!m->calls || zoo_put(out, "tool_calls", m->calls));
    m->calls = NULL;
    ok = ok && (!m->reasoning || zoo_put(out, "reasoning_content", m->reasoning));
    m->reasoning = NULL;
    if (!ok) {
        cJSON_Delete(out);
        return no_memory(err);
    }
    return zoo_put(list, NULL, out) ? ZOO_OK : no_memory(err);
}

static zoo_status read_message(zoo_translation *t, cJSON *list, cJSON *item, zoo_error *err)
{
    message m = {.role = zoo_text_at(item, "role")};
    cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content"), *block;
    int before = cJSON_GetArraySize(list);
    zoo_status status = ZOO_OK;
    if (!m.role || (strcmp(m.role, "user") != 0 && strcmp(m.role, "assistant") != 0 &&
                    strcmp(m.role, "system") != 0)) {
        return zoo_translation_refuse(t, "messages", ZOO_E_USAGE, err,
                                      "the role of a message is user or assistant");
    }
    if (cJSON_IsString(content)) {
        status = add_part(&m, content->valuestring) ? ZOO_OK : no_memory(err);
    } else if (!cJSON_IsArray(content)) {
        status = zoo_translation_refuse(t, "messages", ZOO_E_USAGE, err,
                                        "content must be a text or a list of blocks");
    }
    for (block = cJSON_IsArray(content) ? content->child : NULL; block && status == ZOO_OK;
         block = block->next) {
        status = read_block(t, list, &m, block, err);
    }
    if (status == ZOO_OK) {
        status = end_message(list, &m, cJSON_GetArraySize(list) > before, err);
    }
    cJSON_Delete(m.texts);
    cJSON_Delete(m.calls);
    cJSON_Delete(m.reasoning);
    return status;
}

static zoo_status add_system(zoo_translation *t, message *m, const char *text, zoo_error *err)
{
    if (!text) {
        return zoo_translation_refuse(t, "system", ZOO_E_USAGE, err,
                                      "system must be a text or text blocks");
    }
    return add_part(m, text) ? ZOO_OK : no_memory(err);
}

/* system: a text or text blocks. */
static zoo_status read_system(zoo_translation *t, cJSON *list, cJSON *system, zoo_error *err)
{
    message m = {.role = "system"};
    cJSON *block;
    zoo_status status = ZOO_OK;
    if (!system) {
        return ZOO_OK;
    }
    if (!cJSON_IsArray(system)) {
        status = add_system(t, &m, cJSON_GetStringValue(system), err);
    }
    cJSON_ArrayForEach(block, system)
    {
        status = status == ZOO_OK ? add_system(t, &m, zoo_text_at(block, "text"), err) : status;
    }
    if (status == ZOO_OK && m.texts) {
        status = end_message(list, &m, false, err);
    }
    cJSON_Delete(m.texts);
    return status;
}

static zoo_status read_messages(zoo_translation *t, zoo_error *err)
{
    cJSON *system = zoo_translation_take(t, "system");
    cJSON *messages = zoo_translation_take(t, "messages"), *item;
    cJSON *list = cJSON_AddArrayToObject(t->chat, "messages");
    zoo_status status = list ? read_system(t, list, system, err) : no_memory(err);
    if (status == ZOO_OK && (!cJSON_IsArray(messages) || !messages->child)) {
        status = zoo_translation_refuse(t, "messages", ZOO_E_USAGE, err,
                                        "messages must be a list that is not empty");
    }
    cJSON_ArrayForEach(item, messages)
    {
        if (status == ZOO_OK) {
            status = read_message(t, list, item, err);
        }
    }
    cJSON_Delete(system);
    cJSON_Delete(messages);
    return status;
}

/* ---- tools ---- */

static zoo_status read_tool(zoo_translation *t, cJSON *list, cJSON *tool, zoo_error *err)
{
    const char *type = zoo_text_at(tool, "type"), *name = zoo_text_at(tool, "name");
    const char *description = zoo_text_at(tool, "description");
    cJSON *schema, *out, *function;
    if (type && strcmp(type, "custom") != 0) {
        return zoo_translation_refuse(
            t, "tools", ZOO_E_UNSUPPORTED, err,
            "a tool of type \"%.40s\" would run on the server; only tools with "
            "an input_schema are supported",
            type);
    }
    if (!name) {
        return zoo_translation_refuse(t, "tools", ZOO_E_USAGE, err, "a tool has no name");
    }
    schema = cJSON_DetachItemFromObjectCaseSensitive(tool, "input_schema");
    schema = schema ? schema : cJSON_CreateObject();
    out = cJSON_CreateObject();
    function = out ? cJSON_AddObjectToObject(out, "function") : NULL;
    bool ok = zoo_put(function, "parameters", schema) &&
              cJSON_AddStringToObject(out, "type", "function") &&
              cJSON_AddStringToObject(function, "name", name) &&
              (!description || cJSON_AddStringToObject(function, "description", description));
    if (!ok) {
        cJSON_Delete(out);
        return no_memory(err);
    }
    return zoo_put(list, NULL, out) ? ZOO_OK : no_memory(err);
}

static zoo_status read_tools(zoo_translation *t, zoo_error *err)
{
    cJSON *tools = zoo_translation_take(t, "tools"), *tool;
    cJSON *list = cJSON_GetArraySize(tools) > 0 ? cJSON_AddArrayToObject(t->chat, "tools") : NULL;
    zoo_status status = ZOO_OK;
    if (tools && !cJSON_IsArray(tools)) {
        status = zoo_translation_refuse(t, "tools", ZOO_E_USAGE, err, "tools must be a list");
    }
    cJSON_ArrayForEach(tool, tools)
    {
        if (status == ZOO_OK) {
            status = read_tool(t, list, tool, err);
        }
    }
    cJSON_Delete(tools);
    return status;
}

static zoo_status read_choice(zoo_translation *t, zoo_error *err)
{
    cJSON *choice = zoo_translation_take(t, "tool_choice"), *out = NULL;
    const char *name = zoo_text_at(choice, "name");
    bool ok = true;
    if (!choice) {
        return ZOO_OK;
    }
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(choice, "disable_parallel_tool_use"))) {
        ok = zoo_put(t->chat, "parallel_tool_calls", cJSON_CreateFalse());
    }
    if (zoo_text_is(choice, "type", "any")) {
        ok = zoo_put(t->chat, "tool_choice", cJSON_CreateString("required")) && ok;
    } else if (zoo_text_is(choice, "type", "tool") && name) {
        out = cJSON_CreateObject();
        cJSON *function = out ? cJSON_AddObjectToObject(out, "function") : NULL;
        ok = function && cJSON_AddStringToObject(function, "name", name) &&
             cJSON_AddStringToObject(out, "type", "function");
        ok = zoo_put(t->chat, "tool_choice", out) && ok;
    } else if (zoo_text_is(choice, "type", "auto") || zoo_text_is(choice, "type", "none")) {
        ok = zoo_put(t->chat, "tool_choice", cJSON_CreateString(zoo_text_at(choice, "type"))) && ok;
    } else {
        cJSON_Delete(choice);
        return zoo_translation_refuse(t, "tool_choice", ZOO_E_USAGE, err,
                                      "the type of tool_choice is auto, any, none, or tool with a "
                                      "name");
    }
    cJSON_Delete(choice);
    return ok ? ZOO_OK : no_memory(err);
}

/* ---- the rest ---- */

static zoo_status read_thinking(zoo_translation *t, bool counts, zoo_error *err)
{
    cJSON *thinking = zoo_translation_take(t, "thinking"), *kwargs;
    cJSON *budget = cJSON_DetachItemFromObjectCaseSensitive(thinking, "budget_tokens");
    bool is_off = zoo_text_is(thinking, "type", "disabled"), ok = true;
    bool is_known = is_off || zoo_text_is(thinking, "type", "enabled") ||
                    zoo_text_is(thinking, "type", "adaptive");
    if (thinking && is_known) {
        kwargs = cJSON_AddObjectToObject(t->chat, "chat_template_kwargs");
        ok = kwargs && cJSON_AddBoolToObject(kwargs, "enable_thinking", !is_off);
    }
    if (budget && ok && !counts) {
        ok = zoo_put(t->chat, "max_thinking_tokens", budget);
    } else {
        cJSON_Delete(budget);
    }
    is_known |= !thinking;
    cJSON_Delete(thinking);
    if (!is_known) {
        return zoo_translation_refuse(t, "thinking", ZOO_E_USAGE, err,
                                      "the type of thinking is enabled, adaptive or disabled");
    }
    return ok ? ZOO_OK : no_memory(err);
}

/* {"type": "json_schema", "schema"} of output_config.format or output_format. */
static zoo_status read_format(zoo_translation *t, zoo_error *err)
{
    cJSON *config = zoo_translation_take(t, "output_config");
    cJSON *format = zoo_translation_take(t, "output_format");
    cJSON *schema, *out = NULL, *named;
    if (!format) {
        format = cJSON_DetachItemFromObjectCaseSensitive(config, "format");
    }
    cJSON_Delete(config);
    if (!format || cJSON_IsNull(format)) {
        cJSON_Delete(format);
        return ZOO_OK;
    }
    schema = cJSON_DetachItemFromObjectCaseSensitive(format, "schema");
    bool is_known = zoo_text_is(format, "type", "json_schema") && cJSON_IsObject(schema);
    cJSON_Delete(format);
    if (!is_known) {
        cJSON_Delete(schema);
        return zoo_translation_refuse(t, "output_config", ZOO_E_USAGE, err,
                                      "the format of output_config is json_schema with a schema");
    }
    out = cJSON_CreateObject();
    named = out ? cJSON_AddObjectToObject(out, "json_schema") : NULL;
    bool ok = zoo_put(named, "schema", schema) &&
              cJSON_AddStringToObject(named, "name", "answer") &&
              cJSON_AddStringToObject(out, "type", "json_schema");
    return zoo_put(t->chat, "response_format", out) && ok ? ZOO_OK : no_memory(err);
}

static zoo_status read_body(zoo_translation *t, bool counts, zoo_error *err)
{
    static const char *const moved[][2] = {
        {"model", "model"}, {"max_tokens", "max_tokens"}, {"temperature", "temperature"},
        {"top_p", "top_p"}, {"top_k", "top_k"},           {"stop_sequences", "stop"},
        {"seed", "seed"}};
    static const char *const harmless[] = {"metadata", "service_tier", "betas", "inference_geo",
                                           "context_management"};
    t->chat = cJSON_CreateObject();
    if (!t->chat) {
        return no_memory(err);
    }
    if (!counts && !cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(t->body, "max_tokens"))) {
        return zoo_translation_refuse(t, "max_tokens", ZOO_E_USAGE, err,
                                      "max_tokens must be a number");
    }
    for (size_t i = 0; i < ZOO_COUNT(moved); i++) {
        ZOO_TRY(zoo_translation_move(t, moved[i][0], moved[i][1], err));
    }
    for (size_t i = 0; i < ZOO_COUNT(harmless); i++) {
        cJSON_Delete(zoo_translation_take(t, harmless[i]));
    }
    ZOO_TRY(read_messages(t, err));
    ZOO_TRY(read_tools(t, err));
    ZOO_TRY(read_choice(t, err));
    ZOO_TRY(read_thinking(t, counts, err));
    ZOO_TRY(read_format(t, err));
    return zoo_translation_end(t, err);
}

zoo_status zoo_messages_read(zoo_translation *t, zoo_error *err)
{
    return read_body(t, false, err);
}

zoo_status zoo_messages_read_count(zoo_translation *t, zoo_error *err)
{
    return read_body(t, true, err);
}
