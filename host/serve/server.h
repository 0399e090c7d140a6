/*
 * server.h: one model behind HTTP, on libmicrohttpd.
 *
 *   connection -> exchange (exchange.h): head, body -> route (routes.c) -> answer at once, or
 *   request -> live queue (batch/live.h) -> answer, or events as they come (stream.h)
 *
 * Threads: libmicrohttpd's few read and write connections; the live queue's runs the model; one
 * more watches for clients that went away and frees what ended. A connection that waits for the
 * model is suspended and costs nothing.
 *
 * Limits: bytes of a body, connections, requests inside, seconds of an idle connection. Beyond them
 * a client is told so, in the shape of the interface it speaks; others don't notice.
 *
 * Not here: TLS, several models, users. It listens where it is told, on loopback unless said
 * otherwise.
 */
#ifndef ZOO_SERVE_SERVER_H
#define ZOO_SERVE_SERVER_H

#include <signal.h>

#include "batch/journal.h"
#include "batch/live.h"

typedef struct zoo_server_options {
    const char *host;           /* an IPv4 or IPv6 address */
    const char *api_key;        /* null: none is asked for */
    const char *cors;           /* value of Access-Control-Allow-Origin; null: not sent */
    const char *name;           /* of the model in answers; null: the folder's */
    size_t body_max;            /* bytes of a request's body */
    size_t request_bytes_max;   /* that making a request ready may take */
    size_t held_bytes_max;      /* bodies, and requests inside with their answers, all together */
    double request_seconds;     /* for making it ready, and for running it; 0: no bound */
    double kept_share;          /* of the cache, for what ended requests leave (schedule.h) */
    zoo_kept_file *store;       /* where that outlives the process; null: nowhere */
    size_t upload_max;          /* bytes of a file */
    const char *files;          /* folder of files and batches; null: there are none */
    const zoo_journal_key *key; /* of batches: all but requests */
    uint32_t port;              /* 0: any free one */
    uint32_t connections_max;
    uint32_t requests_max;  /* inside at once; more are refused with 429 */
    uint32_t idle_seconds;  /* a connection that sends nothing is closed */
    uint32_t drain_seconds; /* after the stop signal, for what is inside */
} zoo_server_options;

/* Serves until *stop is not 0, then ends in order: no connection is taken, what is inside gets
 * drain_seconds. listening(port) is called once connections are taken. ZOO_E_IO: the address cannot
 * be listened on; ZOO_E_MEMORY. */
zoo_status zoo_server_run(zoo_chat_model *loaded, const zoo_server_options *options,
                          const volatile sig_atomic_t *stop, void (*listening)(uint32_t port),
                          zoo_error *err);

#endif
