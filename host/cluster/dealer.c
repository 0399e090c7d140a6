/* dealer.c: rank 0's loop: rows out, lines in, until all is done (cluster.h). */
#include <string.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/mem.h"
#include "base/thread.h"
#include "cluster/dealer_private.h"

#define TICK_SECONDS 0.05

/* ---- the loop ---- */

static bool is_stopped(const zoo_dealer *d)
{
    return d->job->stop && *d->job->stop != 0;
}

static bool has_too_many_errors(const zoo_dealer *d)
{
    uint64_t n = zoo_journal_n_errors(d->job->journal) + d->totals->n_errors;
    return d->job->errors_max > 0 && n > d->job->errors_max;
}

static void tick(zoo_dealer *d)
{
    double now = zoo_clock_seconds();
    if (now - d->ticked >= TICK_SECONDS) {
        zoo_deal_tick(&d->table, now - d->ticked);
        d->ticked = now;
        zoo_dealer_sum(d);
        zoo_progress_tick(&d->progress, d->totals);
    }
}

static zoo_status deal_all(zoo_dealer *d, zoo_error *err)
{
    ZOO_TRY(d->source.begin(d->source.arg, d->job->line_bytes_max / 4, err));
    while (!is_stopped(d)) {
        ZOO_TRY(zoo_dealer_refill(d, err));
        ZOO_TRY(zoo_dealer_deal(d, err));
        if (d->at_end && d->window.n == 0 && d->n_left == 0) {
            d->totals->is_limited = d->job->rows_max > 0 && d->n_read == d->job->rows_max;
            return ZOO_OK;
        }
        ZOO_TRY(zoo_dealer_receive(d, err));
        tick(d);
        ZOO_TRY(zoo_journal_check(d->job->journal, err));
        if (has_too_many_errors(d)) { /* rows already dealt are still finished */
            d->totals->is_limited = true;
            return ZOO_OK;
        }
    }
    d->totals->interrupted = true;
    return ZOO_OK;
}

/* Ends all ranks and waits for their DONE or FAILED. A rank that is still opening its model gets
 * QUIT, which it reads afterwards. */
static zoo_status end_all(zoo_dealer *d, zoo_error *err)
{
    bool waits = true;
    for (uint32_t i = 1; i < d->table.n; i++) {
        const zoo_peer *p = &d->table.peers[i];
        if (!p->is_dead) {
            ZOO_TRY(zoo_message_post(d->cluster->link, i,
                                     p->is_ready ? ZOO_MESSAGE_END : ZOO_MESSAGE_QUIT, NULL, 0,
                                     err));
        }
    }
    zoo_port_end(d->port);
    while (waits && !is_stopped(d)) {
        waits = false;
        for (uint32_t i = 0; i < d->table.n; i++) {
            waits = waits || (d->table.peers[i].is_ready && !d->table.peers[i].is_done);
        }
        ZOO_TRY(waits ? zoo_dealer_receive(d, err) : ZOO_OK);
    }
    return ZOO_OK;
}

/* Shows on stderr how evenly the ranks were loaded. */
static void print_ranks(const zoo_dealer *d)
{
    for (uint32_t i = 0; d->progress.options->shows && i < d->table.n; i++) {
        const zoo_peer *p = &d->table.peers[i];
        (void)fprintf(stderr, "lmzoo batch: rank %u (%s): %llu rows, the last after %.3f s%s\n", i,
                      p->is_ready ? p->host : "not ready", (unsigned long long)p->n_lines,
                      p->n_lines > 0 ? p->last - d->started : 0.0, p->is_dead ? ", failed" : "");
    }
}

static void *run_dealer(void *arg)
{
    zoo_dealer *d = arg;
    zoo_error *err = &d->error;
    d->status = deal_all(d, err);
    if (d->status == ZOO_OK && !d->totals->interrupted) {
        d->status = end_all(d, err);
    }
    d->stop = 1; /* without effect on a run that has ended */
    zoo_port_end(d->port);
    zoo_dealer_sum(d);
    return NULL;
}

