/* routes.c: which paths there are, answers that need no model, and error objects. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "serve/server_private.h"

/* ---- errors ---- */

void zoo_answer_error(zoo_exchange *e, uint32_t status, const char *type, const char *code,
                      const char *param, const char *message)
{
    zoo_out *out = &e->answer;
    out->n = 0;
    e->status = status;
    zoo_out_text(out, "{\"error\":{\"message\":");
    zoo_out_string(out, message, strlen(message));
    zoo_out_format(out, ",\"type\":\"%s\",\"param\":", type);
    zoo_out_string(out, param, param ? strlen(param) : 0);
    zoo_out_text(out, ",\"code\":");
    zoo_out_string(out, code, code ? strlen(code) : 0);
    zoo_out_text(out, "}}");
}

void zoo_answer_status(zoo_exchange *e, zoo_status status, const char *param, const char *message)
{
    bool is_prompt =
        param && (strcmp(param, "messages") == 0 || strcmp(param, "prompt") == 0 ||
                  strcmp(param, "max_tokens") == 0 || strcmp(param, "max_completion_tokens") == 0);
    switch (status) {
    case ZOO_E_LIMIT:
        zoo_answer_error(e, MHD_HTTP_BAD_REQUEST, "invalid_request_error",
                         is_prompt ? "context_length_exceeded" : "limit_exceeded", param, message);
        break;
    case ZOO_E_FORMAT:
    case ZOO_E_USAGE:
    case ZOO_E_UNSUPPORTED:
    case ZOO_E_CONFIG:
        zoo_answer_error(e, MHD_HTTP_BAD_REQUEST, "invalid_request_error",
                         status == ZOO_E_UNSUPPORTED ? "unsupported" : "invalid_value", param,
                         message);
        break;
    case ZOO_E_MEMORY:
    case ZOO_E_CANCELLED:
        zoo_answer_error(e, MHD_HTTP_SERVICE_UNAVAILABLE, "server_error", NULL, param, message);
        break;
    default:
        zoo_answer_error(e, MHD_HTTP_INTERNAL_SERVER_ERROR, "server_error", NULL, param, message);
    }
}

/* ---- plain answers ---- */

static void answer_health(zoo_exchange *e)
{
    e->status = atomic_load(&e->server->is_stopping) ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
    zoo_out_text(&e->answer,
                 e->status == MHD_HTTP_OK ? "{\"status\":\"ok\"}" : "{\"status\":\"stopping\"}");
}

static void answer_metrics(zoo_exchange *e)
{
    zoo_server *s = e->server;
    zoo_schedule_stats stats = zoo_live_stats(s->live);
    e->status = MHD_HTTP_OK;
    zoo_metrics_write(&s->metrics, &stats, atomic_load(&s->n_inside), &e->answer);
}

static void put_model(zoo_exchange *e)
{
    zoo_out *out = &e->answer;
    zoo_out_text(out, "{\"id\":");
    zoo_out_string(out, e->server->name, strlen(e->server->name));
    zoo_out_format(out,
                   ",\"object\":\"model\",\"created\":0,\"owned_by\":\"lmzoo\","
                   "\"max_model_len\":%u}",
                   zoo_engine_limits(e->server->loaded->engine)->context_max);
}

static void answer_models(zoo_exchange *e)
{
    e->status = MHD_HTTP_OK;
    zoo_out_text(&e->answer, "{\"object\":\"list\",\"data\":[");
    put_model(e);
    zoo_out_text(&e->answer, "]}");
}

static void answer_options(zoo_exchange *e)
{
    e->status = MHD_HTTP_NO_CONTENT;
}

/* ---- the tokenizer ---- */

/* The body as an object; null: refused. */
static cJSON *read_object(zoo_exchange *e)
{
    cJSON *body = NULL;
    zoo_error err = {0};
    zoo_status status =
        zoo_json_parse(e->body.data ? e->body.data : "", e->body.n, "the body", &body, &err);
    if (status == ZOO_OK && !cJSON_IsObject(body)) {
        status = zoo_fail(&err, ZOO_E_USAGE, "the body must be an object");
    }
    if (status == ZOO_OK && !e->server->loaded->tokenizer) {
        status = zoo_fail(&err, ZOO_E_UNSUPPORTED, "the model folder has no tokenizer");
    }
    if (status != ZOO_OK) {
        cJSON_Delete(body);
        zoo_answer_status(e, status, NULL, err.text);
        return NULL;
    }
    return body;
}

/* The text to tokenize: prompt, or messages through the template. *owned: for free(). */
static zoo_status text_of(const zoo_exchange *e, cJSON *body, const char **text, size_t *n,
                          char **owned, zoo_error *err)
{
    const zoo_chat_model *m = e->server->loaded;
    const char *prompt = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "prompt"));
    if (prompt) {
        *text = prompt;
        *n = strlen(prompt);
        return ZOO_OK;
    }
    if (!cJSON_HasObjectItem(body, "messages") || !m->chat) {
        return zoo_fail(err, ZOO_E_USAGE, "give prompt, a text%s",
                        m->chat ? ", or messages" : "; the model has no chat template");
    }
    if (!cJSON_HasObjectItem(body, "add_generation_prompt") &&
        !cJSON_AddTrueToObject(body, "add_generation_prompt")) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the messages");
    }
    ZOO_TRY(zoo_template_render(m->chat, body, m->context.now, owned, n, err));
    *text = *owned;
    return ZOO_OK;
}

