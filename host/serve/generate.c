/* generate.c: generation requests, from the body to the live queue and from there to the answer. */
#include <string.h>

#include "base/budget.h"
#include "base/idmap.h"
#include "base/json.h"
#include "batch/request_rows.h"
#include "serve/messages.h"
#include "serve/server_private.h"

/* Resumes the connection if it is suspended. The exchange's lock is held. */
static void wake(zoo_exchange *e)
{
    if (e->is_suspended && e->connection) {
        e->is_suspended = false;
        MHD_resume_connection(e->connection);
    }
}

static void on_text(void *arg, uint32_t row, const char *text, size_t n)
{
    zoo_exchange *e = arg;
    (void)pthread_mutex_lock(&e->lock);
    if (e->first == 0) {
        e->first = zoo_clock_seconds();
        zoo_metrics_observe(&e->server->metrics.first_token, e->first - e->began);
    }
    if (!e->is_gone && e->wants_stream) {
        zoo_stream_text(&e->stream, row, text, n, zoo_live_row(e->live, row));
        wake(e);
    }
    (void)pthread_mutex_unlock(&e->lock);
}

static void count(zoo_exchange *e, const zoo_answer *answer)
{
    zoo_metrics *m = &e->server->metrics;
    double now = zoo_clock_seconds();
    uint64_t n_new = 0;
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        n_new += answer->rows[i].n_out;
        atomic_fetch_add(&m->cached_tokens, answer->rows[i].n_cached);
        atomic_fetch_add(&m->prompt_tokens, answer->rows[i].n_prompt);
    }
    atomic_fetch_add(&m->new_tokens, n_new);
    zoo_metrics_observe(&m->whole, now - e->began);
    if (e->first > 0 && n_new > answer->n_rows) {
        zoo_metrics_observe(&m->per_token, (now - e->first) / (double)(n_new - answer->n_rows));
    }
}

/* Replaces the reason of a cancelled request by the timeout, if that was it. */
static void explain_timeout(const zoo_exchange *e, zoo_error *why)
{
    if (e->is_late && why->code == ZOO_E_CANCELLED) {
        (void)zoo_fail(why, ZOO_E_CANCELLED,
                       "the request took longer than --request-timeout, %g seconds",
                       e->server->options->request_seconds);
    }
}

static void on_done(void *arg)
{
    zoo_exchange *e = arg;
    zoo_answer answer;
    zoo_error why = {0};
    (void)pthread_mutex_lock(&e->lock);
    zoo_status status = zoo_live_answer(e->live, &answer, &why);
    if (status == ZOO_OK) {
        count(e, &answer);
    }
    if (e->wants_stream) {
        explain_timeout(e, &why);
        zoo_stream_end(&e->stream, status == ZOO_OK ? &answer : NULL, &why);
    }
    e->is_done = true;
    wake(e);
    (void)pthread_mutex_unlock(&e->lock);
}

/* ---- begin ---- */

static bool refuse(zoo_exchange *e, const char *param, const char *message)
{
    zoo_answer_error(e, MHD_HTTP_BAD_REQUEST, "invalid_request_error", "invalid_value", param,
                     message);
    return false;
}

/* Removes stream and stream_options from the body. */
static zoo_status read_stream_keys(zoo_exchange *e, cJSON *body, char param[64], zoo_error *err)
{
    cJSON *stream = cJSON_DetachItemFromObjectCaseSensitive(body, "stream");
    cJSON *options = cJSON_DetachItemFromObjectCaseSensitive(body, "stream_options");
    bool ok = !stream || cJSON_IsBool(stream) || cJSON_IsNull(stream);
    bool has_options = !options || cJSON_IsObject(options) || cJSON_IsNull(options);
    e->wants_stream = cJSON_IsTrue(stream);
    e->stream.wants_usage =
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(options, "include_usage"));
    cJSON_Delete(stream);
    cJSON_Delete(options);
    if (!ok) {
        (void)snprintf(param, 64, "stream");
        return zoo_fail(err, ZOO_E_USAGE, "stream must be true or false");
    }
    if (!has_options) {
        (void)snprintf(param, 64, "stream_options");
        return zoo_fail(err, ZOO_E_USAGE, "stream_options must be an object");
    }
    return ZOO_OK;
}

