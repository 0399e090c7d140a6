/* server_private.h: routes, exchanges and connections, shared by the files of the server. */
#ifndef ZOO_SERVE_SERVER_PRIVATE_H
#define ZOO_SERVE_SERVER_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "serve/batches.h"
#include "serve/dialect.h"
#include "serve/metrics.h"
#include "serve/server.h"
#include "serve/stream.h"

typedef struct zoo_server zoo_server;
typedef struct zoo_exchange zoo_exchange;
typedef struct zoo_upload zoo_upload;

typedef enum zoo_route_kind {
    ZOO_ROUTE_PLAIN,   /* answered at once */
    ZOO_ROUTE_UPLOAD,  /* answered at once; the body is written to disk */
    ZOO_ROUTE_GENERATE /* goes through the live queue */
} zoo_route_kind;

typedef struct zoo_route {
    const char *method; /* "GET", "POST" */
    const char *path;   /* a segment * is an id */
    zoo_route_kind kind;
    const zoo_dialect *dialect;             /* of errors; for ZOO_ROUTE_GENERATE of answers too */
    void (*answer)(zoo_exchange *exchange); /* called with the whole body; GENERATE: null */
    bool is_open;                           /* needs no API key */
} zoo_route;

/* One HTTP request and its answer. Owned by the connection until that ends, then by the watcher. */
struct zoo_exchange {
    zoo_server *server;
    struct MHD_Connection *connection; /* null once it has ended; guarded by lock */
    const zoo_route *route;
    char id[ZOO_STORE_ID]; /* the id in the path, or "" */
    zoo_out body;
    zoo_upload *upload;        /* of ZOO_ROUTE_UPLOAD */
    atomic_size_t n_uploaded;  /* bytes of its body so far */
    struct MHD_Response *file; /* a file as the answer, in place of `answer`; or null */
    uint32_t status;           /* HTTP status of the answer; 0: not yet known */
    zoo_out answer;
    bool is_answered;  /* the answer is queued with libmicrohttpd */
    bool is_complete;  /* the body has arrived */
    bool wants_stream; /* server-sent events */
    bool is_late;      /* cancelled by --request-timeout */
    zoo_live_request *live;
    zoo_event_stream stream;
    cJSON *echoed;        /* members of the body that the answer repeats */
    size_t n_held;        /* bytes counted in server->n_held */
    pthread_mutex_t lock; /* guards connection, upload, is_complete, is_late, live, stream and what
                             follows, where another thread reads or writes them */
    bool is_suspended, is_done, is_gone;
    uint64_t n_sent;               /* bytes of stream.out that are sent */
    double began, first;           /* time of the request and of its first text, in seconds */
    zoo_exchange *previous, *next; /* in server->exchanges; guarded by server->lock */
};

/* An accepted connection; guarded by server->lock. */
typedef struct zoo_connection {
    int fd;
    double since;   /* time from which the connection owes a request head; 0: it owes none */
    bool has_asked; /* a request has arrived on it */
    struct zoo_connection *previous, *next;
} zoo_connection;

struct zoo_server {
    zoo_chat_model *loaded;
    zoo_live *live;
    const zoo_server_options *options;
    const char *name;
    zoo_store *store; /* null: no files and batches */
    zoo_batches *batches;
    struct MHD_Daemon *daemon;
    zoo_metrics metrics;
    pthread_mutex_t lock; /* guards the two lists */
    zoo_exchange *exchanges;
    zoo_connection *connections;
    uint32_t n_connections;
    atomic_uint n_inside; /* requests in the live queue */
    atomic_size_t n_held; /* bytes of all bodies, requests and answers */
    atomic_ullong n_requests;
    atomic_bool is_stopping;
};

/* ---- exchange.c ---- */

/* Callbacks of libmicrohttpd; closure: the server. */
enum MHD_Result zoo_exchange_handle(void *closure, struct MHD_Connection *connection,
                                    const char *url, const char *method, const char *version,
                                    const char *data, size_t *n_data, void **state);
void zoo_exchange_completed(void *closure, struct MHD_Connection *connection, void **state,
                            enum MHD_RequestTerminationCode why);
/* As the above, for connections; *state is the zoo_connection. */
void zoo_connection_notify(void *closure, struct MHD_Connection *connection, void **state,
                           enum MHD_ConnectionNotificationCode what);
/* Closes connections that take too long to send a request head. */
void zoo_connection_sweep(zoo_server *server);
/* Frees exchanges whose connection has ended, and cancels requests whose client disconnected or
 * that run too long; cancels_all: all of them. */
void zoo_exchange_sweep(zoo_server *server, bool cancels_all);

/* ---- errors.c ---- */

/* Makes an error object the answer, in the dialect of the route. code, param: may be null. */
void zoo_answer_error(zoo_exchange *exchange, uint32_t status, const char *type, const char *code,
                      const char *param, const char *message);
/* The same for a zoo_status: chooses HTTP status, type and code. */
void zoo_answer_status(zoo_exchange *exchange, zoo_status status, const char *param,
                       const char *message);
/* Counts n bytes against held_bytes_max; false: beyond it, the answer is 429. */
bool zoo_exchange_hold(zoo_exchange *exchange, size_t n);
/* Releases all bytes that the exchange holds. */
void zoo_exchange_release(zoo_exchange *exchange);

/* ---- routes.c ---- */

/* The route of method and path, id the segment matched by *. Null: *status is 404 or 405. */
const zoo_route *zoo_route_find(const char *method, const char *path, char id[ZOO_STORE_ID],
                                uint32_t *status);

/* ---- files.c ---- */

/* Begin an upload and add bytes of its body. False: refused; the error is the answer. */
bool zoo_upload_begin(zoo_exchange *exchange);
bool zoo_upload_take(zoo_exchange *exchange, const char *data, size_t n);
/* Ends the upload and removes its unfinished file. */
void zoo_upload_free(zoo_exchange *exchange);
/* zoo_route.answer of files and batches. */
void zoo_files_create(zoo_exchange *exchange);
void zoo_files_list(zoo_exchange *exchange);
void zoo_files_get(zoo_exchange *exchange);
void zoo_files_content(zoo_exchange *exchange);
void zoo_files_delete(zoo_exchange *exchange);
void zoo_batch_create(zoo_exchange *exchange);
void zoo_batch_list(zoo_exchange *exchange);
void zoo_batch_get(zoo_exchange *exchange);
void zoo_batch_cancel(zoo_exchange *exchange);

/* ---- generate.c ---- */

/* Parses, encodes and submits the body. True: the connection is suspended, or streams. False: the
 * error is the answer. */
bool zoo_generate_begin(zoo_exchange *exchange);
/* Answers /v1/messages/count_tokens. */
void zoo_generate_count(zoo_exchange *exchange);
/* Writes the answer of a finished request that is not streamed. */
void zoo_generate_answer(zoo_exchange *exchange);

#endif
