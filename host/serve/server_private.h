/* server_private.h: what the files of the server share. */
#ifndef ZOO_SERVE_SERVER_PRIVATE_H
#define ZOO_SERVE_SERVER_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "serve/metrics.h"
#include "serve/server.h"
#include "serve/stream.h"

typedef struct zoo_server zoo_server;
typedef struct zoo_exchange zoo_exchange;

/* Whose error objects and routes. */
typedef enum zoo_route_kind {
    ZOO_ROUTE_PLAIN,   /* answered at once from memory */
    ZOO_ROUTE_GENERATE /* goes through the live queue */
} zoo_route_kind;

typedef struct zoo_route {
    const char *method; /* "GET", "POST" */
    const char *path;
    zoo_route_kind kind;
    zoo_endpoint endpoint;                  /* of ZOO_ROUTE_GENERATE */
    void (*answer)(zoo_exchange *exchange); /* of ZOO_ROUTE_PLAIN: the body is complete */
    bool is_open;                           /* asks for no key */
} zoo_route;

/* One request over HTTP. Owned by the connection until it ends, then by the watcher. */
struct zoo_exchange {
    zoo_server *server;
    struct MHD_Connection *connection; /* null once it has ended; under lock */
    const zoo_route *route;
    zoo_out body;
    uint32_t status; /* of the answer, once it is known */
    zoo_out answer;
    bool is_answered; /* answer is complete and was queued */
    bool wants_stream, wants_usage;
    zoo_live_request *live;
    zoo_event_stream stream;
    pthread_mutex_t lock; /* of what follows */
    bool is_suspended, is_done, is_gone;
    uint64_t n_sent;               /* bytes of stream.out that were written */
    double began, first;           /* seconds: the request came, its first text was there */
    zoo_exchange *previous, *next; /* of all; under server->lock */
};

struct zoo_server {
    zoo_chat_model *loaded;
    zoo_live *live;
    const zoo_server_options *options;
    const char *name;
    struct MHD_Daemon *daemon;
    zoo_metrics metrics;
    pthread_mutex_t lock; /* of the list of exchanges */
    zoo_exchange *exchanges;
    atomic_uint n_inside; /* requests in the live queue */
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
/* Frees exchanges whose connection has ended and cancels those whose client went away. */
void zoo_exchange_sweep(zoo_server *server, bool cancels_all);

/* ---- routes.c ---- */

/* Null: *status is 404 or 405. */
const zoo_route *zoo_route_find(const char *method, const char *path, uint32_t *status);
/* An error object as the answer. param, code: or null. */
void zoo_answer_error(zoo_exchange *exchange, uint32_t status, const char *type, const char *code,
                      const char *param, const char *message);
/* What a failed step of a request means for its client. */
void zoo_answer_status(zoo_exchange *exchange, zoo_status status, const char *param,
                       const char *message);

/* ---- generate.c ---- */

/* Parses, encodes and submits the body; on failure the error is the answer. The connection is
 * suspended already where this returns true. */
bool zoo_generate_begin(zoo_exchange *exchange);
/* After the end of a request without a stream: its answer. */
void zoo_generate_answer(zoo_exchange *exchange);

#endif
