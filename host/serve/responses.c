/*
 * responses.c: answers in the shape of OpenAI's Responses API: items of the kinds reasoning,
 * message, function_call and custom_tool_call, and the numbered events response.created to
 * response.completed; each "done" event repeats the whole text of its deltas.
 *
 * Source: OpenAI's reference of the Responses API and its streaming events.
 */
#include "serve/responses.h"

#include <string.h>

#include "base/idmap.h"
#include "batch/journal.h"

/* The answer's id with a prefix; item: the number of an item, 0: the whole response. */
static void put_id(zoo_out *out, const zoo_answer *a, const char *prefix, uint32_t item)
{
    char name[48];
    zoo_journal_name(a->id, name);
    zoo_out_format(out, "\"%s_%s", prefix, name + strlen("batch_req_"));
    if (item > 0) {
        zoo_out_format(out, "_%u", item);
    }
    zoo_out_text(out, "\"");
}

static void put_json(zoo_out *out, const cJSON *item, const char *otherwise)
{
    char *text = item ? cJSON_PrintUnformatted(item) : NULL;
    zoo_out_text(out, text ? text : otherwise);
    out->failed |= item && !text;
    cJSON_free(text);
}

static void put_echoed(zoo_out *out, const cJSON *echoed, const char *key, const char *otherwise)
{
    zoo_out_format(out, ",\"%s\":", key);
    put_json(out, cJSON_GetObjectItemCaseSensitive(echoed, key), otherwise);
}

static void put_usage(zoo_out *out, const zoo_answer *a)
{
    zoo_usage u = zoo_usage_of(a);
    zoo_out_format(out,
                   ",\"usage\":{\"input_tokens\":%llu,\"input_tokens_details\":{\"cached_tokens\":"
                   "%llu,\"cache_write_tokens\":0},\"output_tokens\":%llu,"
                   "\"output_tokens_details\":{\"reasoning_tokens\":0},"
                   "\"total_tokens\":%llu}",
                   (unsigned long long)u.n_prompt, (unsigned long long)u.n_cached,
                   (unsigned long long)u.n_out, (unsigned long long)(u.n_prompt + u.n_out));
}

/* The response up to its output; the caller writes the output and calls put_rest. */
static void put_head(zoo_out *out, const zoo_answer *a, const char *status, const char *error)
{
    const char *model = a->request->model ? a->request->model : a->model;
    zoo_out_text(out, "{\"id\":");
    put_id(out, a, "resp", 0);
    zoo_out_format(out, ",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\",\"error\":",
                   (long long)a->created, status);
    if (error) {
        zoo_out_text(out, "{\"code\":\"server_error\",");
        zoo_put_text(out, "message", error);
        zoo_out_text(out, "}");
    } else {
        zoo_out_text(out, "null");
    }
    zoo_out_format(out, ",\"incomplete_details\":%s,",
                   strcmp(status, "incomplete") == 0 ? "{\"reason\":\"max_output_tokens\"}"
                                                     : "null");
    zoo_put_text(out, "model", model);
    zoo_out_text(out, ",\"output\":[");
}

static void put_rest(zoo_out *out, const zoo_answer *a, const cJSON *echoed)
{
    zoo_out_text(out, "]");
    put_echoed(out, echoed, "instructions", "null");
    put_echoed(out, echoed, "max_output_tokens", "null");
    put_echoed(out, echoed, "metadata", "{}");
    put_echoed(out, echoed, "parallel_tool_calls", "true");
    put_echoed(out, echoed, "reasoning", "{\"effort\":null,\"summary\":null}");
    put_echoed(out, echoed, "temperature", "null");
    put_echoed(out, echoed, "text", "{\"format\":{\"type\":\"text\"}}");
    put_echoed(out, echoed, "tool_choice", "\"auto\"");
    put_echoed(out, echoed, "tools", "[]");
    put_echoed(out, echoed, "top_p", "null");
    zoo_out_text(out, ",\"previous_response_id\":null,\"store\":false,\"truncation\":\"disabled\"");
    if (a->rows) {
        put_usage(out, a);
    } else {
        zoo_out_text(out, ",\"usage\":null");
    }
    zoo_out_text(out, "}");
}

