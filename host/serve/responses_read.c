/*
 * responses_read.c: translates a body of /v1/responses into that of a chat.
 *
 *   instructions, input -> messages; reasoning items join the assistant's message after them
 *   function_call       -> tool_calls; function_call_output -> a message of the role tool
 *   tools               -> functions; a custom tool is a function with one text, `input`; tools
 *                          that run on the server are left out
 *   text.format         -> response_format; reasoning.effort -> reasoning_effort
 *
 * Answers are not stored: previous_response_id, conversation, item references and background are
 * refused. Source: OpenAI's reference of the Responses API.
 */
#include <string.h>

#include "serve/dialect.h"
#include "serve/responses.h"

static zoo_status no_memory(zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "no memory for the input");
}

/* ---- input ---- */

/* A text, or parts of the kinds input_text, output_text, text and refusal, as text parts. */
static zoo_status take_content(zoo_translation *t, cJSON *item, const char *key, cJSON **out,
                               zoo_error *err)
{
    cJSON *content = cJSON_DetachItemFromObjectCaseSensitive(item, key), *part;
    *out = content;
    if (cJSON_IsString(content)) {
        return ZOO_OK;
    }
    *out = NULL;
    zoo_status status = ZOO_OK;
    cJSON *list = cJSON_CreateArray();
    if (!cJSON_IsArray(content) || !list) {
        status = zoo_translation_refuse(t, "input", ZOO_E_USAGE, err,
                                        "%s must be a text or a list of text parts", key);
    }
    cJSON_ArrayForEach(part, content)
    {
        const char *type = zoo_text_at(part, "type");
        const char *text =
            zoo_text_at(part, "text") ? zoo_text_at(part, "text") : zoo_text_at(part, "refusal");
        if (status == ZOO_OK && !text) {
            status =
                zoo_translation_refuse(t, "input", ZOO_E_UNSUPPORTED, err,
                                       "a content part of type \"%.40s\" is not supported; only "
                                       "text is",
                                       type ? type : "");
        }
        cJSON *copy = status == ZOO_OK ? cJSON_CreateObject() : NULL;
        if (copy && !(cJSON_AddStringToObject(copy, "type", "text") &&
                      cJSON_AddStringToObject(copy, "text", text) && zoo_put(list, NULL, copy))) {
            status = no_memory(err);
        }
    }
    cJSON_Delete(content);
    if (status != ZOO_OK) {
        cJSON_Delete(list);
        return status;
    }
    *out = list;
    return ZOO_OK;
}

/* The last message if it is an assistant's that can still take reasoning or calls; else a new one.
 */
static cJSON *assistant(cJSON *list)
{
    int n = cJSON_GetArraySize(list);
    cJSON *last = n > 0 ? cJSON_GetArrayItem(list, n - 1) : NULL;
    if (zoo_text_is(last, "role", "assistant")) {
        return last;
    }
    cJSON *message = cJSON_CreateObject();
    if (message &&
        !(cJSON_AddStringToObject(message, "role", "assistant") && zoo_put(list, NULL, message))) {
        return NULL;
    }
    return message;
}

static zoo_status read_message(zoo_translation *t, cJSON *list, cJSON *item, zoo_error *err)
{
    const char *role = zoo_text_at(item, "role");
    cJSON *content, *message;
    if (!role) {
        return zoo_translation_refuse(t, "input", ZOO_E_USAGE, err, "an item of input has no role");
    }
    ZOO_TRY(take_content(t, item, "content", &content, err));
    if (strcmp(role, "assistant") == 0) {
        message = assistant(list);
        if (message && cJSON_HasObjectItem(message, "content")) {
            message = cJSON_CreateObject();
            if (message &&
                !(cJSON_AddStringToObject(message, "role", role) && zoo_put(list, NULL, message))) {
                message = NULL;
            }
        }
        return zoo_put(message, "content", content) ? ZOO_OK : no_memory(err);
    }
    message = cJSON_CreateObject();
    /* Most templates know only the older name. */
    const char *name = strcmp(role, "developer") == 0 ? "system" : role;
    if (!zoo_put(message, "content", content) || !cJSON_AddStringToObject(message, "role", name)) {
        cJSON_Delete(message);
        return no_memory(err);
    }
    return zoo_put(list, NULL, message) ? ZOO_OK : no_memory(err);
}

