/* server.c: start, watcher and shutdown of the server (server.h). */
#include "serve/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/mem.h"
#include "base/thread.h"
#include "serve/server_private.h"

enum { HTTP_THREADS = 4, WATCH_MS = 50, CONNECTION_BYTES = 1 << 16 };

typedef struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    unsigned flags; /* of libmicrohttpd */
} address;

static zoo_status read_address(const zoo_server_options *o, address *out, zoo_error *err)
{
    memset(out, 0, sizeof *out);
    if (o->port > 65535) {
        return zoo_fail(err, ZOO_E_USAGE, "--port %u is not a port number", o->port);
    }
    if (inet_pton(AF_INET, o->host, &out->at.v4.sin_addr) == 1) {
        out->at.v4.sin_family = AF_INET;
        out->at.v4.sin_port = htons((uint16_t)o->port);
        return ZOO_OK;
    }
    if (inet_pton(AF_INET6, o->host, &out->at.v6.sin6_addr) == 1) {
        out->at.v6.sin6_family = AF_INET6;
        out->at.v6.sin6_port = htons((uint16_t)o->port);
        out->flags = MHD_USE_IPv6;
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_USAGE, "--host %.80s is not an IPv4 or IPv6 address", o->host);
}

static zoo_status start(zoo_server *s, zoo_error *err)
{
    const zoo_server_options *o = s->options;
    address where;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    ZOO_TRY(read_address(o, &where, err));
    errno = 0;
    s->daemon = MHD_start_daemon(
        flags | where.flags, 0, NULL, NULL, zoo_exchange_handle, s, MHD_OPTION_SOCK_ADDR,
        &where.at.any, MHD_OPTION_NOTIFY_COMPLETED, zoo_exchange_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, zoo_connection_notify, s, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)o->connections_max, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)o->idle_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)HTTP_THREADS, MHD_OPTION_THREAD_STACK_SIZE, (size_t)ZOO_THREAD_STACK,
        MHD_OPTION_END);
    if (!s->daemon) {
        return zoo_fail(err, ZOO_E_IO, "cannot listen on %s:%u: %s", o->host, o->port,
                        errno ? strerror(errno) : "unknown reason");
    }
    return ZOO_OK;
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static bool has_exchanges(zoo_server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    bool any = s->exchanges != NULL;
    (void)pthread_mutex_unlock(&s->lock);
    return any;
}

/* Accepts no new connection; requests may end within drain_seconds and are then cancelled. */
static void drain(zoo_server *s)
{
    double end = zoo_clock_seconds() + s->options->drain_seconds;
    MHD_socket listener;
    atomic_store(&s->is_stopping, true);
    listener = MHD_quiesce_daemon(s->daemon);
    while (atomic_load(&s->n_inside) > 0 && zoo_clock_seconds() < end) {
        zoo_exchange_sweep(s, false);
        sleep_ms(WATCH_MS);
    }
    for (int i = 0; has_exchanges(s) && i < 40; i++) {
        zoo_exchange_sweep(s, atomic_load(&s->n_inside) > 0);
        sleep_ms(WATCH_MS);
    }
    MHD_stop_daemon(s->daemon);
    if (listener != MHD_INVALID_SOCKET) {
        (void)close(listener);
    }
    zoo_exchange_sweep(s, true);
}

static zoo_status open_files(zoo_server *s, zoo_error *err)
{
    const zoo_server_options *o = s->options;
    if (!o->files) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_store_open(o->files, &s->store, err));
    zoo_batches_options options = {.loaded = s->loaded,
                                   .live = s->live,
                                   .store = s->store,
                                   .key = *o->key,
                                   .line_bytes_max = o->request_bytes_max,
                                   .bytes_max = o->request_bytes_max,
                                   .seconds_max = o->request_seconds};
    return zoo_batches_open(&options, &s->batches, err);
}

zoo_status zoo_server_run(zoo_chat_model *loaded, const zoo_server_options *options,
                          const volatile sig_atomic_t *stop, void (*listening)(uint32_t port),
                          zoo_error *err)
{
    zoo_server *s = zoo_mem_array(1, sizeof *s);
    const union MHD_DaemonInfo *info;
    zoo_status status;
    if (!s) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the server");
    }
    s->loaded = loaded;
    s->options = options;
    s->name = options->name ? options->name : loaded->name;
    (void)pthread_mutex_init(&s->lock, NULL);
    status = zoo_live_new(loaded, &s->live, err);
    if (status == ZOO_OK) {
        zoo_live_keep(s->live, options->kept_share);
        if (options->store) {
            zoo_live_store(s->live, options->store);
        }
        status = open_files(s, err);
    }
    if (status == ZOO_OK) {
        status = start(s, err);
    }
    if (status == ZOO_OK) {
        info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
        listening(info ? info->port : options->port);
        while (*stop == 0) {
            zoo_exchange_sweep(s, false);
            zoo_connection_sweep(s);
            sleep_ms(WATCH_MS);
        }
        drain(s);
    }
    zoo_batches_close(s->batches);
    zoo_store_close(s->store);
    zoo_live_free(s->live);
    (void)pthread_mutex_destroy(&s->lock);
    zoo_mem_free(s);
    return status;
}
