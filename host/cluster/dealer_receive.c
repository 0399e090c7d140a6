/* dealer_receive.c: messages from the ranks to rank 0 (dealer_private.h). */
#include <string.h>

#include "base/budget.h"
#include "base/mem.h"
#include "cluster/dealer_private.h"

#define LOOK_SECONDS 0.001

static zoo_status refuse_rank(uint32_t rank, const char *host, const char *what, zoo_error *err)
{
    return zoo_fail(err, ZOO_E_USAGE, "rank %u (%s): %s", rank, host, what);
}

/* Terminates every text, whatever bytes arrived. */
static void end_texts(zoo_hello *h)
{
    h->host[sizeof h->host - 1] = 0;
    h->files[sizeof h->files - 1] = 0;
    h->key.shard[sizeof h->key.shard - 1] = 0;
    h->key.build[sizeof h->key.build - 1] = 0;
    h->key.options[sizeof h->key.options - 1] = 0;
    h->key.model[sizeof h->key.model - 1] = 0;
    h->key.plugin[sizeof h->key.plugin - 1] = 0;
    h->key.card[sizeof h->key.card - 1] = 0;
    h->key.isa[sizeof h->key.isa - 1] = 0;
}

static zoo_status on_hello(zoo_dealer *d, uint32_t rank, const zoo_message *m, zoo_error *err)
{
    zoo_hello hello;
    zoo_peer *p = &d->table.peers[rank];
    if (m->n != sizeof hello) {
        return refuse_rank(rank, "?", "its program differs from that of rank 0", err);
    }
    memcpy(&hello, m->data, sizeof hello);
    end_texts(&hello);
    if (hello.magic != ZOO_HELLO_MAGIC) {
        return refuse_rank(rank, "?", "its machine orders bytes differently", err);
    }
    const char *what = zoo_key_differs(d->key, &hello.key);
    if (!what && strcmp(d->cluster->files, hello.files) != 0) {
        what = "its requests or results are not those of rank 0";
    }
    if (what) {
        return refuse_rank(rank, hello.host, what, err);
    }
    if (hello.line_bytes_max != d->job->line_bytes_max ||
        hello.context_max != d->job->loaded->context.context_max) {
        return refuse_rank(rank, hello.host,
                           "its limits for a row differ from those of rank 0; give all ranks the "
                           "same --memory and --context",
                           err);
    }
    memcpy(p->host, hello.host, sizeof p->host);
    p->seqs_max = hello.seqs_max > 0 ? hello.seqs_max : 1;
    p->is_ready = true;
    return zoo_message_post(d->cluster->link, rank, ZOO_MESSAGE_START, d->key->now,
                            strlen(d->key->now) + 1, err);
}

static zoo_deal_row *take_row(zoo_peer *p, uint64_t number)
{
    for (size_t i = 0; i < p->n; i++) {
        zoo_deal_row *row = p->rows[i];
        if (row->number == number) {
            p->n--;
            memmove(&p->rows[i], &p->rows[i + 1], (p->n - i) * sizeof(zoo_deal_row *));
            return row;
        }
    }
    return NULL;
}

void zoo_dealer_sum(zoo_dealer *d)
{
    zoo_schedule_stats sum = {0};
    for (uint32_t i = 0; i < d->table.n; i++) {
        const zoo_schedule_stats *s = &d->table.peers[i].stats;
        sum.n_steps += s->n_steps;
        sum.n_read += s->n_read;
        sum.n_shared += s->n_shared;
        sum.n_written += s->n_written;
        sum.n_reread += s->n_reread;
        sum.n_running += s->n_running;
        sum.n_waiting += s->n_waiting;
    }
    d->totals->stats = sum;
}