/* Parses the body and translates it into that of a chat or completion; *body is the caller's. */
static zoo_status read_body(zoo_exchange *e, zoo_status (*read)(zoo_translation *t, zoo_error *err),
                            cJSON **body, char param[64], zoo_error *err)
{
    zoo_translation t = {0};
    zoo_status status;
    ZOO_TRY(zoo_json_parse(e->body.data ? e->body.data : "", e->body.n, "the body", body, err));
    ZOO_TRY(read_stream_keys(e, *body, param, err));
    if (!read) {
        return ZOO_OK;
    }
    t.body = *body;
    status = cJSON_IsObject(t.body) ? read(&t, err)
                                    : zoo_fail(err, ZOO_E_USAGE, "the body must be an object");
    memcpy(param, t.param, sizeof t.param);
    cJSON_Delete(t.body);
    *body = t.chat;
    e->echoed = t.echoed;
    return status;
}

static zoo_status prepare_body(zoo_exchange *e,
                               zoo_status (*read)(zoo_translation *t, zoo_error *err),
                               zoo_request *request, zoo_error *err)
{
    const zoo_request_context *context = &e->server->loaded->context;
    cJSON *body = NULL;
    zoo_status status = read_body(e, read, &body, request->param, err);
    if (status != ZOO_OK) {
        cJSON_Delete(body);
        return status;
    }
    bool is_completion = e->route->dialect == &zoo_dialect_completions;
    ZOO_TRY(
        zoo_request_body(context, is_completion ? ZOO_COMPLETIONS : ZOO_CHAT, body, request, err));
    return zoo_request_encode(context, request, err);
}

/* Parses and encodes the body within the limits of one request: exceeding them is an error of the
 * request, not of the server. */
static zoo_status prepare(zoo_exchange *e, zoo_status (*read)(zoo_translation *t, zoo_error *err),
                          zoo_request *request, zoo_error *err)
{
    const zoo_server_options *o = e->server->options;
    zoo_budget budget = {.bytes_max = o->request_bytes_max,
                         .steps_max = ZOO_REQUEST_STEPS_MAX,
                         .cancel = &e->server->is_stopping};
    zoo_status status;
    if (o->request_seconds > 0) {
        budget.deadline = zoo_clock_seconds() + o->request_seconds;
    }
    (void)zoo_budget_enter(&budget);
    status = prepare_body(e, read, request, err);
    (void)zoo_budget_enter(NULL);
    status = zoo_request_judge_spent(&budget, "--request-timeout", o->request_seconds, status, err);
    bool is_costly = status != ZOO_OK && budget.spent != ZOO_SPENT_NOTHING;
    if (status == ZOO_OK) {
        status = zoo_request_judge_size(request, o->request_bytes_max, err);
        is_costly = status != ZOO_OK;
    }
    zoo_out_free(&e->body);
    zoo_exchange_release(e);
    if (status == ZOO_OK &&
        !zoo_exchange_hold(e, budget.bytes + (size_t)zoo_request_bytes(request))) {
        return ZOO_E_LIMIT; /* answered */
    }
    const char *param = request->param[0] ? request->param : NULL;
    if (is_costly && status == ZOO_E_LIMIT) {
        zoo_answer_error(e, MHD_HTTP_BAD_REQUEST, "invalid_request_error", "limit_exceeded", param,
                         err->text);
    } else if (status != ZOO_OK) {
        zoo_answer_status(e, status, param, err->text);
    }
    return status;
}

