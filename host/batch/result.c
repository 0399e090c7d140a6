/* result.c: rows into answers (result.h); log-probabilities are in result_logprobs.c. */
#include "batch/result.h"

#include <string.h>
#include <xxhash.h>

#include "batch/journal.h"
#include "batch/result_private.h"

const char *zoo_finish_name(zoo_finish finish)
{
    return finish == ZOO_FINISH_LENGTH ? "length" : finish == ZOO_FINISH_FAILED ? "error" : "stop";
}

/* ---- choices ---- */

static void put_ids(zoo_out *out, const char *key, const int32_t *ids, uint32_t n)
{
    zoo_out_format(out, ",\"%s\":[", key);
    for (uint32_t i = 0; i < n; i++) {
        zoo_out_format(out, i > 0 ? ",%d" : "%d", ids[i]);
    }
    zoo_out_text(out, "]");
}

void zoo_result_end(zoo_out *out, const zoo_answer *a, const zoo_row *row, bool calls)
{
    bool stopped = row->finish != ZOO_FINISH_LENGTH;
    zoo_out_text(out, ",\"finish_reason\":\"");
    zoo_out_text(out, calls && stopped ? "tool_calls" : zoo_finish_name(row->finish));
    zoo_out_text(out, "\",\"stop_reason\":");
    if (row->finish == ZOO_FINISH_STOP_TEXT) {
        zoo_out_string(out, row->stops[row->stop_index], strlen(row->stops[row->stop_index]));
    } else if (row->finish == ZOO_FINISH_STOP_ID) {
        zoo_out_format(out, "%d", row->tokens[row->n_prompt + row->n_out - 1]);
    } else {
        zoo_out_text(out, "null");
    }
    if (a->request->wants_ids) {
        put_ids(out, "token_ids", row->tokens + row->n_prompt, row->n_out);
        put_ids(out, "prompt_token_ids", row->tokens, row->n_prompt);
    }
    if (a->request->n_prompt_top != ZOO_UNSAID) {
        zoo_out_text(out, ",\"prompt_logprobs\":");
        zoo_result_prompt_logprobs(out, a, row);
    }
    zoo_out_text(out, "}");
}

static void put_completion(zoo_out *out, const zoo_answer *a, uint32_t index)
{
    const zoo_row *row = &a->rows[index];
    const zoo_prompt *prompt = &a->request->prompts[index / a->request->n_choices];
    zoo_text whole = {0};
    zoo_out_text(out, "{\"index\":");
    zoo_out_number(out, index);
    zoo_out_text(out, ",\"text\":");
    if (a->request->echo) {
        zoo_result_prompt_text(a, prompt, &whole, out);
        zoo_result_add_text(&whole, row->text.data, row->text.n, out);
        zoo_out_string(out, whole.data ? whole.data : "", whole.n);
    } else {
        zoo_out_string(out, row->text.data ? row->text.data : "", row->text.n);
    }
    zoo_text_free(&whole);
    zoo_out_text(out, ",\"logprobs\":");
    if (a->request->n_top == ZOO_UNSAID) {
        zoo_out_text(out, "null");
    } else {
        zoo_result_logprobs(out, a, row, 0, row->n_out);
    }
    zoo_result_end(out, a, row, false);
}

zoo_output zoo_result_output(const zoo_answer *a, const zoo_row *row)
{
    const zoo_request *r = a->request;
    return (zoo_output){.prompt = r->rendered,
                        .prompt_n = r->rendered ? strlen(r->rendered) : 0,
                        .text = row->text.data ? row->text.data : "",
                        .text_n = row->text.n,
                        .tools = cJSON_GetObjectItemCaseSensitive(r->variables, "tools"),
                        .is_json = r->wants_json,
                        .is_call = r->must_call,
                        .one_call = r->one_call};
}

/* Takes the marks out of a text, in place. */
static void cut_marks(char *text, char *const *marks)
{
    for (; marks && *marks; marks++) {
        size_t n = strlen(*marks);
        for (char *at = text; (at = strstr(at, *marks)) != NULL;) {
            memmove(at, at + n, strlen(at + n) + 1);
        }
    }
}

cJSON *zoo_result_message(const zoo_answer *a, const zoo_row *row)
{
    zoo_output output = zoo_result_output(a, row);
    cJSON *message = NULL;
    char *content;
    if (zoo_output_parse(a->format, &output, &message, NULL) != ZOO_OK) {
        return NULL;
    }
    content = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "content"));
    if (content && !a->request->keep_special && !a->request->wants_json) {
        cut_marks(content, a->marks);
    }
    return message;
}

static void put_chat(zoo_out *out, const zoo_answer *a, uint32_t index)
{
    const zoo_row *row = &a->rows[index];
    cJSON *message = zoo_result_message(a, row);
    char *text = message ? cJSON_PrintUnformatted(message) : NULL;
    bool calls = cJSON_GetObjectItemCaseSensitive(message, "tool_calls") != NULL;
    zoo_out_format(out, "{\"index\":%u,\"message\":", index);
    zoo_out_text(out, text ? text : "null");
    out->failed |= !text;
    cJSON_free(text);
    cJSON_Delete(message);
    zoo_out_text(out, ",\"logprobs\":");
    if (a->request->n_top == ZOO_UNSAID) {
        zoo_out_text(out, "null");
    } else {
        zoo_result_logprobs(out, a, row, 0, row->n_out);
    }
    zoo_result_end(out, a, row, calls);
}

