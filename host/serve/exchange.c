/*
 * exchange.c: one HTTP request and its answer.
 *
 *   head -> limits, key, route -> body -> answer | live queue -> suspended -> answer or events
 *
 * The live thread resumes a suspended connection. Flag and connection are read under the exchange's
 * lock, so an ended connection is never touched. Only the watcher frees exchanges, as releasing a
 * request may wait for a step of the model.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/budget.h"
#include "base/mem.h"
#include "serve/server_private.h"

/* Beside so many others a new connection must send its first request within CROWDED_SECONDS. */
enum { CROWDED_SECONDS = 2, CROWDED_PERCENT = 75 };
/* An upload may take longer than other bodies, but not without end. */
enum { UPLOAD_BYTES_A_SECOND = 1024 };

static void link_exchange(zoo_server *s, zoo_exchange *e)
{
    (void)pthread_mutex_lock(&s->lock);
    e->next = s->exchanges;
    if (e->next) {
        e->next->previous = e;
    }
    s->exchanges = e;
    (void)pthread_mutex_unlock(&s->lock);
}

static zoo_exchange *new_exchange(zoo_server *s, struct MHD_Connection *connection)
{
    zoo_exchange *e = zoo_mem_array(1, sizeof *e);
    if (e) {
        e->server = s;
        e->connection = connection;
        e->began = zoo_clock_seconds();
        (void)pthread_mutex_init(&e->lock, NULL);
    }
    return e;
}

/* ---- connections ---- */

void zoo_connection_notify(void *closure, struct MHD_Connection *connection, void **state,
                           enum MHD_ConnectionNotificationCode what)
{
    zoo_server *s = closure;
    zoo_connection *p = *state;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    (void)pthread_mutex_lock(&s->lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED && info) {
        p = zoo_mem_array(1, sizeof *p);
        *state = p;
        if (p) {
            *p = (zoo_connection){
                .fd = info->connect_fd, .since = zoo_clock_seconds(), .next = s->connections};
            s->connections = p;
            s->n_connections++;
        }
        if (p && p->next) {
            p->next->previous = p;
        }
    } else if (what == MHD_CONNECTION_NOTIFY_CLOSED && p) {
        *(p->previous ? &p->previous->next : &s->connections) = p->next;
        if (p->next) {
            p->next->previous = p->previous;
        }
        s->n_connections--;
        zoo_mem_free(p);
        *state = NULL;
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* since: from when the connection owes a head; 0: a head has arrived. */
static void set_since(zoo_server *s, struct MHD_Connection *connection, double since)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    zoo_connection *p = info ? info->socket_context : NULL;
    if (p) {
        (void)pthread_mutex_lock(&s->lock);
        p->since = since;
        p->has_asked = true;
        (void)pthread_mutex_unlock(&s->lock);
    }
}

/* Whether bytes have arrived that libmicrohttpd has not read: the delay is not the client's. */
static bool has_unread(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void zoo_connection_sweep(zoo_server *s)
{
    /* libmicrohttpd itself closes connections that send nothing at all, sooner than this. */
    double now = zoo_clock_seconds(), oldest = now - 2.0 * (double)s->options->idle_seconds;
    (void)pthread_mutex_lock(&s->lock);
    bool is_crowded =
        (uint64_t)s->n_connections * 100 > (uint64_t)s->options->connections_max * CROWDED_PERCENT;
    double oldest_new = is_crowded ? now - CROWDED_SECONDS : oldest;
    for (zoo_connection *p = s->connections; p; p = p->next) {
        if (p->since > 0 && p->since < (p->has_asked ? oldest : oldest_new) && !has_unread(p->fd)) {
            (void)shutdown(p->fd, SHUT_RDWR);
            p->since = 0;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- head ---- */

/* Constant-time comparison, so that timing does not reveal the key. */
static bool is_same(const char *a, const char *b)
{
    size_t n = strlen(b);
    unsigned differs = strlen(a) != n;
    for (size_t i = 0; i < n && a[i < strlen(a) ? i : 0]; i++) {
        differs |= (unsigned)(a[i < strlen(a) ? i : 0] ^ b[i]);
    }
    return differs == 0;
}

static bool has_key(const zoo_exchange *e)
{
    const char *key = e->server->options->api_key;
    const char *given =
        MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND, "Authorization");
    const char *other = MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND, "x-api-key");
    if (!key || e->route->is_open) {
        return true;
    }
    if (given && strncmp(given, "Bearer ", 7) == 0 && is_same(given + 7, key)) {
        return true;
    }
    return other && is_same(other, key);
}

/* A multipart form is a little longer than its file. */
static size_t body_max(const zoo_exchange *e)
{
    const zoo_server_options *o = e->server->options;
    return e->route->kind == ZOO_ROUTE_UPLOAD ? o->upload_max + 4096 : o->body_max;
}

/* Finds the route and checks key and length; on failure the error becomes the answer. */
static void check_head(zoo_exchange *e, const char *method, const char *url)
{
    uint32_t status = 0;
    const char *length =
        MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    char text[160];
    e->route = zoo_route_find(method, url, e->id, &status);
    if (!e->route) {
        bool is_there = status == MHD_HTTP_METHOD_NOT_ALLOWED;
        (void)snprintf(text, sizeof text,
                       is_there ? "%.20s is not a method of %.100s" : "there is no %.20s %.100s",
                       method, url);
        zoo_answer_error(e, status, "invalid_request_error",
                         is_there ? "method_not_allowed" : "not_found", NULL, text);
    } else if (!has_key(e)) {
        zoo_answer_error(e, MHD_HTTP_UNAUTHORIZED, "authentication_error", "invalid_api_key", NULL,
                         "the API key is missing or wrong");
    } else if (length && strtoull(length, NULL, 10) > body_max(e)) {
        (void)snprintf(text, sizeof text, "the body has %.20s bytes, the limit is %zu", length,
                       body_max(e));
        zoo_answer_error(e, MHD_HTTP_CONTENT_TOO_LARGE, "invalid_request_error", "body_too_large",
                         NULL, text);
    } else if (e->route->kind == ZOO_ROUTE_UPLOAD) {
        (void)zoo_upload_begin(e);
    }
}

/* ---- body ---- */

static void take_body(zoo_exchange *e, const char *data, size_t n)
{
    if (e->status != 0) {
        return; /* refused already: the rest is discarded */
    }
    if (e->upload) {
        atomic_fetch_add(&e->n_uploaded, n);
        (void)zoo_upload_take(e, data, n);
        return;
    }
    if (e->body.n + n > e->server->options->body_max) {
        zoo_answer_error(e, MHD_HTTP_CONTENT_TOO_LARGE, "invalid_request_error", "body_too_large",
                         NULL, "the body is longer than the limit");
        return;
    }
    if (!zoo_exchange_hold(e, n)) {
        return;
    }
    zoo_out_bytes(&e->body, data, n);
    if (e->body.failed) {
        zoo_answer_error(e, MHD_HTTP_SERVICE_UNAVAILABLE, "server_error", NULL, NULL,
                         "no memory for the request");
    }
}

/* ---- answers ---- */

static void add_headers(const zoo_exchange *e, struct MHD_Response *response, const char *type)
{
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (e->server->options->cors) {
        /* Client packages send headers of their own. */
        const char *wanted = MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND,
                                                         "Access-Control-Request-Headers");
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
                                      e->server->options->cors);
        (void)MHD_add_response_header(response, "Access-Control-Allow-Headers",
                                      wanted ? wanted : "authorization, content-type, x-api-key");
        (void)MHD_add_response_header(response, "Access-Control-Allow-Methods",
                                      "GET, POST, DELETE, OPTIONS");
    }
    if (e->status == MHD_HTTP_TOO_MANY_REQUESTS) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    }
}

