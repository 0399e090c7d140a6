/* worker.c: a rank that runs the rows that rank 0 deals (cluster.h). */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/mem.h"
#include "base/thread.h"
#include "cluster/cluster.h"
#include "cluster/port.h"

/* Sleep of the link's thread when there is no message in either direction. */
#define LOOK_SECONDS 0.001

typedef struct worker {
    const zoo_link_ops *link;
    zoo_port *port;
    const volatile sig_atomic_t *stop;
    atomic_bool run_ended;
    zoo_status status;
    zoo_error error;
} worker;

static zoo_status send_hello(const zoo_cluster *c, const zoo_batch_job *job,
                             const zoo_journal_key *key, zoo_error *err)
{
    zoo_hello hello = {.magic = ZOO_HELLO_MAGIC,
                       .seqs_max = zoo_engine_limits(job->loaded->engine)->seqs_max,
                       .context_max = job->loaded->context.context_max,
                       .line_bytes_max = job->line_bytes_max,
                       .key = *key};
    memcpy(hello.files, c->files, sizeof hello.files);
    (void)gethostname(hello.host, sizeof hello.host - 1);
    return zoo_message_post(c->link, 0, ZOO_MESSAGE_HELLO, &hello, sizeof hello, err);
}

/* Waits for START from rank 0, which may still be opening its model. */
static zoo_status wait_for_start(const zoo_cluster *c, const zoo_batch_job *job, zoo_clock *now,
                                 zoo_error *err)
{
    zoo_message *m = NULL;
    uint32_t from;
    while (!m) {
        if (job->stop && *job->stop) {
            return zoo_fail(err, ZOO_E_CANCELLED, "interrupted");
        }
        ZOO_TRY(zoo_message_receive(c->link, &from, &m, err));
        if (!m) {
            (void)usleep(2000);
        }
    }
    bool starts = m->kind == ZOO_MESSAGE_START && m->n > 0 && memchr(m->data, 0, m->n);
    if (starts) {
        (void)zoo_clock_parse(m->data, now);
    }
    zoo_mem_free(m);
    return starts ? ZOO_OK : zoo_fail(err, ZOO_E_CANCELLED, "rank 0 has nothing to do");
}

/* Moves the messages that have arrived into the port. */
static zoo_status receive_rows(worker *w, bool *any, zoo_error *err)
{
    zoo_message *m;
    uint32_t from;
    *any = false;
    for (;;) {
        ZOO_TRY(zoo_message_receive(w->link, &from, &m, err));
        if (!m) {
            return ZOO_OK;
        }
        *any = true;
        if (m->kind == ZOO_MESSAGE_ROWS) {
            zoo_port_give(w->port, m);
        } else {
            zoo_port_end(w->port);
            zoo_mem_free(m);
        }
    }
}

static void *serve(void *arg)
{
    worker *w = arg;
    zoo_status status = ZOO_OK;
    bool ended = false, any = false;
    while (status == ZOO_OK && !ended) {
        bool last = atomic_load(&w->run_ended); /* before this its messages are in the port */
        status = receive_rows(w, &any, &w->error);
        zoo_message *m = zoo_port_take(w->port, any || last ? 0.0 : LOOK_SECONDS);
        ended = last && !m;
        while (status == ZOO_OK && m) {
            status = zoo_message_send(w->link, 0, m, &w->error);
            zoo_mem_free(m);
            m = zoo_port_take(w->port, 0.0);
        }
    }
    w->status = status;
    zoo_port_end(w->port);
    return NULL;
}

/* The last message: DONE with the counters, or FAILED with the reason. */
static zoo_status post_end(zoo_port *port, const zoo_batch_totals *totals, zoo_status status,
                           zoo_error *why, zoo_error *err)
{
    bool failed = status != ZOO_OK;
    size_t n = failed ? sizeof *why : sizeof totals->stats;
    zoo_message *m = zoo_message_new(failed ? ZOO_MESSAGE_FAILED : ZOO_MESSAGE_DONE, n);
    if (m) {
        why->code = status;
        memcpy(m->data, failed ? (const void *)why : (const void *)&totals->stats, n);
    }
    return zoo_port_post(port, m, err);
}

static zoo_status run(worker *w, const zoo_batch_job *job, zoo_batch_totals *totals, zoo_error *err)
{
    pthread_t thread;
    zoo_error ignored;
    zoo_line_source source = zoo_port_source(w->port);
    zoo_batch_sink sink = zoo_port_sink(w->port);
    zoo_batch_job mine = *job;
    mine.source = &source;
    mine.sink = &sink;
    if (!zoo_thread_start(&thread, serve, w)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no thread for the link");
    }
    zoo_status status = zoo_batch_run(&mine, totals, err);
    (void)post_end(w->port, totals, status, err, &ignored);
    atomic_store(&w->run_ended, true);
    (void)pthread_join(thread, NULL);
    if (w->status != ZOO_OK) {
        *err = w->error;
    }
    return w->status;
}

zoo_status zoo_cluster_work(const zoo_cluster *cluster, const zoo_batch_job *job,
                            const zoo_journal_key *key, zoo_clock *now, zoo_error *err)
{
    zoo_batch_totals totals = {0};
    worker w = {.link = cluster->link, .stop = job->stop};
    ZOO_TRY(send_hello(cluster, job, key, err));
    ZOO_TRY(wait_for_start(cluster, job, now, err));
    ZOO_TRY(zoo_port_new(&w.port, err));
    zoo_status status = run(&w, job, &totals, err);
    zoo_port_free(w.port);
    return status;
}