/* A function's arguments are JSON text; a custom tool's input becomes the argument `input`. */
static zoo_status read_call(zoo_translation *t, cJSON *list, const cJSON *item, bool is_custom,
                            zoo_error *err)
{
    const char *id = zoo_text_at(item, "call_id"), *name = zoo_text_at(item, "name");
    const char *text = zoo_text_at(item, is_custom ? "input" : "arguments");
    cJSON *message, *calls, *call, *function, *input;
    if (!id || !name || !text) {
        return zoo_translation_refuse(t, "input", ZOO_E_USAGE, err,
                                      "a call needs call_id, name and %s",
                                      is_custom ? "input" : "arguments");
    }
    message = assistant(list);
    calls = cJSON_GetObjectItemCaseSensitive(message, "tool_calls");
    calls = calls || !message ? calls : cJSON_AddArrayToObject(message, "tool_calls");
    call = cJSON_CreateObject();
    function = call ? cJSON_AddObjectToObject(call, "function") : NULL;
    bool ok = calls && function && cJSON_AddStringToObject(call, "id", id) &&
              cJSON_AddStringToObject(call, "type", "function") &&
              cJSON_AddStringToObject(function, "name", name);
    if (ok && is_custom) {
        input = cJSON_AddObjectToObject(function, "arguments");
        ok = input && cJSON_AddStringToObject(input, "input", text);
    } else {
        ok = ok && cJSON_AddStringToObject(function, "arguments", text);
    }
    if (!ok) {
        cJSON_Delete(call);
        return no_memory(err);
    }
    return zoo_put(calls, NULL, call) ? ZOO_OK : no_memory(err);
}

static zoo_status read_output(zoo_translation *t, cJSON *list, cJSON *item, zoo_error *err)
{
    const char *id = zoo_text_at(item, "call_id");
    cJSON *content, *message = cJSON_CreateObject();
    zoo_status status = take_content(t, item, "output", &content, err);
    if (status != ZOO_OK) {
        cJSON_Delete(message);
        return status;
    }
    if (!zoo_put(message, "content", content) ||
        !cJSON_AddStringToObject(message, "role", "tool") ||
        !cJSON_AddStringToObject(message, "tool_call_id", id ? id : "")) {
        cJSON_Delete(message);
        return no_memory(err);
    }
    return zoo_put(list, NULL, message) ? ZOO_OK : no_memory(err);
}

/* Earlier reasoning; an item with encrypted content only is skipped. */
static zoo_status read_reasoning(cJSON *list, const cJSON *item, zoo_error *err)
{
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
    const char *text = zoo_text_at(content ? content->child : NULL, "text");
    cJSON *message;
    if (!text) {
        return ZOO_OK;
    }
    message = cJSON_CreateObject();
    if (!message || !cJSON_AddStringToObject(message, "role", "assistant") ||
        !cJSON_AddStringToObject(message, "reasoning_content", text)) {
        cJSON_Delete(message);
        return no_memory(err);
    }
    return zoo_put(list, NULL, message) ? ZOO_OK : no_memory(err);
}

static zoo_status read_item(zoo_translation *t, cJSON *list, cJSON *item, zoo_error *err)
{
    const char *type = zoo_text_at(item, "type");
    if (!type || strcmp(type, "message") == 0) {
        return read_message(t, list, item, err);
    }
    if (strcmp(type, "function_call") == 0 || strcmp(type, "custom_tool_call") == 0) {
        return read_call(t, list, item, type[0] == 'c', err);
    }
    if (strcmp(type, "function_call_output") == 0 || strcmp(type, "custom_tool_call_output") == 0) {
        return read_output(t, list, item, err);
    }
    if (strcmp(type, "reasoning") == 0) {
        return read_reasoning(list, item, err);
    }
    return zoo_translation_refuse(
        t, "input", ZOO_E_UNSUPPORTED, err,
        "an item of type \"%.40s\" is not supported; messages, function and "
        "custom tool calls, their outputs and reasoning are",
        type);
}

