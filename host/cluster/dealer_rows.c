/* dealer_rows.c: requests into the window, rows to the ranks (dealer_private.h). */
#include <string.h>

#include "base/mem.h"
#include "cluster/dealer_private.h"

/* ---- reading ---- */

static zoo_status note_id(zoo_dealer *d, zoo_id id, bool *fresh, zoo_error *err)
{
    return zoo_idmap_add(&d->custom_ids, id, (zoo_id){{0, 0}}, fresh, err);
}

/* Adds the line to the window unless the journal says that it is done. */
static zoo_status take_line(zoo_dealer *d, const zoo_input_line *line, zoo_error *err)
{
    const zoo_id *done = zoo_idmap_find(zoo_journal_done(d->job->journal), line->id);
    bool has_id, fresh = true;
    zoo_id id;
    if (done) {
        return note_id(d, *done, &fresh, err);
    }
    zoo_deal_row *row = zoo_deal_row_new(line, &has_id, &id);
    if (!row || !zoo_window_add(&d->window, row)) {
        zoo_deal_row_free(row);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for line %llu of %s",
                        (unsigned long long)line->number, d->job->input_name);
    }
    if (has_id) {
        ZOO_TRY(note_id(d, id, &fresh, err));
    }
    row->is_duplicate = row->is_duplicate || !fresh;
    row->place = d->n_read++;
    d->read_work += row->work;
    return ZOO_OK;
}

static zoo_status compare_hash(const zoo_dealer *d, zoo_error *err)
{
    char hex[40];
    if (d->job->source || !d->job->input_hash) {
        return ZOO_OK; /* a shard compares each line */
    }
    zoo_input_hash(d->job->input, hex);
    return strcmp(hex, d->job->input_hash) == 0
               ? ZOO_OK
               : zoo_fail(err, ZOO_E_IO, "%s changed or was cut while it was read",
                          d->job->input_name);
}

/* With --order input, results wait for those before them and a crash loses the waiting ones, so no
 * more is read ahead than keeps the ranks busy. */
static size_t window_rows(const zoo_dealer *d)
{
    size_t few = 256 + (size_t)64 * d->table.n;
    return d->job->in_order && few < ZOO_WINDOW_ROWS ? few : ZOO_WINDOW_ROWS;
}

static bool wants_lines(const zoo_dealer *d)
{
    const zoo_batch_job *job = d->job;
    return !d->at_end && d->window.n < window_rows(d) && d->window.bytes < job->lines_bytes_max &&
           d->order.bytes <= job->lines_bytes_max;
}

/* Reads on when half of the window is dealt. With --order input, when all of it is: otherwise the
 * shortest rows would wait for the end of the file, and all results for them. */
zoo_status zoo_dealer_refill(zoo_dealer *d, zoo_error *err)
{
    zoo_input_line line;
    bool more = true, any = false;
    if (d->window.n > (d->job->in_order ? 0 : window_rows(d) / 2)) {
        return ZOO_OK;
    }
    while (wants_lines(d)) {
        if (d->job->rows_max > 0 && d->n_read == d->job->rows_max) {
            d->at_end = true;
            break;
        }
        ZOO_TRY(d->source.next(d->source.arg, &line, &more, err));
        if (!more) {
            d->at_end = true;
            ZOO_TRY(compare_hash(d, err));
            break;
        }
        ZOO_TRY(take_line(d, &line, err));
        any = true;
    }
    if (any) {
        zoo_window_sort(&d->window);
    }
    return ZOO_OK;
}

/* ---- dealing ---- */

static bool hold(zoo_peer *p, zoo_deal_row *row)
{
    if (p->n == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 64;
        zoo_deal_row **grown = zoo_mem_realloc(p->rows, capacity * sizeof(zoo_deal_row *));
        if (!grown) {
            return false;
        }
        p->rows = grown;
        p->capacity = capacity;
    }
    p->rows[p->n++] = row;
    zoo_deal_begin(p, row);
    return true;
}

static size_t bytes_of(const zoo_deal_row *row)
{
    return sizeof(zoo_row_head) + (row->has_text ? row->n : 0);
}

/* The rows of peer from `begin` on, as one message. */
static zoo_message *pack(const zoo_peer *p, size_t begin)
{
    size_t n = 0, at = 0;
    for (size_t i = begin; i < p->n; i++) {
        n += bytes_of(p->rows[i]);
    }
    zoo_message *m = zoo_message_new(ZOO_MESSAGE_ROWS, n);
    for (size_t i = begin; m && i < p->n; i++) {
        const zoo_deal_row *row = p->rows[i];
        zoo_row_head head = {.number = row->number,
                             .id = row->id,
                             .n = row->n,
                             .is_duplicate = row->is_duplicate,
                             .has_text = row->has_text};
        memcpy(m->data + at, &head, sizeof head);
        memcpy(m->data + at + sizeof head, row->text, row->has_text ? row->n : 0);
        at += bytes_of(row);
    }
    return m;
}

static zoo_status give(zoo_dealer *d, zoo_peer *p, double room, zoo_error *err)
{
    uint32_t rank = (uint32_t)(p - d->table.peers);
    size_t begin = p->n, bytes = 0;
    zoo_deal_row *row = zoo_window_next(&d->window, NULL);
    while (row) {
        room -= row->work;
        bytes += row->n;
        if (!hold(p, row)) {
            zoo_deal_row_free(row);
            return zoo_fail(err, ZOO_E_MEMORY, "no memory for a row of rank %u", rank);
        }
        d->n_left++;
        row = p->n - begin < ZOO_DEAL_BLOCK && bytes < (1u << 24) &&
                      zoo_window_peek(&d->window) <= room
                  ? zoo_window_next(&d->window, row)
                  : NULL;
    }
    zoo_message *m = pack(p, begin);
    if (!m) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the rows of rank %u", rank);
    }
    if (rank == 0) {
        zoo_port_give(d->port, m);
        return ZOO_OK;
    }
    zoo_status status = zoo_message_send(d->cluster->link, rank, m, err);
    zoo_mem_free(m);
    return status;
}

/* Rows not dealt and their estimated work: those of the window, and the mean of the rows read for
 * each row not yet read. */
static void note_left(zoo_dealer *d)
{
    uint64_t done = zoo_journal_n_results(d->job->journal) + zoo_journal_n_errors(d->job->journal);
    uint64_t all = d->job->n_lines > done ? d->job->n_lines - done : 0;
    uint64_t unread = d->at_end || all < d->n_read ? 0 : all - d->n_read;
    double mean = d->n_read > 0 ? d->read_work / (double)d->n_read : 0.0;
    d->table.work = d->window.work + mean * (double)unread;
    d->table.n_rows = (double)(d->window.n + unread);
    d->table.next_work = zoo_window_peek(&d->window);
}

zoo_status zoo_dealer_deal(zoo_dealer *d, zoo_error *err)
{
    double room = 0.0;
    for (;;) {
        note_left(d);
        zoo_peer *p = zoo_deal_pick(&d->table, &room);
        if (!p) {
            return ZOO_OK;
        }
        ZOO_TRY(give(d, p, room, err));
        ZOO_TRY(zoo_dealer_refill(d, err));
    }
}
