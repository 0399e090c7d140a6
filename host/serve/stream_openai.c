/* stream_openai.c: events of OpenAI's completions and chats: "data: {chunk}" with the new text and
 * the log-probabilities of its tokens, and "data: [DONE]" at the end (stream.h). */
#include <string.h>

#include "serve/stream.h"

/* The event up to its list of choices, which the caller fills. */
static void open_event(zoo_event_stream *s)
{
    bool is_chat = s->answer.request->endpoint == ZOO_CHAT;
    zoo_out_text(&s->out, "data: {");
    zoo_result_head(&s->out, &s->answer, is_chat ? "chat.completion.chunk" : "text_completion");
    zoo_out_text(&s->out, ",\"choices\":[");
}

/* Log-probabilities of the tokens that are known and not yet sent. */
static void put_logprobs(zoo_event_stream *s, uint32_t index)
{
    zoo_event_row *row = &s->rows[index];
    zoo_out_text(&s->out, ",\"logprobs\":");
    if (s->answer.request->n_top == ZOO_UNSAID || !s->now) {
        zoo_out_text(&s->out, "null");
        return;
    }
    zoo_result_logprobs(&s->out, &s->answer, s->now, row->n_logged, s->now->n_out);
    row->n_logged = s->now->n_out;
}

static void open_delta(zoo_event_stream *s, uint32_t row)
{
    open_event(s);
    zoo_out_format(&s->out, "{\"index\":%u,\"delta\":{", row);
}

static void close_delta(zoo_event_stream *s, uint32_t row)
{
    zoo_out_text(&s->out, "}");
    put_logprobs(s, row);
    zoo_out_text(&s->out, ",\"finish_reason\":null}]}\n\n");
}

/* Says whose words come before there are any, as an answer may have none. */
static void chat_begin(zoo_event_stream *s)
{
    for (uint32_t row = 0; row < s->n_rows; row++) {
        open_event(s);
        zoo_out_format(&s->out, "{\"index\":%u,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}",
                       row);
        zoo_out_text(&s->out, ",\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    }
}

static void send_part(zoo_event_stream *s, uint32_t row, const char *key, const char *text,
                      size_t n)
{
    open_delta(s, row);
    zoo_out_format(&s->out, "\"%s\":", key);
    zoo_out_string(&s->out, text, n);
    close_delta(s, row);
}

static void chat_reasoning(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    send_part(s, row, "reasoning_content", text, n);
}

static void chat_content(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    send_part(s, row, "content", text, n);
}

static void chat_call(zoo_event_stream *s, uint32_t row, const cJSON *call)
{
    char *text = cJSON_PrintUnformatted(call);
    if (!text) {
        s->failed = true;
        return;
    }
    open_delta(s, row);
    zoo_out_format(&s->out, "\"tool_calls\":[{\"index\":%u,", s->rows[row].n_calls);
    zoo_out_text(&s->out, text + 1); /* without its opening brace */
    zoo_out_text(&s->out, "]");
    close_delta(s, row);
    cJSON_free(text);
}

static void completion_text(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    open_event(s);
    zoo_out_format(&s->out, "{\"index\":%u,\"text\":", row);
    zoo_out_string(&s->out, text, n);
    put_logprobs(s, row);
    zoo_out_text(&s->out, ",\"finish_reason\":null}]}\n\n");
}

static void finish(zoo_event_stream *s, const zoo_answer *answer, uint32_t index)
{
    bool is_chat = answer->request->endpoint == ZOO_CHAT;
    open_event(s);
    zoo_out_format(&s->out, is_chat ? "{\"index\":%u,\"delta\":{}" : "{\"index\":%u,\"text\":\"\"",
                   index);
    if (s->rows[index].n_logged < answer->rows[index].n_out) {
        put_logprobs(s, index);
    } else {
        zoo_out_text(&s->out, ",\"logprobs\":null");
    }
    zoo_result_end(&s->out, answer, &answer->rows[index], s->rows[index].n_calls > 0);
    zoo_out_text(&s->out, "]}\n\n");
}

static void end(zoo_event_stream *s, const zoo_answer *answer, const char *why)
{
    if (answer && s->wants_usage) {
        open_event(s);
        zoo_out_text(&s->out, "]");
        zoo_result_usage(&s->out, answer);
        zoo_out_text(&s->out, "}\n\n");
    }
    if (!answer) {
        zoo_out_text(&s->out, "data: {\"error\":{\"message\":");
        zoo_out_string(&s->out, why, strlen(why));
        zoo_out_text(&s->out, ",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n");
    }
    zoo_out_text(&s->out, "data: [DONE]\n\n");
}

const zoo_event_writer zoo_event_writer_completions = {NULL, NULL,   completion_text,
                                                       NULL, finish, end};
const zoo_event_writer zoo_event_writer_chat = {chat_begin, chat_reasoning, chat_content,
                                                chat_call,  finish,         end};