static zoo_status read_input(zoo_translation *t, zoo_error *err)
{
    cJSON *instructions = zoo_translation_take(t, "instructions");
    cJSON *input = zoo_translation_take(t, "input"), *item;
    cJSON *list = cJSON_AddArrayToObject(t->chat, "messages");
    zoo_status status = list ? ZOO_OK : no_memory(err);
    for (int i = 0; i < 2 && status == ZOO_OK; i++) {
        const char *text = cJSON_GetStringValue(i == 0 ? instructions : input);
        cJSON *message = text ? cJSON_CreateObject() : NULL;
        if (text && !(message && cJSON_AddStringToObject(message, "content", text) &&
                      cJSON_AddStringToObject(message, "role", i == 0 ? "system" : "user") &&
                      zoo_put(list, NULL, message))) {
            status = no_memory(err);
        }
    }
    if (status == ZOO_OK && !cJSON_IsString(input) && !cJSON_IsArray(input)) {
        status = zoo_translation_refuse(t, "input", ZOO_E_USAGE, err,
                                        "input must be a text or a list of items");
    }
    if (cJSON_IsArray(input)) {
        cJSON_ArrayForEach(item, input)
        {
            status = status == ZOO_OK ? read_item(t, list, item, err) : status;
        }
    }
    cJSON_Delete(instructions);
    cJSON_Delete(input);
    return status;
}

/* ---- tools ---- */

/* The parameters of a custom tool: one text. */
static cJSON *one_text(void)
{
    cJSON *out = cJSON_CreateObject();
    cJSON *properties = out ? cJSON_AddObjectToObject(out, "properties") : NULL;
    cJSON *input = properties ? cJSON_AddObjectToObject(properties, "input") : NULL;
    cJSON *required = out ? cJSON_AddArrayToObject(out, "required") : NULL;
    bool ok = input && required && cJSON_AddStringToObject(input, "type", "string") &&
              zoo_put(required, NULL, cJSON_CreateString("input")) &&
              cJSON_AddStringToObject(out, "type", "object") &&
              cJSON_AddFalseToObject(out, "additionalProperties");
    if (!ok) {
        cJSON_Delete(out);
        return NULL;
    }
    return out;
}

static zoo_status read_tool(zoo_translation *t, cJSON *list, const cJSON *tool, zoo_error *err)
{
    const char *name = zoo_text_at(tool, "name"), *about = zoo_text_at(tool, "description");
    const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(tool, "parameters");
    bool is_custom = zoo_text_is(tool, "type", "custom");
    if (!is_custom && !zoo_text_is(tool, "type", "function")) {
        return ZOO_OK; /* runs on the server: left out, here and in the answer */
    }
    if (!name) {
        return zoo_translation_refuse(t, "tools", ZOO_E_USAGE, err, "a tool has no name");
    }
    cJSON *out = cJSON_CreateObject();
    cJSON *function = out ? cJSON_AddObjectToObject(out, "function") : NULL;
    cJSON *schema = is_custom                    ? one_text()
                    : cJSON_IsObject(parameters) ? cJSON_Duplicate(parameters, true)
                                                 : cJSON_CreateObject();
    bool ok = zoo_put(function, "parameters", schema) &&
              cJSON_AddStringToObject(out, "type", "function") &&
              cJSON_AddStringToObject(function, "name", name) &&
              (!about || cJSON_AddStringToObject(function, "description", about));
    if (!ok) {
        cJSON_Delete(out);
        return no_memory(err);
    }
    return zoo_put(list, NULL, out) ? ZOO_OK : no_memory(err);
}

