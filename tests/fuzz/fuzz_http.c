/*
 * fuzz_http.c: any bytes as the body of a request over HTTP, in every dialect, and as what a model
 * writes in answer to it: byte 0 chooses the dialect, a byte 0 after it ends the body. Every body
 * is refused with a sentence or becomes a request; answers are JSON, and so is each event of a
 * stream, whatever pieces the text comes in.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/budget.h"
#include "base/mem.h"
#include "serve/messages.h"
#include "serve/responses.h"

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static zoo_tokenizer *tokenizer;
static zoo_template *chat;
static zoo_output_format *format;

static void open_once(void)
{
    const char *folder = LMZOO_SOURCE_DIR "/demo/models/demo-llama", *source;
    size_t n;
    if (!tokenizer) {
        zoo_mem_json();
        check(zoo_tokenizer_open(folder, &tokenizer, NULL) == ZOO_OK);
        check(zoo_template_open(folder, &chat, NULL) == ZOO_OK);
        source = zoo_template_source(chat, &n);
        check(zoo_output_format_find(LMZOO_SOURCE_DIR "/models.d/formats", source, n, &format,
                                     NULL) == ZOO_OK);
    }
}

static void check_json(const char *text, size_t n)
{
    cJSON *tree = NULL;
    check(zoo_json_parse(text, n, "answer", &tree, NULL) == ZOO_OK);
    cJSON_Delete(tree);
}

static void check_events(const zoo_out *out)
{
    const char *at = out->data, *end = out->data + out->n;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        check(line != NULL);
        if (line - at > 6 && memcmp(at, "data: {", 7) == 0) {
            check_json(at + 6, (size_t)(line - at - 6));
        }
        at = line + 1;
    }
}

/* What a tokenizer's decoder gives: the text up to its first byte that is no UTF-8. */
static size_t count_text(const char *text, size_t n)
{
    size_t at = 0, width = 1;
    while (at < n && text[at] && width > 0) {
        width = zoo_utf8_length(text + at, n - at);
        at += width;
    }
    return at;
}

/* The text as one row's output, whole and in pieces. */
static void answer(const zoo_dialect *dialect, const zoo_request *request, const cJSON *echoed,
                   const char *text, size_t n)
{
    char *copy = zoo_mem_text(text, n);
    zoo_row row = {.text = {.data = copy, .n = n}, .finish = ZOO_FINISH_END};
    zoo_answer a = {.request = request, .model = "m", .tokenizer = tokenizer, .format = format};
    zoo_event_stream stream = {.writer = dialect->writer, .echoed = echoed, .wants_usage = true};
    zoo_out out = {0};
    zoo_error none = {0};
    check(copy && zoo_stream_open(&stream, &a, 1));
    for (size_t i = 0, width; i < n; i += width) {
        width = zoo_utf8_length(text + i, n - i);
        zoo_stream_text(&stream, 0, text + i, width, NULL);
    }
    a.rows = &row;
    a.n_rows = 1;
    zoo_stream_end(&stream, &a, &none);
    check_events(&stream.out);
    dialect->answer(&out, &a, echoed);
    check(!out.failed);
    check_json(out.data, out.n);
    zoo_out_free(&out);
    zoo_stream_close(&stream);
    zoo_mem_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const zoo_dialect *const dialects[] = {&zoo_dialect_completions, &zoo_dialect_chat,
                                                  &zoo_dialect_messages, &zoo_dialect_responses};
    zoo_generation generation = {.temperature = 1.0f, .top_p = 1.0f, .repetition = 1.0f};
    zoo_clock now = {2026, 1, 2, 3, 4, 5, 0};
    zoo_request request = {0};
    zoo_translation t = {0};
    zoo_error err = {0};
    open_once();
    if (n < 2) {
        return 0;
    }
    const zoo_dialect *dialect = dialects[data[0] % 4];
    const char *body = (const char *)data + 1, *end = memchr(body, 0, n - 1);
    size_t n_body = end ? (size_t)(end - body) : n - 1;
    zoo_request_context context = {.generation = &generation,
                                   .tokenizer = tokenizer,
                                   .chat = chat,
                                   .format = format,
                                   .now = &now,
                                   .n_vocab = 1024,
                                   .context_max = 512,
                                   .marks_turns = true,
                                   .usual_max = 16};
    zoo_budget budget = {.bytes_max = (size_t)64 << 20, .steps_max = ZOO_REQUEST_STEPS_MAX};
    (void)zoo_budget_enter(&budget);
    zoo_status status = zoo_json_parse(body, n_body, "the body", &t.body, &err);
    if (status == ZOO_OK && dialect->read) {
        status = cJSON_IsObject(t.body) ? dialect->read(&t, &err)
                                        : zoo_fail(&err, ZOO_E_USAGE, "no object");
    } else if (status == ZOO_OK) {
        t.chat = t.body;
        t.body = NULL;
    }
    if (status == ZOO_OK) {
        bool is_completion = dialect == &zoo_dialect_completions;
        status = zoo_request_body(&context, is_completion ? ZOO_COMPLETIONS : ZOO_CHAT, t.chat,
                                  &request, &err);
        t.chat = NULL;
    }
    status = status == ZOO_OK ? zoo_request_encode(&context, &request, &err) : status;
    check(status == ZOO_OK || err.text[0]);
    (void)zoo_budget_enter(NULL);
    if (status == ZOO_OK && request.n_prompts * request.n_choices == 1 && !request.wants_logprobs &&
        request.n_prompt_top == ZOO_UNSAID && !request.wants_ids) {
        const char *text = end ? end + 1 : "";
        answer(dialect, &request, t.echoed, text, end ? count_text(text, n - n_body - 2) : 0);
    }
    zoo_request_free(&request);
    cJSON_Delete(t.body);
    cJSON_Delete(t.chat);
    cJSON_Delete(t.echoed);
    return 0;
}