static enum MHD_Result send_answer(zoo_exchange *e)
{
    bool is_metrics = e->route && strcmp(e->route->path, "/metrics") == 0;
    struct MHD_Response *response = e->file;
    const char *type = is_metrics ? "text/plain; version=0.0.4"
                       : e->file  ? "application/octet-stream"
                                  : "application/json";
    enum MHD_Result result;
    e->file = NULL; /* queued below, then destroyed here */
    if (!response) {
        response = MHD_create_response_from_buffer(
            e->answer.n, e->answer.data ? e->answer.data : (void *)(uintptr_t) "",
            MHD_RESPMEM_PERSISTENT);
    }
    if (!response) {
        return MHD_NO;
    }
    add_headers(e, response, type);
    e->is_answered = true;
    result = MHD_queue_response(e->connection, e->status, response);
    MHD_destroy_response(response);
    return result;
}

/* Copies events to the connection, or suspends it while there are none. */
static ssize_t read_stream(void *closure, uint64_t at, char *to, size_t n_max)
{
    zoo_exchange *e = closure;
    ssize_t n = 0;
    (void)at;
    (void)pthread_mutex_lock(&e->lock);
    size_t left = e->stream.out.n - (size_t)e->n_sent;
    if (left > 0) {
        n = (ssize_t)(left < n_max ? left : n_max);
        memcpy(to, e->stream.out.data + e->n_sent, (size_t)n);
        e->n_sent += (uint64_t)n;
        if (e->n_sent == e->stream.out.n) {
            e->n_sent = e->stream.out.n = 0;
        }
    } else if (e->is_done) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        e->is_suspended = true;
        MHD_suspend_connection(e->connection);
    }
    (void)pthread_mutex_unlock(&e->lock);
    return n;
}