static zoo_status read_tools(zoo_translation *t, zoo_error *err)
{
    cJSON *tools = zoo_translation_take(t, "tools"), *next;
    cJSON *list = cJSON_CreateArray();
    zoo_status status = list ? ZOO_OK : no_memory(err);
    if (tools && !cJSON_IsArray(tools)) {
        status = zoo_translation_refuse(t, "tools", ZOO_E_USAGE, err, "tools must be a list");
    }
    for (cJSON *tool = tools ? tools->child : NULL; tool && status == ZOO_OK; tool = next) {
        int before = cJSON_GetArraySize(list);
        next = tool->next;
        status = read_tool(t, list, tool, err);
        if (status == ZOO_OK && cJSON_GetArraySize(list) == before) {
            cJSON_Delete(cJSON_DetachItemViaPointer(tools, tool));
        }
    }
    if (status == ZOO_OK && cJSON_GetArraySize(list) > 0) {
        status = zoo_put(t->chat, "tools", list) ? ZOO_OK : no_memory(err);
    } else {
        cJSON_Delete(list);
    }
    if (tools && !zoo_put(t->echoed, "tools", tools)) {
        return no_memory(err);
    }
    return status;
}

static zoo_status read_choice(zoo_translation *t, zoo_error *err)
{
    cJSON *choice = zoo_translation_take(t, "tool_choice");
    const char *name = zoo_text_at(choice, "name");
    bool is_known = cJSON_IsString(choice), ok = true;
    if (!choice) {
        return ZOO_OK;
    }
    if (is_known) {
        ok = cJSON_AddStringToObject(t->chat, "tool_choice", choice->valuestring) != NULL;
    } else if (name &&
               (zoo_text_is(choice, "type", "function") || zoo_text_is(choice, "type", "custom"))) {
        cJSON *out = cJSON_AddObjectToObject(t->chat, "tool_choice");
        cJSON *function = out ? cJSON_AddObjectToObject(out, "function") : NULL;
        ok = function && cJSON_AddStringToObject(out, "type", "function") &&
             cJSON_AddStringToObject(function, "name", name);
        is_known = true;
    }
    if (!zoo_put(t->echoed, "tool_choice", choice) || !ok) {
        return no_memory(err);
    }
    return is_known ? ZOO_OK
                    : zoo_translation_refuse(t, "tool_choice", ZOO_E_UNSUPPORTED, err,
                                             "tool_choice is auto, none, required or a function of "
                                             "tools");
}

/* ---- the rest ---- */

static zoo_status read_format(zoo_translation *t, zoo_error *err)
{
    cJSON *text = zoo_translation_take(t, "text");
    cJSON *format = cJSON_DetachItemFromObjectCaseSensitive(text, "format");
    cJSON *verbosity = cJSON_DetachItemFromObjectCaseSensitive(text, "verbosity"), *out;
    bool ok = !verbosity || cJSON_IsNull(verbosity) || zoo_put(t->chat, "verbosity", verbosity);
    if (cJSON_IsNull(verbosity)) {
        cJSON_Delete(verbosity);
    }
    cJSON_Delete(text);
    if (!format || cJSON_IsNull(format) || zoo_text_is(format, "type", "text")) {
        cJSON_Delete(format);
        return ok ? ZOO_OK : no_memory(err);
    }
    out = cJSON_CreateObject();
    const char *type = zoo_text_at(format, "type");
    ok = ok && out && cJSON_AddStringToObject(out, "type", type ? type : "");
    if (zoo_text_is(format, "type", "json_schema")) {
        cJSON_DeleteItemFromObjectCaseSensitive(format, "type");
        ok = zoo_put(out, "json_schema", cJSON_Duplicate(format, true)) && ok;
    }
    cJSON_Delete(format);
    return zoo_put(t->chat, "response_format", out) && ok ? ZOO_OK : no_memory(err);
}

static zoo_status read_reasoning_options(zoo_translation *t, zoo_error *err)
{
    cJSON *reasoning = zoo_translation_take(t, "reasoning");
    const char *effort = zoo_text_at(reasoning, "effort");
    bool ok = !effort || cJSON_AddStringToObject(t->chat, "reasoning_effort", effort);
    if (reasoning) {
        ok = zoo_put(t->echoed, "reasoning", reasoning) && ok;
    }
    return ok ? ZOO_OK : no_memory(err);
}

