/*
 * messages.c: answers in Anthropic's shape: blocks of thinking, text and tool_use, and the events
 * message_start, content_block_start, _delta, _stop, message_delta, message_stop.
 *
 * input_tokens excludes tokens taken from a kept prefix, which are cache_read_input_tokens. A block
 * of thinking has an empty signature. Source: Anthropic's reference of the Messages API.
 */
#include "serve/messages.h"

#include <string.h>

#include "base/idmap.h"
#include "batch/journal.h"

static void put_head(zoo_out *out, const zoo_answer *a)
{
    const char *model = a->request->model ? a->request->model : a->model;
    char name[48];
    zoo_journal_name(a->id, name);
    zoo_out_format(out, "\"id\":\"msg_%s\",\"type\":\"message\",\"role\":\"assistant\",",
                   name + strlen("batch_req_"));
    zoo_put_text(out, "model", model);
}

static void put_usage(zoo_out *out, const zoo_answer *a)
{
    zoo_usage u = zoo_usage_of(a);
    zoo_out_format(out,
                   ",\"usage\":{\"input_tokens\":%llu,\"cache_read_input_tokens\":%llu,"
                   "\"cache_creation_input_tokens\":0,\"output_tokens\":%llu}",
                   (unsigned long long)(u.n_prompt - u.n_cached), (unsigned long long)u.n_cached,
                   (unsigned long long)u.n_out);
}

/* stop_reason and stop_sequence as members. */
static void put_stop(zoo_out *out, const zoo_row *row, bool calls)
{
    bool is_text = row->finish == ZOO_FINISH_STOP_TEXT;
    zoo_out_format(out, "\"stop_reason\":\"%s\",",
                   row->finish == ZOO_FINISH_LENGTH ? "max_tokens"
                   : calls                          ? "tool_use"
                   : is_text                        ? "stop_sequence"
                                                    : "end_turn");
    zoo_put_text(out, "stop_sequence", is_text ? row->stops[row->stop_index] : NULL);
}

/* {"type":"tool_use",...}; input: JSON text. */
static void put_call(zoo_out *out, const cJSON *call, const char *input)
{
    const cJSON *function = cJSON_GetObjectItemCaseSensitive(call, "function");
    zoo_out_text(out, "{\"type\":\"tool_use\",");
    zoo_put_text(out, "id", zoo_text_at(call, "id"));
    zoo_out_text(out, ",");
    zoo_put_text(out, "name", zoo_text_at(function, "name"));
    zoo_out_format(out, ",\"input\":");
    zoo_out_text(out, input);
    zoo_out_text(out, "}");
}

static const char *arguments_of(const cJSON *call)
{
    const char *text = zoo_text_at(cJSON_GetObjectItemCaseSensitive(call, "function"), "arguments");
    return text && text[0] ? text : "{}";
}

static void answer(zoo_out *out, const zoo_answer *a, const cJSON *echoed)
{
    cJSON *message = zoo_result_message(a, &a->rows[0]);
    const char *reasoning = zoo_text_at(message, "reasoning_content");
    const char *content = zoo_text_at(message, "content");
    const cJSON *calls = cJSON_GetObjectItemCaseSensitive(message, "tool_calls"), *call;
    bool has_block = false;
    (void)echoed;
    out->failed |= !message;
    zoo_out_text(out, "{");
    put_head(out, a);
    zoo_out_text(out, ",\"content\":[");
    if (reasoning && reasoning[0]) {
        zoo_out_text(out, "{\"type\":\"thinking\",\"signature\":\"\",");
        zoo_put_text(out, "thinking", reasoning);
        zoo_out_text(out, "}");
        has_block = true;
    }
    if (content && content[0]) {
        zoo_out_text(out, has_block ? ",{\"type\":\"text\"," : "{\"type\":\"text\",");
        zoo_put_text(out, "text", content);
        zoo_out_text(out, "}");
        has_block = true;
    }
    cJSON_ArrayForEach(call, calls)
    {
        zoo_out_text(out, has_block ? "," : "");
        put_call(out, call, arguments_of(call));
        has_block = true;
    }
    zoo_out_text(out, "],");
    put_stop(out, &a->rows[0], calls != NULL);
    put_usage(out, a);
    zoo_out_text(out, "}");
    cJSON_Delete(message);
}

