/* generate.c: completions and chats: from a body to the live queue and back. */
#include <string.h>

#include "base/idmap.h"
#include "base/json.h"
#include "serve/server_private.h"

/* Wakes the connection if it waits. The exchange's lock is held. */
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
        e->first = zoo_metrics_now();
        zoo_metrics_observe(&e->server->metrics.first_token, e->first - e->began);
    }
    if (!e->is_gone && e->wants_stream) {
        zoo_stream_text(&e->stream, row, text, n);
        wake(e);
    }
    (void)pthread_mutex_unlock(&e->lock);
}

static void count(zoo_exchange *e, const zoo_answer *answer)
{
    zoo_metrics *m = &e->server->metrics;
    double now = zoo_metrics_now();
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
        zoo_stream_end(&e->stream, status == ZOO_OK ? &answer : NULL, e->wants_usage, &why);
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

/* Takes stream and stream_options out of the body. */
static bool read_stream_keys(zoo_exchange *e, cJSON *body)
{
    cJSON *stream = cJSON_DetachItemFromObjectCaseSensitive(body, "stream");
    cJSON *options = cJSON_DetachItemFromObjectCaseSensitive(body, "stream_options");
    bool ok = !stream || cJSON_IsBool(stream) || cJSON_IsNull(stream);
    e->wants_stream = cJSON_IsTrue(stream);
    e->wants_usage = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(options, "include_usage"));
    cJSON_Delete(stream);
    cJSON_Delete(options);
    return ok || refuse(e, "stream", "stream must be true or false");
}

static zoo_status encode(zoo_exchange *e, cJSON *body, zoo_request *request, zoo_error *err)
{
    const zoo_request_context *context = &e->server->loaded->context;
    ZOO_TRY(zoo_request_body(context, e->route->endpoint, body, request, err));
    return zoo_request_encode(context, request, err);
}

static bool submit(zoo_exchange *e, zoo_request *request)
{
    zoo_server *s = e->server;
    zoo_id id = zoo_id_of(e->body.data, e->body.n, atomic_fetch_add(&s->n_requests, 1));
    zoo_live_events events = {e, on_text, on_done};
    zoo_error why = {0};
    zoo_status status;
    uint32_t n_rows = request->n_prompts * request->n_choices;
    if (e->wants_stream && (request->echo || request->wants_logprobs)) {
        return refuse(e, request->echo ? "echo" : "logprobs",
                      "echo and log-probabilities cannot be streamed; ask without stream");
    }
    (void)pthread_mutex_lock(&e->lock);
    e->is_suspended = !e->wants_stream;
    status = zoo_live_submit(s->live, request, id, &events, &e->live, &why);
    if (status == ZOO_OK && e->wants_stream) {
        zoo_answer head;
        zoo_live_head(s->live, e->live, &head);
        e->stream.failed = !zoo_stream_open(&e->stream, &head, n_rows);
    } else if (status == ZOO_OK) {
        MHD_suspend_connection(e->connection);
    }
    (void)pthread_mutex_unlock(&e->lock);
    if (status != ZOO_OK) {
        e->is_suspended = false;
        zoo_answer_status(e, status, NULL, why.text);
    }
    return status == ZOO_OK;
}

/* Holds a place in the queue; false: it is full. */
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
    cJSON *body = NULL;
    zoo_request request = {0};
    zoo_error err = {0};
    zoo_status status =
        zoo_json_parse(e->body.data ? e->body.data : "", e->body.n, "the body", &body, &err);
    bool is_inside = false;
    if (status != ZOO_OK) {
        zoo_answer_status(e, status, NULL, err.text);
        return false;
    }
    if (!read_stream_keys(e, body) || !take_place(e)) {
        cJSON_Delete(body);
        return false;
    }
    status = encode(e, body, &request, &err);
    if (status != ZOO_OK) {
        zoo_answer_status(e, status, request.param[0] ? request.param : NULL, err.text);
    } else {
        is_inside = submit(e, &request);
    }
    zoo_request_free(&request);
    if (!is_inside) {
        atomic_fetch_sub(&e->server->n_inside, 1);
    }
    return is_inside;
}

void zoo_generate_answer(zoo_exchange *e)
{
    zoo_answer answer;
    zoo_error why = {0};
    zoo_status status = zoo_live_answer(e->live, &answer, &why);
    if (status != ZOO_OK) {
        zoo_answer_status(e, status, NULL, why.text);
        return;
    }
    zoo_result_body(&e->answer, &answer);
    e->status = MHD_HTTP_OK;
    if (e->answer.failed) {
        e->answer.n = 0;
        e->answer.failed = false;
        zoo_answer_error(e, MHD_HTTP_SERVICE_UNAVAILABLE, "server_error", NULL, NULL,
                         "no memory for the answer");
    }
}