static zoo_status post_end(zoo_dealer *d, const zoo_batch_totals *mine, zoo_status status,
                           zoo_error *why)
{
    bool failed = status != ZOO_OK;
    size_t n = failed ? sizeof *why : sizeof mine->stats;
    zoo_message *m = zoo_message_new(failed ? ZOO_MESSAGE_FAILED : ZOO_MESSAGE_DONE, n);
    why->code = status;
    if (m) {
        memcpy(m->data, failed ? (const void *)why : (const void *)&mine->stats, n);
    }
    return zoo_port_post(d->port, m, why);
}

/* Rank 0's own rows, on this thread, while the other deals. */
static zoo_status run_both(zoo_dealer *d, zoo_batch_totals *mine, zoo_error *err)
{
    pthread_t thread;
    zoo_error why = {0};
    zoo_line_source source = zoo_port_source(d->port);
    zoo_batch_sink sink = zoo_port_sink(d->port);
    zoo_batch_job job = *d->job;
    job.input = NULL;
    job.source = &source;
    job.sink = &sink;
    job.journal = NULL;
    job.progress = NULL;
    job.input_hash = NULL;
    job.stop = &d->stop;
    job.rows_max = job.errors_max = 0;
    if (!zoo_thread_start(&thread, run_dealer, d)) {
        return zoo_fail(err, ZOO_E_MEMORY, "no thread to deal rows");
    }
    zoo_status status = zoo_batch_run(&job, mine, &why);
    (void)post_end(d, mine, status, &why);
    (void)pthread_join(thread, NULL);
    *err = d->error;
    return d->status;
}

static void free_dealer(zoo_dealer *d)
{
    for (uint32_t i = 0; d->table.peers && i < d->table.n; i++) {
        zoo_peer *p = &d->table.peers[i];
        while (p->n > 0) {
            zoo_deal_row_free(p->rows[--p->n]);
        }
        zoo_mem_free(p->rows);
    }
    zoo_mem_free(d->table.peers);
    zoo_window_free(&d->window);
    zoo_idmap_free(&d->custom_ids);
    zoo_order_free(&d->order);
    zoo_port_free(d->port);
}

zoo_status zoo_cluster_deal(zoo_cluster *cluster, const zoo_batch_job *job,
                            const zoo_journal_key *key, zoo_batch_totals *totals, zoo_error *err)
{
    static const zoo_progress_options silent = {.shows = false};
    zoo_batch_totals mine = {0};
    zoo_dealer d = {.cluster = cluster, .job = job, .key = key, .totals = totals};
    memset(totals, 0, sizeof *totals);
    d.custom_ids.is_set = true;
    d.source = zoo_batch_source(job);
    d.order = (zoo_order){.is_kept = job->in_order, .journal = job->journal};
    d.table.n = cluster->n_ranks;
    d.table.peers = zoo_mem_array(d.table.n, sizeof *d.table.peers);
    zoo_progress_begin(&d.progress, job->progress ? job->progress : &silent, job->journal,
                       job->n_lines);
    d.started = d.ticked = zoo_clock_seconds();
    zoo_status status = d.table.peers ? zoo_port_new(&d.port, err)
                                      : zoo_fail(err, ZOO_E_MEMORY, "no memory for the ranks");
    if (status == ZOO_OK) {
        zoo_peer *self = &d.table.peers[0];
        self->is_ready = true;
        self->seqs_max = zoo_engine_limits(job->loaded->engine)->seqs_max;
        (void)gethostname(self->host, sizeof self->host - 1);
        status = run_both(&d, &mine, err);
    }
    cluster->has_dealt = status == ZOO_OK && !totals->interrupted;
    totals->seconds = zoo_clock_seconds() - d.started;
    zoo_progress_end(&d.progress, totals,
                     status != ZOO_OK                            ? "failed"
                     : totals->interrupted || totals->is_limited ? "interrupted"
                                                                 : "ended");
    print_ranks(&d);
    free_dealer(&d);
    return status;
}
