/*
 * server.h: one model behind HTTP, on libmicrohttpd.
 *
 *   connection -> exchange (exchange.c): head, body -> route (routes.c) -> answer at once, or
 *   request -> live queue (batch/live.h) -> answer, or events as they are generated (stream.h)
 *
 * Threads: four of libmicrohttpd read and write connections; that of the live queue runs the model;
 * the caller's watches for disconnected clients and frees ended exchanges. A connection that waits
 * for the model is suspended and costs no time.
 *
 * Limits: bytes of a body, bytes of all requests, connections, requests in the queue, seconds of an
 * idle connection. A client beyond them gets an error in the shape of its interface; other clients
 * are not affected.
 *
 * Not here: TLS, several models, users.
 */
#ifndef ZOO_SERVE_SERVER_H
#define ZOO_SERVE_SERVER_H

#include <signal.h>

#include "batch/journal.h"
#include "batch/live.h"

typedef struct zoo_server_options {
    const char *host;           /* an IPv4 or IPv6 address */
    const char *api_key;        /* null: no key is required */
    const char *cors;           /* value of Access-Control-Allow-Origin; null: not sent */
    const char *name;           /* of the model in answers; null: the folder's */
    size_t body_max;            /* bytes of a request's body */
    size_t request_bytes_max;   /* memory of one request: parsed, encoded, answered */
    size_t held_bytes_max;      /* of all bodies, requests and their answers together */
    double request_seconds;     /* for parsing and encoding, and for running; 0: no limit */
    double kept_share;          /* of the cache, for prefixes of ended requests (schedule.h) */
    zoo_kept_file *store;       /* keeps those prefixes after the process; null: not kept */
    size_t upload_max;          /* bytes of an uploaded file */
    const char *files;          /* folder of files and batches; null: no files and batches */
    const zoo_journal_key *key; /* of batches, without `requests` */
    uint32_t port;              /* 0: any free port */
    uint32_t connections_max;
    uint32_t requests_max;  /* waiting and running; more are refused with 429 */
    uint32_t idle_seconds;  /* after which a connection that sends nothing is closed */
    uint32_t drain_seconds; /* for requests to end after the stop signal */
} zoo_server_options;

/* Serves until *stop is not 0, then accepts no connection and gives running requests drain_seconds.
 * listening(port) is called once connections are accepted. ZOO_E_USAGE: host or port is wrong;
 * ZOO_E_IO: cannot listen on the address; ZOO_E_MEMORY. */
zoo_status zoo_server_run(zoo_chat_model *loaded, const zoo_server_options *options,
                          const volatile sig_atomic_t *stop, void (*listening)(uint32_t port),
                          zoo_error *err);

#endif
