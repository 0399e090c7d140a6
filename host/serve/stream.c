/* stream.c: see stream.h; stream_openai.c writes the events of OpenAI's two older endpoints. */
#include "serve/stream.h"

#include <string.h>

#include "base/mem.h"

bool zoo_stream_open(zoo_event_stream *s, const zoo_answer *answer, uint32_t n_rows)
{
    s->answer = *answer;
    s->n_rows = n_rows;
    s->rows = zoo_mem_array(n_rows, sizeof *s->rows);
    if (s->rows && s->writer->begin) {
        s->writer->begin(s);
    }
    return s->rows != NULL;
}

void zoo_stream_close(zoo_event_stream *s)
{
    for (uint32_t i = 0; s->rows && i < s->n_rows; i++) {
        zoo_text_free(&s->rows[i].text);
    }
    zoo_mem_free(s->rows);
    zoo_text_free(&s->block.text);
    zoo_out_free(&s->out);
    cJSON_Delete(s->items);
    s->rows = NULL;
    s->items = NULL;
}

void zoo_stream_add(zoo_event_stream *s, zoo_text *text, const char *more, size_t n)
{
    if (text->n + n + 1 > text->capacity) {
        size_t capacity = 2 * (text->n + n) + 64;
        char *data = zoo_mem_realloc(text->data, capacity);
        if (!data) {
            s->failed = true;
            return;
        }
        text->data = data;
        text->capacity = capacity;
    }
    memcpy(text->data + text->n, more, n);
    text->n += n;
    text->data[text->n] = '\0';
}

/* Sends the part of a text that is new. White space at its end is held back until at_end, as more
 * text may cause it to be trimmed. */
static void send_growth(zoo_event_stream *s, uint32_t index, bool is_content, const cJSON *item,
                        bool at_end)
{
    zoo_event_row *row = &s->rows[index];
    size_t *n_sent = is_content ? &row->n_content : &row->n_reasoning;
    const char *text = cJSON_GetStringValue(item);
    size_t n = text ? strlen(text) : 0;
    while (!at_end && n > 0 && strchr(" \t\r\n", text[n - 1])) {
        n--;
    }
    if (n > *n_sent) {
        (is_content ? s->writer->content : s->writer->reasoning)(s, index, text + *n_sent,
                                                                 n - *n_sent);
        *n_sent = n;
    }
}

/* Parses the first n bytes of a row's text and sends what is new. */
static void send_message(zoo_event_stream *s, uint32_t index, size_t n, bool at_end)
{
    zoo_event_row *row = &s->rows[index];
    zoo_row part = {.text = {.data = row->text.data, .n = n}};
    cJSON *message = zoo_result_message(&s->answer, &part);
    const cJSON *calls;
    if (!message) {
        s->failed = true;
        return;
    }
    send_growth(s, index, false, cJSON_GetObjectItemCaseSensitive(message, "reasoning_content"),
                at_end);
    send_growth(s, index, true, cJSON_GetObjectItemCaseSensitive(message, "content"), at_end);
    calls = cJSON_GetObjectItemCaseSensitive(message, "tool_calls");
    for (int n_calls = cJSON_GetArraySize(calls); (int)row->n_calls < n_calls; row->n_calls++) {
        s->writer->call(s, index, cJSON_GetArrayItem(calls, (int)row->n_calls));
    }
    cJSON_Delete(message);
}

void zoo_stream_text(zoo_event_stream *s, uint32_t index, const char *text, size_t n,
                     const zoo_row *now)
{
    zoo_event_row *row = &s->rows[index];
    s->now = now;
    if (s->answer.request->endpoint != ZOO_CHAT) {
        s->writer->content(s, index, text, n);
    } else {
        zoo_stream_add(s, &row->text, text, n);
        zoo_output output = zoo_result_output(&s->answer, &(zoo_row){.text = row->text});
        size_t stable = s->failed ? 0 : zoo_output_stable(s->answer.format, &output);
        if (stable > 0) {
            send_message(s, index, stable, false);
        }
    }
    s->now = NULL;
}

void zoo_stream_end(zoo_event_stream *s, const zoo_answer *answer, const zoo_error *error)
{
    for (uint32_t i = 0; answer && !s->failed && i < s->n_rows; i++) {
        s->now = &answer->rows[i];
        if (answer->request->endpoint == ZOO_CHAT) {
            send_message(s, i, s->rows[i].text.n, true);
        }
        if (!s->failed) {
            s->writer->finish(s, answer, i);
        }
    }
    s->now = NULL;
    s->writer->end(s, s->failed ? NULL : answer,
                   s->failed ? "no memory for the stream" : error->text);
}