static bool is_custom(const cJSON *echoed, const char *name)
{
    const cJSON *tools = cJSON_GetObjectItemCaseSensitive(echoed, "tools"), *tool;
    cJSON_ArrayForEach(tool, tools)
    {
        if (zoo_text_is(tool, "type", "custom") && zoo_text_is(tool, "name", name)) {
            return true;
        }
    }
    return false;
}

/* ---- items ---- */

static void put_reasoning(zoo_out *out, const zoo_answer *a, uint32_t item, const char *text)
{
    zoo_out_text(out, "{\"id\":");
    put_id(out, a, "rs", item);
    zoo_out_text(out, ",\"type\":\"reasoning\",\"summary\":[],\"content\":[");
    if (text) {
        zoo_out_text(out, "{\"type\":\"reasoning_text\",");
        zoo_put_text(out, "text", text);
        zoo_out_text(out, "}");
    }
    zoo_out_format(out, "],\"status\":\"%s\"}", text ? "completed" : "in_progress");
}

static void put_message(zoo_out *out, const zoo_answer *a, uint32_t item, const char *text)
{
    zoo_out_text(out, "{\"id\":");
    put_id(out, a, "msg", item);
    zoo_out_format(out,
                   ",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"%s\",\"content\":[",
                   text ? "completed" : "in_progress");
    if (text) {
        zoo_out_text(out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],");
        zoo_put_text(out, "text", text);
        zoo_out_text(out, "}");
    }
    zoo_out_text(out, "]}");
}

/* The arguments of a call, or the input of a custom tool, which lives in *parsed, the caller's. */
static const char *payload_of(const cJSON *function, bool custom, cJSON **parsed)
{
    const char *arguments = zoo_text_at(function, "arguments"), *input;
    *parsed = custom && arguments ? cJSON_Parse(arguments) : NULL;
    input = zoo_text_at(*parsed, "input");
    return input ? input : arguments ? arguments : "";
}

static void put_call(zoo_out *out, const zoo_answer *a, const cJSON *echoed, uint32_t item,
                     const cJSON *call, bool is_done)
{
    const cJSON *function = cJSON_GetObjectItemCaseSensitive(call, "function");
    const char *name = zoo_text_at(function, "name");
    bool custom = is_custom(echoed, name);
    cJSON *parsed = NULL;
    zoo_out_text(out, "{\"id\":");
    put_id(out, a, custom ? "ctc" : "fc", item);
    zoo_out_format(out, ",\"type\":\"%s\",\"status\":\"%s\",",
                   custom ? "custom_tool_call" : "function_call",
                   is_done ? "completed" : "in_progress");
    zoo_put_text(out, "call_id", zoo_text_at(call, "id"));
    zoo_out_text(out, ",");
    zoo_put_text(out, "name", name);
    zoo_out_text(out, ",");
    zoo_put_text(out, custom ? "input" : "arguments",
                 is_done ? payload_of(function, custom, &parsed) : "");
    zoo_out_text(out, "}");
    cJSON_Delete(parsed);
}

static const char *status_of(const zoo_row *row)
{
    return row->finish == ZOO_FINISH_LENGTH ? "incomplete" : "completed";
}

static void answer(zoo_out *out, const zoo_answer *a, const cJSON *echoed)
{
    cJSON *message = zoo_result_message(a, &a->rows[0]);
    const char *reasoning = zoo_text_at(message, "reasoning_content");
    const char *content = zoo_text_at(message, "content");
    const cJSON *calls = cJSON_GetObjectItemCaseSensitive(message, "tool_calls"), *call;
    uint32_t n = 0;
    out->failed |= !message;
    put_head(out, a, status_of(&a->rows[0]), NULL);
    if (reasoning && reasoning[0]) {
        put_reasoning(out, a, ++n, reasoning);
    }
    if ((content && content[0]) || !calls) {
        zoo_out_text(out, n > 0 ? "," : "");
        put_message(out, a, ++n, content ? content : "");
    }
    cJSON_ArrayForEach(call, calls)
    {
        zoo_out_text(out, n > 0 ? "," : "");
        put_call(out, a, echoed, ++n, call, true);
    }
    put_rest(out, a, echoed);
    cJSON_Delete(message);
}

