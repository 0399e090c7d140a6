/* ring.c: see ring.h. A rank that waits polls without a pause at first, then every 50 us. */
#include "cluster/ring.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/mem.h"

#define EAGER_SECONDS 0.002 /* polling without a pause */
#define STOP_SECONDS  0.3   /* waiting for the others after a signal */
#define FAIL_SECONDS  10.0  /* waiting for rank 0 to end the run */
enum { PAUSE_NS = 50000, HEAD_BYTES = 8 };

static zoo_link_ring *of(zoo_ring *ring)
{
    return (zoo_link_ring *)ring;
}

static zoo_status send_to(zoo_ring *ring, uint32_t to, uint32_t kind, const void *data, size_t n,
                          zoo_error *err)
{
    const uint32_t head[HEAD_BYTES / sizeof(uint32_t)] = {kind, 0};
    unsigned char *bytes = zoo_mem_alloc(sizeof head + n);
    if (!bytes) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a message to rank %u", to);
    }
    memcpy(bytes, head, sizeof head);
    if (n > 0) {
        memcpy(bytes + sizeof head, data, n);
    }
    int code = of(ring)->cluster.link->send(to, bytes, sizeof head + n);
    zoo_mem_free(bytes);
    return code == 0 ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "a message to rank %u cannot be sent", to);
}

static void release(zoo_ring *ring, zoo_ring_message *m)
{
    (void)ring;
    free(m->base); /* allocated with malloc by the link, not with zoo_mem */
    *m = (zoo_ring_message){0};
}

/* Parses a message; FAILED from another rank is returned as that rank's error. */
static zoo_status open_message(zoo_ring *ring, uint32_t from, void *data, size_t n,
                               zoo_ring_message *out, zoo_error *err)
{
    zoo_error why = {0};
    *out = (zoo_ring_message){.from = from, .base = data};
    if (n < HEAD_BYTES) {
        release(ring, out);
        return zoo_fail(err, ZOO_E_INTERNAL, "a message from rank %u is truncated", from);
    }
    memcpy(&out->kind, data, sizeof out->kind);
    out->data = (const unsigned char *)data + HEAD_BYTES;
    out->n = n - HEAD_BYTES;
    if (out->kind != ZOO_RING_FAILED) {
        return ZOO_OK;
    }
    memcpy(&why, out->data, out->n < sizeof why ? out->n : sizeof why);
    why.text[sizeof why.text - 1] = 0;
    release(ring, out);
    return zoo_fail(err, why.code != ZOO_OK ? (zoo_status)why.code : ZOO_E_INTERNAL,
                    "rank %u: %.480s", from, why.text);
}

static zoo_status receive(zoo_ring *ring, zoo_ring_message *out, zoo_error *err)
{
    const zoo_link_ops *link = of(ring)->cluster.link;
    double begin = zoo_clock_seconds(), stopped = 0.0;
    for (;;) {
        void *data = NULL;
        size_t n = 0;
        uint32_t from = 0;
        int code = link->receive(&from, &data, &n);
        if (code != 0) {
            return code > 0 ? open_message(ring, from, data, n, out, err)
                            : zoo_fail(err, ZOO_E_IO, "the other ranks cannot be reached any more");
        }
        double now = zoo_clock_seconds();
        if (ring->stop && *ring->stop) {
            stopped = stopped > 0.0 ? stopped : now;
            if (now - stopped > STOP_SECONDS) {
                return zoo_fail(err, ZOO_E_IO,
                                "the run was interrupted and the other ranks do not answer: one of "
                                "them died, or all were stopped");
            }
        }
        if (now - begin < EAGER_SECONDS) {
            (void)sched_yield();
        } else {
            (void)nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
        }
    }
}

static void progress(zoo_ring *ring)
{
    (void)of(ring)->cluster.link->n_pending();
}

zoo_status zoo_link_ring_join(const char *link, zoo_link_ring *out, zoo_error *err)
{
    *out = (zoo_link_ring){0};
    ZOO_TRY(zoo_cluster_join(link, &out->cluster, err));
    out->cluster.has_dealt = true; /* no rank waits for rows */
    out->ring = (zoo_ring){.rank = out->cluster.rank,
                           .n_ranks = out->cluster.n_ranks,
                           .send = send_to,
                           .receive = receive,
                           .release = release,
                           .progress = progress};
    return ZOO_OK;
}

void zoo_link_ring_leave(zoo_link_ring *r)
{
    for (uint32_t i = 1; r->ring.rank == 0 && i < r->ring.n_ranks; i++) {
        (void)send_to(&r->ring, i, ZOO_RING_QUIT, NULL, 0, NULL);
    }
    zoo_cluster_leave(&r->cluster);
}

void zoo_link_ring_fail(zoo_link_ring *r, const zoo_error *why)
{
    double begin = zoo_clock_seconds();
    (void)send_to(&r->ring, 0, ZOO_RING_FAILED, why, sizeof *why, NULL);
    while (zoo_clock_seconds() - begin < FAIL_SECONDS) {
        progress(&r->ring);
        (void)usleep(1000);
    }
}
