/* stream.c: see stream.h. */
#include "serve/stream.h"

#include <string.h>

#include "base/mem.h"

bool zoo_stream_open(zoo_event_stream *s, const zoo_answer *answer, uint32_t n_rows)
{
    s->answer = *answer;
    s->n_rows = n_rows;
    s->rows = zoo_mem_array(n_rows, sizeof *s->rows);
    return s->rows != NULL;
}

void zoo_stream_close(zoo_event_stream *s)
{
    for (uint32_t i = 0; s->rows && i < s->n_rows; i++) {
        zoo_text_free(&s->rows[i].text);
    }
    zoo_mem_free(s->rows);
    zoo_out_free(&s->out);
    s->rows = NULL;
}

/* ---- events ---- */

/* Up to the choices' list; the caller goes on inside it. */
static void open_event(zoo_event_stream *s)
{
    bool is_chat = s->answer.request->endpoint == ZOO_CHAT;
    zoo_out_text(&s->out, "data: {");
    zoo_result_head(&s->out, &s->answer, is_chat ? "chat.completion.chunk" : "text_completion");
    zoo_out_text(&s->out, ",\"choices\":[");
}

static void open_delta(zoo_event_stream *s, uint32_t row)
{
    open_event(s);
    zoo_out_format(&s->out, "{\"index\":%u,\"delta\":{", row);
    if (!s->rows[row].has_role) {
        zoo_out_text(&s->out, "\"role\":\"assistant\",");
        s->rows[row].has_role = true;
    }
}

static void close_delta(zoo_event_stream *s)
{
    zoo_out_text(&s->out, "},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
}

static void send_part(zoo_event_stream *s, uint32_t row, const char *key, const char *text,
                      size_t n)
{
    open_delta(s, row);
    zoo_out_format(&s->out, "\"%s\":", key);
    zoo_out_string(&s->out, text, n);
    close_delta(s);
}

static void send_completion(zoo_event_stream *s, uint32_t row, const char *text, size_t n)
{
    open_event(s);
    zoo_out_format(&s->out, "{\"index\":%u,\"text\":", row);
    zoo_out_string(&s->out, text, n);
    zoo_out_text(&s->out, ",\"logprobs\":null,\"finish_reason\":null}]}\n\n");
}

/* ---- chats ---- */

static void send_calls(zoo_event_stream *s, uint32_t index, const cJSON *calls)
{
    zoo_event_row *row = &s->rows[index];
    for (int n = cJSON_GetArraySize(calls); (int)row->n_calls < n; row->n_calls++) {
        const cJSON *call = cJSON_GetArrayItem(calls, (int)row->n_calls);
        char *text = cJSON_PrintUnformatted(call);
        if (!text) {
            s->failed = true;
            return;
        }
        open_delta(s, index);
        zoo_out_format(&s->out, "\"tool_calls\":[{\"index\":%u,", row->n_calls);
        zoo_out_text(&s->out, text + 1); /* behind its brace */
        zoo_out_text(&s->out, "]");
        close_delta(s);
        cJSON_free(text);
    }
}

/* Sends what a text has more than was sent; at_end: white space at its end too, which may be
 * trimmed away as long as more can come. */
static void send_growth(zoo_event_stream *s, uint32_t index, const char *key, const cJSON *item,
                        size_t *n_sent, bool at_end)
{
    const char *text = cJSON_GetStringValue(item);
    size_t n = text ? strlen(text) : 0;
    while (!at_end && n > 0 && strchr(" \t\r\n", text[n - 1])) {
        n--;
    }
    if (n > *n_sent) {
        send_part(s, index, key, text + *n_sent, n - *n_sent);
        *n_sent = n;
    }
}

/* Takes the first n bytes of a row's text apart and sends what is new. */
static void send_message(zoo_event_stream *s, uint32_t index, size_t n, bool at_end)
{
    zoo_event_row *row = &s->rows[index];
    zoo_row part = {.text = {.data = row->text.data, .n = n}};
    cJSON *message = zoo_result_message(&s->answer, &part);
    if (!message) {
        s->failed = true;
        return;
    }
    send_growth(s, index, "reasoning_content",
                cJSON_GetObjectItemCaseSensitive(message, "reasoning_content"), &row->n_reasoning,
                at_end);
    send_growth(s, index, "content", cJSON_GetObjectItemCaseSensitive(message, "content"),
                &row->n_content, at_end);
    send_calls(s, index, cJSON_GetObjectItemCaseSensitive(message, "tool_calls"));
    cJSON_Delete(message);
}

static bool add_text(zoo_text *text, const char *more, size_t n)
{
    if (text->n + n + 1 > text->capacity) {
        size_t capacity = 2 * (text->n + n) + 64;
        char *data = zoo_mem_realloc(text->data, capacity);
        if (!data) {
            return false;
        }
        text->data = data;
        text->capacity = capacity;
    }
    memcpy(text->data + text->n, more, n);
    text->n += n;
    text->data[text->n] = '\0';
    return true;
}

void zoo_stream_text(zoo_event_stream *s, uint32_t index, const char *text, size_t n)
{
    zoo_event_row *row = &s->rows[index];
    if (s->answer.request->endpoint != ZOO_CHAT) {
        send_completion(s, index, text, n);
        return;
    }
    if (!add_text(&row->text, text, n)) {
        s->failed = true;
        return;
    }
    zoo_output output = zoo_result_output(&s->answer, &(zoo_row){.text = row->text});
    size_t stable = zoo_output_stable(s->answer.format, &output);
    if (stable > 0) {
        send_message(s, index, stable, false);
    }
}

/* ---- the end ---- */

static void send_finish(zoo_event_stream *s, const zoo_answer *answer, uint32_t index)
{
    const zoo_row *row = &answer->rows[index];
    bool is_chat = answer->request->endpoint == ZOO_CHAT;
    if (is_chat) {
        send_message(s, index, s->rows[index].text.n, true);
    }
    open_event(s);
    zoo_out_format(&s->out, is_chat ? "{\"index\":%u,\"delta\":{}" : "{\"index\":%u,\"text\":\"\"",
                   index);
    zoo_out_text(&s->out, ",\"logprobs\":null");
    zoo_result_end(&s->out, answer, row, s->rows[index].n_calls > 0);
    zoo_out_text(&s->out, "]}\n\n");
}

void zoo_stream_end(zoo_event_stream *s, const zoo_answer *answer, bool wants_usage,
                    const zoo_error *error)
{
    for (uint32_t i = 0; answer && !s->failed && i < s->n_rows; i++) {
        send_finish(s, answer, i);
    }
    if (answer && !s->failed && wants_usage) {
        open_event(s);
        zoo_out_text(&s->out, "]");
        zoo_result_usage(&s->out, answer);
        zoo_out_text(&s->out, "}\n\n");
    }
    if (!answer || s->failed) {
        const char *why = answer ? "no memory for the stream" : error->text;
        zoo_out_text(&s->out, "data: {\"error\":{\"message\":");
        zoo_out_string(&s->out, why, strlen(why));
        zoo_out_text(&s->out, ",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n");
    }
    zoo_out_text(&s->out, "data: [DONE]\n\n");
}