/* ---- events ---- */

/* The event up to its own members, which the caller begins with a comma. */
static void open_event(zoo_event_stream *s, const char *type)
{
    zoo_out_format(&s->out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", type, type,
                   s->n_events++);
}

static void close_event(zoo_event_stream *s)
{
    zoo_out_text(&s->out, "}\n\n");
}

static void send_response(zoo_event_stream *s, const char *type, const char *status)
{
    open_event(s, type);
    zoo_out_text(&s->out, ",\"response\":");
    put_head(&s->out, &s->answer, status, NULL);
    put_rest(&s->out, &s->answer, s->echoed);
    close_event(s);
}

static void begin(zoo_event_stream *s)
{
    s->items = cJSON_CreateArray();
    s->failed |= !s->items;
    send_response(s, "response.created", "in_progress");
    send_response(s, "response.in_progress", "in_progress");
}

/* Keeps the item for response.completed, which repeats all items. */
static void keep_item(zoo_event_stream *s, const zoo_out *item)
{
    cJSON *raw = NULL;
    char *text = NULL;
    zoo_text copy = {0};
    zoo_stream_add(s, &copy, item->data, item->n);
    text = copy.data;
    raw = text && !s->failed ? cJSON_CreateRaw(text) : NULL;
    zoo_text_free(&copy);
    s->failed |= !zoo_put(s->items, NULL, raw) || item->failed;
}

static void send_item(zoo_event_stream *s, const char *type, const zoo_out *item)
{
    open_event(s, type);
    zoo_out_format(&s->out, ",\"output_index\":%u,\"item\":", s->block.index);
    zoo_out_bytes(&s->out, item->data, item->n);
    close_event(s);
}

/* The members that name the open block. */
static void put_place(zoo_event_stream *s, const char *prefix, bool has_content)
{
    zoo_out_text(&s->out, ",\"item_id\":");
    put_id(&s->out, &s->answer, prefix, s->block.index + 1);
    zoo_out_format(&s->out, ",\"output_index\":%u", s->block.index);
    if (has_content) {
        zoo_out_text(&s->out, ",\"content_index\":0");
    }
}

static void send_part(zoo_event_stream *s, const char *type, const char *text)
{
    bool is_text = s->block.kind == 'c';
    open_event(s, type);
    put_place(s, is_text ? "msg" : "rs", true);
    zoo_out_text(&s->out, is_text ? ",\"part\":{\"type\":\"output_text\",\"annotations\":[],"
                                    "\"logprobs\":[],"
                                  : ",\"part\":{\"type\":\"reasoning_text\",");
    zoo_put_text(&s->out, "text", text);
    zoo_out_text(&s->out, "}");
    close_event(s);
}

static void put_block(zoo_event_stream *s, zoo_out *item, const char *text)
{
    (s->block.kind == 'c' ? put_message : put_reasoning)(item, &s->answer, s->block.index + 1,
                                                         text);
}

static void close_block(zoo_event_stream *s)
{
    bool is_text = s->block.kind == 'c';
    const char *text = s->block.text.data ? s->block.text.data : "";
    zoo_out item = {0};
    if (!s->block.kind) {
        return;
    }
    open_event(s, is_text ? "response.output_text.done" : "response.reasoning_text.done");
    put_place(s, is_text ? "msg" : "rs", true);
    zoo_out_text(&s->out, is_text ? ",\"logprobs\":[]," : ",");
    zoo_put_text(&s->out, "text", text);
    close_event(s);
    send_part(s, "response.content_part.done", text);
    put_block(s, &item, text);
    send_item(s, "response.output_item.done", &item);
    keep_item(s, &item);
    zoo_out_free(&item);
    s->block.text.n = 0;
    s->block.kind = 0;
    s->block.index++;
}

static void open_block(zoo_event_stream *s, char kind)
{
    zoo_out item = {0};
    if (s->block.kind == kind) {
        return;
    }
    close_block(s);
    s->block.kind = kind;
    put_block(s, &item, NULL);
    send_item(s, "response.output_item.added", &item);
    zoo_out_free(&item);
    send_part(s, "response.content_part.added", "");
}