/* Refuses keys of features that the server lacks, unless their value turns the feature off. */
static zoo_status refuse_absent(zoo_translation *t, zoo_error *err)
{
    static const struct {
        const char *key, *harmless, *why;
    } absent[] = {
        {"previous_response_id", NULL,
         "answers are not stored here: send the whole conversation as input"},
        {"conversation", NULL, "conversations are not stored here: send them as input"},
        {"prompt", NULL, "there are no stored prompts here"},
        {"truncation", "disabled", "conversations are not truncated here"},
    };
    cJSON *background = zoo_translation_take(t, "background");
    bool is_background = cJSON_IsTrue(background);
    cJSON_Delete(background);
    if (is_background) {
        return zoo_translation_refuse(t, "background", ZOO_E_UNSUPPORTED, err,
                                      "background: answers are not stored here; use a batch");
    }
    for (size_t i = 0; i < ZOO_COUNT(absent); i++) {
        cJSON *item = zoo_translation_take(t, absent[i].key);
        const char *text = cJSON_GetStringValue(item);
        bool asks = item && !(text && absent[i].harmless && strcmp(text, absent[i].harmless) == 0);
        cJSON_Delete(item);
        if (asks) {
            return zoo_translation_refuse(t, absent[i].key, ZOO_E_UNSUPPORTED, err, "%s: %s",
                                          absent[i].key, absent[i].why);
        }
    }
    return ZOO_OK;
}

static zoo_status keep_echoed(zoo_translation *t, zoo_error *err)
{
    static const char *const kept[] = {"instructions",       "temperature", "top_p",
                                       "max_output_tokens",  "text",        "metadata",
                                       "parallel_tool_calls"};
    for (size_t i = 0; i < ZOO_COUNT(kept); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(t->body, kept[i]);
        if (item && !cJSON_IsNull(item) &&
            !zoo_put(t->echoed, kept[i], cJSON_Duplicate(item, true))) {
            return no_memory(err);
        }
    }
    return ZOO_OK;
}

zoo_status zoo_responses_read(zoo_translation *t, zoo_error *err)
{
    static const char *const moved[][2] = {{"model", "model"},
                                           {"max_output_tokens", "max_tokens"},
                                           {"temperature", "temperature"},
                                           {"top_p", "top_p"},
                                           {"seed", "seed"},
                                           {"parallel_tool_calls", "parallel_tool_calls"}};
    static const char *const harmless[] = {"metadata",
                                           "user",
                                           "store",
                                           "include",
                                           "service_tier",
                                           "safety_identifier",
                                           "prompt_cache_key",
                                           "prompt_cache_retention",
                                           "max_tool_calls",
                                           "client_metadata"};
    t->chat = cJSON_CreateObject();
    t->echoed = cJSON_CreateObject();
    if (!t->chat || !t->echoed) {
        return no_memory(err);
    }
    ZOO_TRY(refuse_absent(t, err));
    ZOO_TRY(keep_echoed(t, err));
    for (size_t i = 0; i < ZOO_COUNT(moved); i++) {
        ZOO_TRY(zoo_translation_move(t, moved[i][0], moved[i][1], err));
    }
    for (size_t i = 0; i < ZOO_COUNT(harmless); i++) {
        cJSON_Delete(zoo_translation_take(t, harmless[i]));
    }
    cJSON *n_top = zoo_translation_take(t, "top_logprobs");
    bool wants_top = n_top && !(cJSON_IsNumber(n_top) && n_top->valuedouble == 0);
    cJSON_Delete(n_top);
    if (wants_top) {
        return zoo_translation_refuse(t, "top_logprobs", ZOO_E_UNSUPPORTED, err,
                                      "top_logprobs: /v1/chat/completions gives log-probabilities");
    }
    ZOO_TRY(read_input(t, err));
    ZOO_TRY(read_tools(t, err));
    ZOO_TRY(read_choice(t, err));
    ZOO_TRY(read_format(t, err));
    ZOO_TRY(read_reasoning_options(t, err));
    return zoo_translation_end(t, err);
}
