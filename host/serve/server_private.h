/* server_private.h: what the files of the server share. */
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

/* Whose error objects and routes. */
typedef enum zoo_route_kind {
    ZOO_ROUTE_PLAIN,   /* answered at once */
    ZOO_ROUTE_UPLOAD,  /* the same; the body goes to the disk */
    ZOO_ROUTE_GENERATE /* goes through the live queue */
} zoo_route_kind;

typedef struct zoo_route {
    const char *method; /* "GET", "POST" */
    const char *path;   /* a segment * is an id */
    zoo_route_kind kind;
    const zoo_dialect *dialect;             /* its errors; of ZOO_ROUTE_GENERATE all */
    void (*answer)(zoo_exchange *exchange); /* of ZOO_ROUTE_PLAIN: the body is complete */
    bool is_open;                           /* asks for no key */
} zoo_route;

/* One request over HTTP. Owned by the connection until it ends, then by the watcher. */
struct zoo_exchange {
    zoo_server *server;
    struct MHD_Connection *connection; /* null once it has ended; under lock */
    const zoo_route *route;
    char id[ZOO_STORE_ID]; /* in the path, or "" */
    zoo_out body;
    zoo_upload *upload;        /* of ZOO_ROUTE_UPLOAD */
    struct MHD_Response *file; /* the answer, instead of the text below; or null */
    uint32_t status;           /* of the answer, once it is known */
    zoo_out answer;
    bool is_answered; /* answer is complete and was queued */
    bool is_complete; /* all of the body is there */
    bool wants_stream, is_late;
    zoo_live_request *live;
    zoo_event_stream stream;
    cJSON *asked;         /* what the answer repeats of the body */
    size_t n_held;        /* bytes counted in server->n_held */
    pthread_mutex_t lock; /* of what follows */
    bool is_suspended, is_done, is_gone;
    uint64_t n_sent;               /* bytes of stream.out that were written */
    double began, first;           /* seconds: the request came, its first text was there */
    zoo_exchange *previous, *next; /* of all; under server->lock */
};

/* A connection, from its acceptance on; under server->lock. */
typedef struct zoo_peer {
    int fd;
    double since; /* seconds: it has sent no whole head since then; 0: it has */
    struct zoo_peer *previous, *next;
} zoo_peer;

struct zoo_server {
    zoo_chat_model *loaded;
    zoo_live *live;
    const zoo_server_options *options;
    const char *name;
    zoo_store *store; /* null: no files and batches */
    zoo_batches *batches;
    struct MHD_Daemon *daemon;
    zoo_metrics metrics;
    pthread_mutex_t lock; /* of the list of exchanges */
    zoo_exchange *exchanges;
    zoo_peer *peers;
    atomic_uint n_inside; /* requests in the live queue */
    atomic_size_t n_held; /* bytes of bodies and of requests inside */
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
/* Of connections; *state: the zoo_peer. */
void zoo_peer_notify(void *closure, struct MHD_Connection *connection, void **state,
                     enum MHD_ConnectionNotificationCode what);
/* Closes those that take too long to send a head. */
void zoo_peer_sweep(zoo_server *server);
/* Frees exchanges whose connection has ended and cancels those whose client went away. */
void zoo_exchange_sweep(zoo_server *server, bool cancels_all);

/* ---- errors.c ---- */

/* An error object as the answer. param, code: or null. */
void zoo_answer_error(zoo_exchange *exchange, uint32_t status, const char *type, const char *code,
                      const char *param, const char *message);
/* What a failed step of a request means for its client. */
void zoo_answer_status(zoo_exchange *exchange, zoo_status status, const char *param,
                       const char *message);
/* Counts bytes that the exchange holds, within what all may; false: they are refused with 429. */
bool zoo_exchange_hold(zoo_exchange *exchange, size_t n);
/* Gives them back, all. */
void zoo_exchange_release(zoo_exchange *exchange);

/* ---- routes.c ---- */

/* Null: *status is 404 or 405. id: what stands in the path for *. */
const zoo_route *zoo_route_find(const char *method, const char *path, char id[ZOO_STORE_ID],
                                uint32_t *status);

/* ---- files.c ---- */

/* False: refused; the error is the answer. */
bool zoo_upload_begin(zoo_exchange *exchange);
bool zoo_upload_take(zoo_exchange *exchange, const char *data, size_t n);
/* What is left of it is removed. */
void zoo_upload_free(zoo_exchange *exchange);
/* Answers of routes. */
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

/* Parses, encodes and submits the body; on failure the error is the answer. The connection is
 * suspended already where this returns true. */
bool zoo_generate_begin(zoo_exchange *exchange);
/* Answers how many tokens the prompt of a body of /v1/messages has. */
void zoo_generate_count(zoo_exchange *exchange);
/* After the end of a request without a stream: its answer. */
void zoo_generate_answer(zoo_exchange *exchange);

#endif