static void send_delta(zoo_event_stream *s, char kind, const char *text, size_t n)
{
    bool is_text = kind == 'c';
    open_block(s, kind);
    zoo_stream_add(s, &s->block.text, text, n);
    open_event(s, is_text ? "response.output_text.delta" : "response.reasoning_text.delta");
    put_place(s, is_text ? "msg" : "rs", true);
    zoo_out_text(&s->out, is_text ? ",\"logprobs\":[],\"delta\":" : ",\"delta\":");
    zoo_out_string(&s->out, text, n);
    close_event(s);
}

static void reasoning(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    (void)row;
    send_delta(s, 'r', text, n);
}

static void content(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    (void)row;
    send_delta(s, 'c', text, n);
}

static void send_payload(zoo_event_stream *s, const char *type, bool custom, const char *key,
                         const char *text)
{
    open_event(s, type);
    put_place(s, custom ? "ctc" : "fc", false);
    zoo_out_text(&s->out, ",");
    zoo_put_text(&s->out, key, text);
    close_event(s);
}

static void call(zoo_event_stream *s, uint32_t row, const cJSON *call)
{
    const cJSON *function = cJSON_GetObjectItemCaseSensitive(call, "function");
    const char *name = zoo_text_at(function, "name");
    bool custom = is_custom(s->echoed, name);
    cJSON *parsed = NULL;
    const char *text = payload_of(function, custom, &parsed);
    zoo_out item = {0};
    (void)row;
    close_block(s);
    put_call(&item, &s->answer, s->echoed, s->block.index + 1, call, false);
    send_item(s, "response.output_item.added", &item);
    if (custom) {
        send_payload(s, "response.custom_tool_call_input.delta", true, "delta", text);
        send_payload(s, "response.custom_tool_call_input.done", true, "input", text);
    } else {
        send_payload(s, "response.function_call_arguments.delta", false, "delta", text);
        open_event(s, "response.function_call_arguments.done");
        put_place(s, "fc", false);
        zoo_out_text(&s->out, ",");
        zoo_put_text(&s->out, "name", name);
        zoo_out_text(&s->out, ",");
        zoo_put_text(&s->out, "arguments", text);
        close_event(s);
    }
    item.n = 0;
    put_call(&item, &s->answer, s->echoed, s->block.index + 1, call, true);
    send_item(s, "response.output_item.done", &item);
    keep_item(s, &item);
    s->block.index++;
    zoo_out_free(&item);
    cJSON_Delete(parsed);
}

static void finish(zoo_event_stream *s, const zoo_answer *a, uint32_t row)
{
    (void)a;
    if (s->rows[row].n_calls == 0 && s->rows[row].n_content == 0) {
        open_block(s, 'c'); /* an answer always has a message, if an empty one */
    }
    close_block(s);
}

static void end(zoo_event_stream *s, const zoo_answer *a, const char *why)
{
    const char *status = a ? status_of(&a->rows[0]) : "failed";
    const cJSON *item;
    open_event(s, !a                                 ? "response.failed"
                  : strcmp(status, "completed") == 0 ? "response.completed"
                                                     : "response.incomplete");
    zoo_out_text(&s->out, ",\"response\":");
    put_head(&s->out, a ? a : &s->answer, status, a ? NULL : why);
    cJSON_ArrayForEach(item, s->items)
    {
        zoo_out_text(&s->out, item == s->items->child ? "" : ",");
        zoo_out_text(&s->out, item->valuestring);
    }
    put_rest(&s->out, a ? a : &s->answer, s->echoed);
    close_event(s);
}

static void error(zoo_out *out, const char *type, const char *code, const char *param,
                  const char *message)
{
    static const char *const names[][2] = {{"messages", "input"},
                                           {"max_tokens", "max_output_tokens"},
                                           {"response_format", "text.format"},
                                           {"reasoning_effort", "reasoning.effort"}};
    for (size_t i = 0; param && i < ZOO_COUNT(names); i++) {
        param = strcmp(param, names[i][0]) == 0 ? names[i][1] : param;
    }
    zoo_dialect_chat.error(out, type, code, param, message);
}

static const zoo_event_writer writer = {begin, reasoning, content, call, finish, end};
const zoo_dialect zoo_dialect_responses = {zoo_responses_read, answer, error, &writer};
