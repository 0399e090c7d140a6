/* routes.c: the table of paths, and answers that do not run the model. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "serve/server_private.h"

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

static void answer_model(zoo_exchange *e)
{
    char text[160];
    if (strcmp(e->id, e->server->name) == 0) {
        e->status = MHD_HTTP_OK;
        put_model(e);
        return;
    }
    (void)snprintf(text, sizeof text, "the model \"%s\" is not served here", e->id);
    zoo_answer_error(e, MHD_HTTP_NOT_FOUND, "invalid_request_error", "model_not_found", "model",
                     text);
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

/* The text to tokenize: prompt, or messages rendered by the template. The caller frees *owned. */
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

static zoo_status read_ids(const cJSON *body, uint32_t n_vocab, zoo_ids *ids, zoo_error *err)
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
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
            item->valuedouble >= (double)n_vocab) {
            return zoo_fail(err, ZOO_E_USAGE, "item %zu of tokens is not a token id below %u",
                            ids->n, n_vocab);
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
    status = read_ids(body, e->server->loaded->context.n_vocab, &ids, &err);
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

/* The facts about the tokenizer that lm-evaluation-harness requests from a server. */
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

#define PLAIN(method, path, answer, is_open)                                                       \
    {                                                                                              \
        method, path, ZOO_ROUTE_PLAIN, &zoo_dialect_chat, answer, is_open                          \
    }
#define GENERATE(path, dialect)                                                                    \
    {                                                                                              \
        "POST", path, ZOO_ROUTE_GENERATE, dialect, NULL, false                                     \
    }
static const zoo_route routes[] = {
    PLAIN("GET", "/health", answer_health, true),
    PLAIN("GET", "/metrics", answer_metrics, true),
    PLAIN("GET", "/v1/models", answer_models, false),
    PLAIN("GET", "/v1/models/*", answer_model, false),
    PLAIN("GET", "/tokenizer_info", answer_tokenizer_info, false),
    PLAIN("POST", "/tokenize", answer_tokenize, false),
    PLAIN("POST", "/detokenize", answer_detokenize, false),
    {"POST", "/v1/files", ZOO_ROUTE_UPLOAD, &zoo_dialect_chat, zoo_files_create, false},
    PLAIN("GET", "/v1/files", zoo_files_list, false),
    PLAIN("GET", "/v1/files/*", zoo_files_get, false),
    PLAIN("DELETE", "/v1/files/*", zoo_files_delete, false),
    PLAIN("GET", "/v1/files/*/content", zoo_files_content, false),
    PLAIN("POST", "/v1/batches", zoo_batch_create, false),
    PLAIN("GET", "/v1/batches", zoo_batch_list, false),
    PLAIN("GET", "/v1/batches/*", zoo_batch_get, false),
    PLAIN("POST", "/v1/batches/*/cancel", zoo_batch_cancel, false),
    GENERATE("/v1/completions", &zoo_dialect_completions),
    GENERATE("/v1/chat/completions", &zoo_dialect_chat),
    GENERATE("/v1/responses", &zoo_dialect_responses),
    GENERATE("/v1/messages", &zoo_dialect_messages),
    {"POST", "/v1/messages/count_tokens", ZOO_ROUTE_PLAIN, &zoo_dialect_messages,
     zoo_generate_count, false},
};
static const zoo_route preflight = PLAIN("OPTIONS", "", answer_options, true);

/* Whether the path matches the pattern; the segment matched by * goes to id. */
static bool matches(const char *pattern, const char *path, char id[ZOO_STORE_ID])
{
    const char *star = strchr(pattern, '*');
    size_t before = star ? (size_t)(star - pattern) : 0, n;
    id[0] = '\0';
    if (!star) {
        return strcmp(pattern, path) == 0;
    }
    if (strncmp(pattern, path, before) != 0) {
        return false;
    }
    n = strcspn(path + before, "/");
    if (n == 0 || n >= ZOO_STORE_ID || strcmp(path + before + n, star + 1) != 0) {
        return false;
    }
    memcpy(id, path + before, n);
    id[n] = '\0';
    return true;
}

const zoo_route *zoo_route_find(const char *method, const char *path, char id[ZOO_STORE_ID],
                                uint32_t *status)
{
    bool asks_what = strcmp(method, "OPTIONS") == 0;
    *status = MHD_HTTP_NOT_FOUND;
    for (size_t i = 0; i < ZOO_COUNT(routes); i++) {
        if (!matches(routes[i].path, path, id)) {
            continue;
        }
        if (strcmp(method, routes[i].method) == 0 ||
            (strcmp(method, "HEAD") == 0 && strcmp(routes[i].method, "GET") == 0)) {
            return &routes[i];
        }
        if (asks_what) {
            return &preflight;
        }
        *status = MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    return NULL;
}