static void answer_tokenize(zoo_exchange *e)
{
    cJSON *body = read_object(e);
    const cJSON *special = cJSON_GetObjectItemCaseSensitive(body, "add_special_tokens");
    const char *text = NULL;
    char *owned = NULL;
    size_t n = 0;
    zoo_ids ids = {0};
    zoo_error err = {0};
    zoo_status status;
    if (!body) {
        return;
    }
    status = text_of(e, body, &text, &n, &owned, &err);
    if (status == ZOO_OK) {
        bool adds = special ? cJSON_IsTrue(special) : !owned;
        status = zoo_tokenizer_encode(e->server->loaded->tokenizer, text, n,
                                      adds ? ZOO_ENCODE_ADD_SPECIAL : 0u, &ids, &err);
    }
    if (status == ZOO_OK) {
        e->status = MHD_HTTP_OK;
        zoo_out_format(&e->answer, "{\"count\":%zu,\"max_model_len\":%u,\"tokens\":[", ids.n,
                       zoo_engine_limits(e->server->loaded->engine)->context_max);
        for (size_t i = 0; i < ids.n; i++) {
            zoo_out_format(&e->answer, i > 0 ? ",%u" : "%u", ids.data[i]);
        }
        zoo_out_text(&e->answer, "]}");
    } else {
        zoo_answer_status(e, status, NULL, err.text);
    }
    free(owned);
    zoo_ids_free(&ids);
    cJSON_Delete(body);
}

static zoo_status read_ids(const cJSON *body, zoo_ids *ids, zoo_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "tokens"), *item;
    size_t n = (size_t)cJSON_GetArraySize(list);
    ids->data = zoo_mem_array(n, sizeof *ids->data);
    ids->capacity = n;
    if (!cJSON_IsArray(list) || !ids->data) {
        return zoo_fail(err, ZOO_E_USAGE, "tokens must be a list of ids");
    }
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 1e9) {
            return zoo_fail(err, ZOO_E_USAGE, "item %zu of tokens is no id", ids->n);
        }
        ids->data[ids->n++] = (uint32_t)item->valuedouble;
    }
    return ZOO_OK;
}

static void answer_detokenize(zoo_exchange *e)
{
    cJSON *body = read_object(e);
    zoo_ids ids = {0};
    zoo_text text = {0};
    zoo_error err = {0};
    zoo_status status;
    if (!body) {
        return;
    }
    status = read_ids(body, &ids, &err);
    if (status == ZOO_OK) {
        status =
            zoo_tokenizer_decode(e->server->loaded->tokenizer, ids.data, ids.n, 0, &text, &err);
    }
    if (status == ZOO_OK) {
        e->status = MHD_HTTP_OK;
        zoo_out_text(&e->answer, "{\"prompt\":");
        zoo_out_string(&e->answer, text.data ? text.data : "", text.n);
        zoo_out_text(&e->answer, "}");
    } else {
        zoo_answer_status(e, status, "tokens", err.text);
    }
    zoo_mem_free(ids.data);
    zoo_text_free(&text);
    cJSON_Delete(body);
}

/* What lm-evaluation-harness asks a server about its tokenizer. */
static void answer_tokenizer_info(zoo_exchange *e)
{
    static const char *const names[ZOO_SPECIAL_COUNT] = {"bos_token", "eos_token", "pad_token",
                                                         "unk_token"};
    const zoo_chat_model *m = e->server->loaded;
    size_t n = 0;
    const char *source = m->chat ? zoo_template_source(m->chat, &n) : NULL;
    e->status = MHD_HTTP_OK;
    zoo_out_text(&e->answer, "{\"tokenizer_class\":\"lmzoo\",\"chat_template\":");
    zoo_out_string(&e->answer, source, n);
    for (uint32_t i = 0; i < ZOO_SPECIAL_COUNT; i++) {
        const char *text =
            m->tokenizer ? zoo_tokenizer_special_text(m->tokenizer, (zoo_special)i, &n) : NULL;
        zoo_out_format(&e->answer, ",\"%s\":", names[i]);
        zoo_out_string(&e->answer, text, text ? n : 0);
    }
    zoo_out_text(&e->answer, "}");
}

/* ---- the table ---- */

static const zoo_route routes[] = {
    {"GET", "/health", ZOO_ROUTE_PLAIN, 0, answer_health, true},
    {"GET", "/metrics", ZOO_ROUTE_PLAIN, 0, answer_metrics, true},
    {"GET", "/v1/models", ZOO_ROUTE_PLAIN, 0, answer_models, false},
    {"GET", "/tokenizer_info", ZOO_ROUTE_PLAIN, 0, answer_tokenizer_info, false},
    {"POST", "/tokenize", ZOO_ROUTE_PLAIN, 0, answer_tokenize, false},
    {"POST", "/detokenize", ZOO_ROUTE_PLAIN, 0, answer_detokenize, false},
    {"POST", "/v1/completions", ZOO_ROUTE_GENERATE, ZOO_COMPLETIONS, NULL, false},
    {"POST", "/v1/chat/completions", ZOO_ROUTE_GENERATE, ZOO_CHAT, NULL, false},
};
static const zoo_route preflight = {"OPTIONS", "", ZOO_ROUTE_PLAIN, 0, answer_options, true};

const zoo_route *zoo_route_find(const char *method, const char *path, uint32_t *status)
{
    *status = MHD_HTTP_NOT_FOUND;
    for (size_t i = 0; i < ZOO_COUNT(routes); i++) {
        if (strcmp(path, routes[i].path) != 0) {
            continue;
        }
        if (strcmp(method, routes[i].method) == 0 ||
            (strcmp(method, "HEAD") == 0 && strcmp(routes[i].method, "GET") == 0)) {
            return &routes[i];
        }
        if (strcmp(method, "OPTIONS") == 0) {
            return &preflight;
        }
        *status = MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    return NULL;
}