static void error(zoo_out *out, const char *type, const char *code, const char *param,
                  const char *message)
{
    (void)code;
    (void)param;
    zoo_out_text(out, "{\"type\":\"error\",\"error\":{");
    zoo_put_text(out, "type", strcmp(type, "server_error") == 0 ? "api_error" : type);
    zoo_out_text(out, ",");
    zoo_put_text(out, "message", message);
    zoo_out_text(out, "}}");
}

/* ---- events ---- */

static void begin(zoo_event_stream *s)
{
    zoo_out_text(&s->out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{");
    put_head(&s->out, &s->answer);
    zoo_out_text(&s->out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null");
    put_usage(&s->out, &s->answer);
    zoo_out_text(&s->out, "}}\n\n");
}

static void close_block(zoo_event_stream *s)
{
    if (s->block.kind == 'r') {
        zoo_out_format(&s->out,
                       "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                       "\"index\":%u,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"\"}}"
                       "\n\n",
                       s->block.index);
    }
    if (s->block.kind) {
        zoo_out_format(&s->out,
                       "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
                       "\"index\":%u}\n\n",
                       s->block.index++);
    }
    s->block.kind = 0;
}

/* Begins a block unless one of the kind is open. True: the caller writes its content_block. */
static bool open_block(zoo_event_stream *s, char kind)
{
    if (s->block.kind == kind && kind != 't') {
        return false;
    }
    close_block(s);
    s->block.kind = kind;
    zoo_out_format(&s->out,
                   "event: content_block_start\ndata: {\"type\":\"content_block_start\","
                   "\"index\":%u,\"content_block\":",
                   s->block.index);
    return true;
}

static void send_delta(zoo_event_stream *s, const char *type, const char *key, const char *text,
                       size_t n)
{
    zoo_out_format(&s->out,
                   "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                   "\"index\":%u,\"delta\":{\"type\":\"%s\",\"%s\":",
                   s->block.index, type, key);
    zoo_out_string(&s->out, text, n);
    zoo_out_text(&s->out, "}}\n\n");
}

static void reasoning(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    (void)row;
    if (open_block(s, 'r')) {
        zoo_out_text(&s->out, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n");
    }
    send_delta(s, "thinking_delta", "thinking", text, n);
}

static void content(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    (void)row;
    if (open_block(s, 'c')) {
        zoo_out_text(&s->out, "{\"type\":\"text\",\"text\":\"\"}}\n\n");
    }
    send_delta(s, "text_delta", "text", text, n);
}

static void call(zoo_event_stream *s, uint32_t row, const cJSON *item)
{
    const char *input = arguments_of(item);
    (void)row;
    (void)open_block(s, 't');
    put_call(&s->out, item, "{}");
    zoo_out_text(&s->out, "}\n\n");
    send_delta(s, "input_json_delta", "partial_json", input, strlen(input));
}

static void finish(zoo_event_stream *s, const zoo_answer *a, uint32_t row)
{
    close_block(s);
    zoo_out_text(&s->out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
    put_stop(&s->out, &a->rows[row], s->rows[row].n_calls > 0);
    zoo_out_text(&s->out, "}");
    put_usage(&s->out, a);
    zoo_out_text(&s->out, "}\n\n");
}

static void end(zoo_event_stream *s, const zoo_answer *a, const char *why)
{
    if (!a) {
        zoo_out_text(&s->out, "event: error\ndata: ");
        error(&s->out, "api_error", NULL, NULL, why);
        zoo_out_text(&s->out, "\n\n");
        return;
    }
    zoo_out_text(&s->out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

static const zoo_event_writer writer = {begin, reasoning, content, call, finish, end};
const zoo_dialect zoo_dialect_messages = {zoo_messages_read, answer, error, &writer};
