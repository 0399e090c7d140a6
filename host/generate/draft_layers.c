/*
 * draft_layers.c: the sequences of a release's own prediction layer (draft_model.h).
 *
 *   step of the main model -> its rows with the tokens that follow them -> pending rows of each
 *   sequence, or at once through the layer -> pending rows in the step that makes the first draft
 *
 * Position p of the main model and token p + 1 are one position of the layer. What the layer did
 * not read (a shared prefix, rows while drafts did not pay) is left out of its sequence, which then
 * stands at a lower position: its drafts are accepted a little less often, nothing else changes.
 */
#include <string.h>

#include "base/mem.h"
#include "generate/draft_private.h"

enum { PENDING = 32 };

size_t zoo_draft_layers_bytes(const zoo_engine *layers, uint32_t n_rows)
{
    return (size_t)n_rows * PENDING * zoo_engine_plan(layers)->given_width * sizeof(float);
}

/* Rows that the layer made itself give way to those of the main model. */
static void drop_own(zoo_draft_model *m, zoo_draft_seq *a)
{
    if (a->n > 0) {
        (void)zoo_engine_seq_rewind(m->engine, a->seq, a->n_read);
    }
    a->n = 0;
}

void zoo_draft_layers_catch_up(zoo_draft_model *m, zoo_row *const *rows, uint32_t n_rows)
{
    uint32_t left = zoo_engine_limits(m->engine)->rows_max;
    m->n_items = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        zoo_row *row = rows[i];
        zoo_draft_seq *a = &row->draft_seq;
        bool is_next = a->n_pending > 0 && a->n_followed + 1 == zoo_draft_known(row);
        if (!is_next || a->n_pending > left || !zoo_draft_open_row(m, row)) {
            continue;
        }
        drop_own(m, a);
        m->rows[m->n_items] = row;
        m->items[m->n_items++] =
            (zoo_item){.seq = a->seq,
                       .n = a->n_pending,
                       .tokens = row->tokens + a->n_followed - a->n_pending + 1,
                       .given = a->given,
                       .want = ZOO_WANT_LAST};
        left -= a->n_pending;
        a->n_read += a->n_pending;
        a->n_pending = 0;
    }
}

const float *zoo_draft_layers_give(zoo_draft_model *m, uint32_t row, uint32_t index)
{
    float *given = m->given + (size_t)index * m->width;
    zoo_engine_rows(m->engine, row, 1, m->normed, given);
    return given;
}

static zoo_status run_queue(zoo_draft_model *m, zoo_error *err)
{
    uint32_t n = m->n_reading;
    m->n_reading = m->n_queued = 0;
    return n ? zoo_engine_step(m->engine, m->reading, n, err) : ZOO_OK;
}

zoo_status zoo_draft_layers_read(zoo_draft_model *m, zoo_error *err)
{
    return m->main ? run_queue(m, err) : ZOO_OK;
}

/* Some rows on their way to the queue. */
typedef struct rows_of {
    zoo_row *row;
    uint32_t pos, n;     /* positions of the main model */
    const float *stored; /* null: the main model's last step has them */
    uint32_t at;         /* there */
} rows_of;

static zoo_status enqueue(zoo_draft_model *m, rows_of r, zoo_error *err)
{
    uint32_t rows_max = zoo_engine_limits(m->engine)->rows_max;
    zoo_draft_seq *a = &r.row->draft_seq;
    while (r.n > 0) {
        uint32_t room = rows_max - m->n_queued, n = r.n < room ? r.n : room;
        float *out = m->queue + (size_t)m->n_queued * m->width;
        zoo_item *item = m->n_reading ? &m->reading[m->n_reading - 1] : NULL;
        if (r.stored) {
            memcpy(out, r.stored, (size_t)n * m->width * sizeof *out);
            r.stored += (size_t)n * m->width;
        } else {
            zoo_engine_rows(m->main, r.at, n, m->normed, out);
            r.at += n;
        }
        if (item && item->seq == a->seq) {
            item->n += n;
        } else {
            m->reading[m->n_reading++] = (zoo_item){
                .seq = a->seq, .n = n, .tokens = r.row->tokens + r.pos + 1, .given = out};
        }
        a->n_read += n;
        m->n_queued += n;
        r.pos += n;
        r.n -= n;
        if (m->n_queued == rows_max) {
            ZOO_TRY(run_queue(m, err));
        }
    }
    return ZOO_OK;
}

/* Appends the main model's rows from `at` on to the pending ones; the oldest give way. */
static void pend(zoo_draft_model *m, zoo_draft_seq *a, uint32_t at, uint32_t n)
{
    uint32_t skipped = n > PENDING ? n - PENDING : 0;
    at += skipped;
    n -= skipped;
    uint32_t kept = a->n_pending < PENDING - n ? a->n_pending : PENDING - n;
    kept = skipped ? 0 : kept;
    memmove(a->given, a->given + (size_t)(a->n_pending - kept) * m->width,
            (size_t)kept * m->width * sizeof *a->given);
    zoo_engine_rows(m->main, at, n, m->normed, a->given + (size_t)kept * m->width);
    a->n_pending = kept + n;
}

/* Runs the pending rows and those of the step but for the last one, which remains pending. */
static zoo_status read_now(zoo_draft_model *m, zoo_row *row, uint32_t at, uint32_t n,
                           zoo_error *err)
{
    zoo_draft_seq *a = &row->draft_seq;
    drop_own(m, a);
    ZOO_TRY(enqueue(
        m,
        (rows_of){
            .row = row, .pos = a->n_followed - a->n_pending, .n = a->n_pending, .stored = a->given},
        err));
    a->n_pending = 0;
    ZOO_TRY(enqueue(m, (rows_of){.row = row, .pos = a->n_followed, .n = n - 1, .at = at}, err));
    pend(m, a, at + n - 1, 1);
    return ZOO_OK;
}

zoo_status zoo_draft_layers_follow(zoo_draft_model *m, zoo_row *row, const zoo_draft_rows *rows,
                                   zoo_error *err)
{
    zoo_draft_seq *a = &row->draft_seq;
    uint32_t end = rows->pos + rows->n, from = rows->pos;
    if (!m->main) {
        return ZOO_OK;
    }
    end = end < zoo_draft_known(row) ? end : zoo_draft_known(row) - 1;
    if (end <= a->n_followed) {
        return ZOO_OK; /* read again after rejected drafts */
    }
    if (!a->given) {
        a->given = zoo_mem_array(PENDING, (size_t)m->width * sizeof *a->given);
    }
    if (!a->given) {
        return ZOO_OK; /* no memory: no drafts */
    }
    from = from > a->n_followed ? from : a->n_followed;
    if (from > a->n_followed) {
        a->n_pending = 0;
        a->n_followed = from;
    }
    uint32_t n = end - from, at = rows->at + from - rows->pos;
    zoo_status status = ZOO_OK;
    if (rows->pays && a->n_pending + n > PENDING && zoo_draft_open_row(m, row)) {
        status = read_now(m, row, at, n, err);
    } else {
        pend(m, a, at, n);
    }
    a->n_followed = end;
    return status;
}