static bool submit(zoo_exchange *e, zoo_request *request, zoo_id id)
{
    zoo_server *s = e->server;
    zoo_live_events events = {e, on_text, on_done};
    zoo_error why = {0};
    zoo_status status;
    uint32_t n_rows = request->n_prompts * request->n_choices;
    if (e->wants_stream && request->echo) {
        return refuse(e, "echo", "echo cannot be streamed; send the request without stream");
    }
    (void)pthread_mutex_lock(&e->lock);
    e->is_suspended = !e->wants_stream;
    status = zoo_live_make(s->live, request, id, &events, &e->live, &why);
    if (status == ZOO_OK && e->wants_stream) {
        zoo_answer head;
        zoo_live_head(s->live, e->live, &head);
        e->stream.writer = e->route->dialect->writer;
        e->stream.echoed = e->echoed;
        e->stream.failed |= !zoo_stream_open(&e->stream, &head, n_rows);
    } else if (status == ZOO_OK) {
        MHD_suspend_connection(e->connection);
    }
    e->is_suspended = e->is_suspended && status == ZOO_OK;
    (void)pthread_mutex_unlock(&e->lock);
    if (status != ZOO_OK) {
        zoo_answer_status(e, status, NULL, why.text);
        return false;
    }
    zoo_live_start(s->live, e->live);
    return true;
}

/* Reserves a place in the live queue; false: it is full or the server is stopping. */
static bool take_place(zoo_exchange *e)
{
    zoo_server *s = e->server;
    if (atomic_load(&s->is_stopping)) {
        zoo_answer_error(e, MHD_HTTP_SERVICE_UNAVAILABLE, "server_error", "stopping", NULL,
                         "the server is stopping");
        return false;
    }
    if (atomic_fetch_add(&s->n_inside, 1) >= s->options->requests_max) {
        atomic_fetch_sub(&s->n_inside, 1);
        zoo_answer_error(e, MHD_HTTP_TOO_MANY_REQUESTS, "rate_limit_error", "queue_full", NULL,
                         "too many requests are waiting; try again later");
        return false;
    }
    return true;
}

bool zoo_generate_begin(zoo_exchange *e)
{
    zoo_server *s = e->server;
    zoo_request request = {0};
    zoo_error err = {0};
    zoo_id id = zoo_id_of(e->body.data, e->body.n, atomic_fetch_add(&s->n_requests, 1));
    bool is_inside = false;
    if (!take_place(e)) {
        return false;
    }
    if (prepare(e, e->route->dialect->read, &request, &err) == ZOO_OK) {
        is_inside = submit(e, &request, id);
    }
    zoo_request_free(&request);
    if (!is_inside) {
        atomic_fetch_sub(&s->n_inside, 1);
    }
    return is_inside;
}

void zoo_generate_count(zoo_exchange *e)
{
    zoo_request request = {0};
    zoo_error err = {0};
    if (prepare(e, zoo_messages_read_count, &request, &err) == ZOO_OK) {
        e->status = MHD_HTTP_OK;
        zoo_out_format(&e->answer, "{\"input_tokens\":%u}", request.prompts[0].n_tokens);
    }
    zoo_request_free(&request);
}

void zoo_generate_answer(zoo_exchange *e)
{
    zoo_answer answer;
    zoo_error why = {0};
    zoo_status status = zoo_live_answer(e->live, &answer, &why);
    if (status != ZOO_OK) {
        (void)pthread_mutex_lock(&e->lock);
        explain_timeout(e, &why);
        (void)pthread_mutex_unlock(&e->lock);
        zoo_answer_status(e, status, NULL, why.text);
        return;
    }
    e->route->dialect->answer(&e->answer, &answer, e->echoed);
    e->status = MHD_HTTP_OK;
    if (e->answer.failed) {
        e->answer.n = 0;
        e->answer.failed = false;
        zoo_answer_error(e, MHD_HTTP_SERVICE_UNAVAILABLE, "server_error", NULL, NULL,
                         "no memory for the answer");
    }
}