static zoo_status on_line(zoo_dealer *d, uint32_t rank, const zoo_message *m, zoo_error *err)
{
    zoo_line_head head;
    zoo_peer *p = &d->table.peers[rank];
    if (m->n < sizeof head) {
        return zoo_fail(err, ZOO_E_INTERNAL, "a message from rank %u is truncated", rank);
    }
    memcpy(&head, m->data, sizeof head);
    zoo_deal_row *row = take_row(p, head.number);
    if (!row) {
        return ZOO_OK; /* of a rank that failed since; its rows were dealt again */
    }
    d->n_left--;
    zoo_deal_finish(p, row->work, head.cost);
    p->last = zoo_clock_seconds();
    p->n_lines++;
    *(head.is_error ? &d->totals->n_errors : &d->totals->n_results) += 1;
    if (head.is_error && head.kind < ZOO_RESULT_CODES) {
        d->totals->kinds[head.kind]++;
    }
    zoo_status status = zoo_order_put(&d->order, row->place, head.is_error, m->data + sizeof head,
                                      m->n - sizeof head, err);
    zoo_deal_row_free(row);
    return status;
}

/* The rank's rows go back into the window; a failure of rank 0 ends the run. */
static zoo_status on_failure(zoo_dealer *d, uint32_t rank, const zoo_message *m, zoo_error *err)
{
    zoo_peer *p = &d->table.peers[rank];
    zoo_error why = {0};
    memcpy(&why, m->data, m->n < sizeof why ? m->n : sizeof why);
    why.text[sizeof why.text - 1] = 0;
    p->is_dead = p->is_done = true;
    if (rank == 0) {
        *err = why;
        return why.code != ZOO_OK ? (zoo_status)why.code : ZOO_E_INTERNAL;
    }
    (void)fprintf(stderr, "lmzoo batch: rank %u (%s) failed, its %zu rows are dealt again: %s\n",
                  rank, p->host, p->n, why.text);
    for (; p->n > 0; p->n--, d->n_left--) {
        if (!zoo_window_add(&d->window, p->rows[p->n - 1])) {
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for the rows of rank %u", rank);
        }
    }
    p->has_changed = true;
    zoo_window_sort(&d->window);
    return ZOO_OK;
}

static void on_stats(zoo_peer *p, const zoo_message *m)
{
    if (m->n == sizeof p->stats) {
        memcpy(&p->stats, m->data, m->n);
        zoo_deal_spend(p, zoo_batch_cost(p->stats.n_read, p->stats.n_written));
    }
}

static zoo_status handle(zoo_dealer *d, uint32_t rank, const zoo_message *m, zoo_error *err)
{
    zoo_peer *p = &d->table.peers[rank];
    switch (m->kind) {
    case ZOO_MESSAGE_HELLO:
        return on_hello(d, rank, m, err);
    case ZOO_MESSAGE_LINE:
        return on_line(d, rank, m, err);
    case ZOO_MESSAGE_FAILED:
        return on_failure(d, rank, m, err);
    case ZOO_MESSAGE_PROGRESS:
        on_stats(p, m);
        return ZOO_OK;
    case ZOO_MESSAGE_DONE:
        p->is_done = true;
        on_stats(p, m);
        return ZOO_OK;
    default:
        return zoo_fail(err, ZOO_E_INTERNAL, "rank %u sent a message of unknown kind", rank);
    }
}

zoo_status zoo_dealer_receive(zoo_dealer *d, zoo_error *err)
{
    zoo_message *m;
    uint32_t from;
    bool any = false;
    do {
        ZOO_TRY(zoo_message_receive(d->cluster->link, &from, &m, err));
        any = any || m;
        if (m) {
            zoo_status status = handle(d, from, m, err);
            zoo_mem_free(m);
            ZOO_TRY(status);
        }
    } while (m);
    for (m = zoo_port_take(d->port, any ? 0.0 : LOOK_SECONDS); m; m = zoo_port_take(d->port, 0.0)) {
        zoo_status status = handle(d, 0, m, err);
        zoo_mem_free(m);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}