void zoo_result_usage(zoo_out *out, const zoo_answer *a)
{
    uint64_t n_prompt = 0, n_out = 0, n_cached = 0, n_drafted = 0, n_accepted = 0;
    for (uint32_t i = 0; i < a->request->n_prompts; i++) {
        n_prompt += a->request->prompts[i].n_tokens;
    }
    for (uint32_t i = 0; i < a->n_rows; i++) {
        n_out += a->rows[i].n_out;
        n_cached += a->rows[i].n_cached;
        n_drafted += a->rows[i].n_drafted;
        n_accepted += a->rows[i].n_accepted;
    }
    zoo_out_text(out, ",\"usage\":{\"prompt_tokens\":");
    zoo_out_number(out, n_prompt);
    zoo_out_text(out, ",\"completion_tokens\":");
    zoo_out_number(out, n_out);
    zoo_out_text(out, ",\"total_tokens\":");
    zoo_out_number(out, n_prompt + n_out);
    if (a->shows_cached) {
        zoo_out_format(out, ",\"prompt_tokens_details\":{\"cached_tokens\":%llu}",
                       (unsigned long long)(n_cached < n_prompt ? n_cached : n_prompt));
        zoo_out_format(out,
                       ",\"completion_tokens_details\":{\"accepted_prediction_tokens\":%llu,"
                       "\"rejected_prediction_tokens\":%llu}",
                       (unsigned long long)n_accepted,
                       (unsigned long long)(n_drafted - n_accepted));
    }
    zoo_out_text(out, "}");
}

void zoo_result_head(zoo_out *out, const zoo_answer *a, const char *object)
{
    bool is_chat = a->request->endpoint == ZOO_CHAT;
    const char *model = a->request->model ? a->request->model : a->model;
    char name[48];
    zoo_journal_name(a->id, name);
    zoo_out_text(out, is_chat ? "\"id\":\"chatcmpl-" : "\"id\":\"cmpl-");
    zoo_out_text(out, name + strlen("batch_req_"));
    zoo_out_text(out, "\",\"object\":\"");
    zoo_out_text(out, object);
    zoo_out_text(out, "\",\"created\":");
    zoo_out_number(out, (uint64_t)a->created);
    zoo_out_text(out, ",\"model\":");
    zoo_out_string(out, model, strlen(model));
}

void zoo_result_body(zoo_out *out, const zoo_answer *a)
{
    bool is_chat = a->request->endpoint == ZOO_CHAT;
    zoo_out_text(out, "{");
    zoo_result_head(out, a, is_chat ? "chat.completion" : "text_completion");
    zoo_out_text(out, ",\"choices\":[");
    for (uint32_t i = 0; i < a->n_rows; i++) {
        zoo_out_text(out, i > 0 ? "," : "");
        if (is_chat) {
            put_chat(out, a, i);
        } else {
            put_completion(out, a, i);
        }
    }
    zoo_out_text(out, "]");
    zoo_result_usage(out, a);
    zoo_out_text(out, "}");
}

/* ---- lines ---- */

static void put_head(zoo_out *out, zoo_id id, const char *custom_id, unsigned status)
{
    char name[48];
    zoo_journal_name(id, name);
    zoo_out_text(out, "{\"id\":\"");
    zoo_out_text(out, name);
    zoo_out_text(out, "\",\"custom_id\":");
    zoo_out_string(out, custom_id, custom_id ? strlen(custom_id) : 0);
    zoo_out_text(out, ",\"response\":{\"status_code\":");
    zoo_out_number(out, status);
    zoo_out_text(out, ",\"request_id\":\"");
    zoo_out_text(out, name + strlen("batch_"));
    zoo_out_text(out, "\",\"body\":");
}

void zoo_result_line(zoo_out *out, const zoo_answer *a)
{
    put_head(out, a->id, a->request->custom_id, 200);
    zoo_result_body(out, a);
    zoo_out_text(out, "},\"error\":null}\n");
}

const char *const zoo_result_codes[ZOO_RESULT_CODES] = {
    "duplicate_custom_id", "invalid_line",   "invalid_request", "invalid_value",
    "unsupported",         "limit_exceeded", "model_error"};

uint32_t zoo_result_code(const zoo_refusal *r)
{
    if (r->is_duplicate) {
        return 0;
    }
    switch (r->status) {
    case ZOO_E_FORMAT:
        return r->is_line ? 1 : 2;
    case ZOO_E_USAGE:
        return 3;
    case ZOO_E_UNSUPPORTED:
        return 4;
    case ZOO_E_LIMIT:
        return 5;
    default:
        return 6;
    }
}

void zoo_result_refusal(zoo_out *out, const zoo_refusal *r)
{
    const char *code = zoo_result_codes[zoo_result_code(r)];
    bool ours = strcmp(code, "model_error") == 0;
    const char *param = r->param[0] ? r->param : NULL;
    char message[640];
    (void)snprintf(message, sizeof message, "line %llu: %s", (unsigned long long)r->line,
                   r->message);
    put_head(out, r->id, r->custom_id, ours ? 500 : 400);
    zoo_out_text(out, "{\"error\":{\"message\":");
    zoo_out_string(out, message, strlen(message));
    zoo_out_format(out,
                   ",\"type\":\"%s\",\"param\":", ours ? "server_error" : "invalid_request_error");
    zoo_out_string(out, param, param ? strlen(param) : 0);
    zoo_out_format(out, ",\"code\":\"%s\"}}},\"error\":{\"code\":\"%s\",\"message\":", code, code);
    zoo_out_string(out, message, strlen(message));
    zoo_out_text(out, ",\"param\":");
    zoo_out_string(out, param, param ? strlen(param) : 0);
    zoo_out_format(out, ",\"line\":%llu}}\n", (unsigned long long)r->line);
}