static enum MHD_Result send_stream(zoo_exchange *e)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1 << 14, read_stream, e, NULL);
    enum MHD_Result result;
    if (!response) {
        return MHD_NO;
    }
    e->status = MHD_HTTP_OK;
    add_headers(e, response, "text/event-stream");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    e->is_answered = true;
    result = MHD_queue_response(e->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the connection ---- */

static enum MHD_Result proceed(zoo_exchange *e)
{
    bool is_done;
    if (e->status != 0) {
        return send_answer(e);
    }
    if (!e->live && e->route->kind != ZOO_ROUTE_GENERATE) {
        e->route->answer(e);
        return send_answer(e);
    }
    if (!e->live) {
        return zoo_generate_begin(e) ? MHD_YES : send_answer(e);
    }
    if (e->wants_stream) {
        return send_stream(e);
    }
    (void)pthread_mutex_lock(&e->lock);
    is_done = e->is_done;
    (void)pthread_mutex_unlock(&e->lock);
    if (is_done) {
        zoo_generate_answer(e);
        return send_answer(e);
    }
    return MHD_YES;
}

enum MHD_Result zoo_exchange_handle(void *closure, struct MHD_Connection *connection,
                                    const char *url, const char *method, const char *version,
                                    const char *data, size_t *n_data, void **state)
{
    zoo_exchange *e = *state;
    (void)version;
    if (!e) {
        e = new_exchange(closure, connection);
        *state = e;
        if (!e) {
            return MHD_NO;
        }
        set_since(e->server, connection, 0);
        check_head(e, method, url);
        link_exchange(e->server, e);
        /* Answered at once: a body that is too long is not read. */
        return e->status == MHD_HTTP_CONTENT_TOO_LARGE ? send_answer(e) : MHD_YES;
    }
    if (*n_data > 0) {
        take_body(e, data, *n_data);
        *n_data = 0;
        return MHD_YES;
    }
    (void)pthread_mutex_lock(&e->lock);
    e->is_complete = true;
    (void)pthread_mutex_unlock(&e->lock);
    return e->is_answered ? MHD_YES : proceed(e);
}

void zoo_exchange_completed(void *closure, struct MHD_Connection *connection, void **state,
                            enum MHD_RequestTerminationCode why)
{
    zoo_exchange *e = *state;
    zoo_server *s = closure;
    set_since(s, connection, zoo_clock_seconds());
    if (!e) {
        return;
    }
    *state = NULL;
    zoo_metrics_status(&s->metrics, why == MHD_REQUEST_TERMINATED_COMPLETED_OK ? e->status : 0);
    (void)pthread_mutex_lock(&e->lock);
    zoo_upload_free(e);
    e->connection = NULL;
    e->is_gone = true;
    (void)pthread_mutex_unlock(&e->lock);
}

/* ---- the watcher ---- */

static void free_exchange(zoo_exchange *e)
{
    if (e->live) {
        zoo_live_release(e->server->live, e->live);
        atomic_fetch_sub(&e->server->n_inside, 1);
    }
    zoo_exchange_release(e);
    zoo_stream_close(&e->stream);
    cJSON_Delete(e->echoed);
    zoo_out_free(&e->body);
    zoo_out_free(&e->answer);
    (void)pthread_mutex_destroy(&e->lock);
    zoo_mem_free(e);
}

/* Whether the client has closed a suspended connection. The exchange's lock is held. */
static bool has_left(const zoo_exchange *e)
{
    const union MHD_ConnectionInfo *info =
        e->is_suspended && e->connection
            ? MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
            : NULL;
    char byte;
    ssize_t n = info ? recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 1;
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* Whether the request has run longer than --request-timeout. Also closes a connection whose request
 * takes too long to arrive. The exchange's lock is held. */
static bool is_slow(zoo_exchange *e)
{
    const zoo_server_options *o = e->server->options;
    double seconds = zoo_clock_seconds() - e->began, patience = (double)o->idle_seconds;
    const union MHD_ConnectionInfo *info;
    patience += (double)atomic_load(&e->n_uploaded) / UPLOAD_BYTES_A_SECOND;
    if (!e->is_complete && e->connection && seconds > patience) {
        info = MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (info && !has_unread(info->connect_fd)) {
            (void)shutdown(info->connect_fd, SHUT_RDWR);
            e->is_complete = true; /* shut down only once */
        }
    }
    e->is_late |=
        e->is_complete && !e->is_done && o->request_seconds > 0 && seconds > o->request_seconds;
    return e->is_late;
}

void zoo_exchange_sweep(zoo_server *s, bool cancels_all)
{
    zoo_exchange *gone = NULL, *next;
    (void)pthread_mutex_lock(&s->lock);
    for (zoo_exchange *e = s->exchanges; e; e = next) {
        next = e->next;
        (void)pthread_mutex_lock(&e->lock);
        bool is_gone = e->is_gone, leaves = !is_gone && (cancels_all || has_left(e));
        leaves |= !is_gone && is_slow(e);
        zoo_live_request *live = leaves ? e->live : NULL;
        (void)pthread_mutex_unlock(&e->lock);
        if (live) {
            zoo_live_cancel(s->live, live);
        }
        if (is_gone) {
            *(e->previous ? &e->previous->next : &s->exchanges) = e->next;
            if (e->next) {
                e->next->previous = e->previous;
            }
            e->next = gone;
            gone = e;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    for (; gone; gone = next) {
        next = gone->next;
        free_exchange(gone);
    }
}
