/* batch.c: the loop of a batch run (batch.h); the command line is cmd_batch.c. */
#include "batch/batch.h"

#include <string.h>

#include "base/budget.h"
#include "base/mem.h"
#include "batch/constraint.h"
#include "batch/order.h"
#include "batch/request_rows.h"
#include "batch/result.h"

/* A request whose rows are in the scheduler, or on their way there. */
typedef struct zoo_pending_request {
    zoo_line *line;
    uint64_t place; /* among the lines that were read */
    double started; /* when its first row got a sequence; 0: not yet */
    uint32_t n_rows, n_left;
    uint32_t n_added; /* rows that the scheduler has */
    bool timed_out;
    struct zoo_pending_request *next, *previous;
    zoo_row rows[];
} zoo_pending_request;

typedef struct zoo_loop {
    const zoo_batch_job *job;
    zoo_batch_totals *totals;
    zoo_reader *reader;
    zoo_schedule *schedule;
    zoo_pending_request *all_pending;
    zoo_pending_request *partial; /* has rows that are not added */
    zoo_out out;
    zoo_order order;
    uint64_t n_taken;
    zoo_progress progress;
    double checked;
    bool at_end;
} zoo_loop;

/* ---- writing ---- */

/* Where a finished line goes. */
typedef struct zoo_place {
    uint64_t number; /* of its request line */
    uint64_t place;
    bool is_error;
    uint32_t kind;
    double cost;
} zoo_place;

static zoo_status write_out(zoo_loop *loop, const zoo_place *at, zoo_error *err)
{
    const zoo_batch_sink *sink = loop->job->sink;
    if (loop->out.failed) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a line of results");
    }
    *(at->is_error ? &loop->totals->n_errors : &loop->totals->n_results) += 1;
    zoo_finished line = {at->number, at->is_error, at->kind, at->cost, loop->out.data, loop->out.n};
    zoo_status status = sink ? sink->put(sink->arg, &line, err)
                             : zoo_order_put(&loop->order, at->place, at->is_error, loop->out.data,
                                             loop->out.n, err);
    if (loop->out.capacity > loop->job->line_bytes_max / 8) {
        zoo_out_free(&loop->out); /* do not keep a large buffer for one long line */
    }
    return status;
}

static zoo_status write_refusal(zoo_loop *loop, const zoo_line *line, uint64_t place,
                                const zoo_error *why, zoo_error *err)
{
    const zoo_request *r = &line->request;
    zoo_refusal refusal = {.line = line->number,
                           .id = line->id,
                           .custom_id = r->custom_id,
                           .param = r->param,
                           .message = why->text,
                           .status = (zoo_status)why->code,
                           .is_duplicate = line->is_duplicate,
                           .is_line = !cJSON_IsObject(r->tree) || !r->endpoint};
    loop->out.n = 0;
    zoo_result_refusal(&loop->out, &refusal);
    zoo_place at = {line->number, place, true, zoo_result_code(&refusal), 0.0};
    loop->totals->kinds[at.kind]++;
    return write_out(loop, &at, err);
}

/* A lack of memory or disk is not the row's fault: the run ends and can be resumed. */
static bool is_environment(int code)
{
    return code == ZOO_E_MEMORY || code == ZOO_E_IO;
}

static zoo_status write_pending(zoo_loop *loop, const zoo_pending_request *pending, zoo_error *err)
{
    const zoo_chat_model *loaded = loop->job->loaded;
    zoo_answer answer = {.request = &pending->line->request,
                         .rows = pending->rows,
                         .n_rows = pending->n_rows,
                         .id = pending->line->id,
                         .model = loaded->name,
                         .tokenizer = loaded->tokenizer,
                         .marks = loaded->marks,
                         .shows_cached = loop->job->shows_cached,
                         .format = loaded->format};
    for (uint32_t i = 0; i < pending->n_rows; i++) {
        const zoo_row *row = &pending->rows[i];
        if (row->finish == ZOO_FINISH_FAILED && is_environment(row->error.code)) {
            return zoo_fail(err, (zoo_status)row->error.code, "line %llu: %s",
                            (unsigned long long)pending->line->number, row->error.text);
        }
        if (row->finish == ZOO_FINISH_FAILED) {
            return write_refusal(loop, pending->line, pending->place, &row->error, err);
        }
    }
    loop->out.n = 0;
    zoo_result_line(&loop->out, &answer);
    zoo_place at = {.number = pending->line->number, .place = pending->place};
    for (uint32_t i = 0; i < pending->n_rows; i++) {
        const zoo_row *row = &pending->rows[i];
        at.cost += zoo_batch_cost(row->n_prompt - row->n_cached, row->n_out);
    }
    return write_out(loop, &at, err);
}

/* ---- pending requests ---- */

static void free_pending(zoo_loop *loop, zoo_pending_request *pending)
{
    *(pending->previous ? &pending->previous->next : &loop->all_pending) = pending->next;
    if (pending->next) {
        pending->next->previous = pending->previous;
    }
    loop->partial = loop->partial == pending ? NULL : loop->partial;
    for (uint32_t i = 0; i < pending->n_rows; i++) {
        zoo_row_free(&pending->rows[i]);
    }
    zoo_line_free(pending->line);
    zoo_mem_free(pending);
}

/* Gives the scheduler as many rows as it wants. */
static zoo_status add_rows(zoo_loop *loop, zoo_pending_request *pending, zoo_error *err)
{
    while (pending->n_added < pending->n_rows && zoo_schedule_wants_more(loop->schedule)) {
        zoo_row *row = &pending->rows[pending->n_added];
        ZOO_TRY(zoo_constraint_begin(pending->line->request.grammar, row, err));
        ZOO_TRY(zoo_schedule_add(loop->schedule, row, err));
        pending->n_added++;
    }
    loop->partial = pending->n_added < pending->n_rows ? pending : NULL;
    return ZOO_OK;
}

/* Takes over the line, also on failure. */
static zoo_status submit(zoo_loop *loop, zoo_line *line, uint64_t place, zoo_error *err)
{
    uint32_t n_rows = line->request.n_prompts * line->request.n_choices;
    zoo_pending_request *pending = zoo_mem_array(1, sizeof *pending + n_rows * sizeof(zoo_row));
    if (!pending) {
        zoo_line_free(line);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a request of %u rows", n_rows);
    }
    pending->line = line;
    pending->place = place;
    pending->n_rows = pending->n_left = n_rows;
    pending->next = loop->all_pending;
    if (loop->all_pending) {
        loop->all_pending->previous = pending;
    }
    loop->all_pending = pending;
    zoo_request_rows(&line->request,
                     line->request.endpoint == ZOO_CHAT ? loop->job->loaded->hidden : NULL,
                     pending->rows, pending);
    return add_rows(loop, pending, err);
}

static zoo_status take_line(zoo_loop *loop, zoo_line *line, zoo_error *err)
{
    uint64_t place = loop->n_taken++;
    if (line->status == ZOO_OK) {
        return submit(loop, line, place, err);
    }
    line->error.code = line->status;
    zoo_status status = write_refusal(loop, line, place, &line->error, err);
    zoo_line_free(line);
    return status;
}

static bool is_stopped(const zoo_batch_job *job)
{
    return job->stop && *job->stop != 0;
}

static bool has_too_many_errors(const zoo_loop *loop)
{
    uint64_t n = zoo_journal_n_errors(loop->job->journal) + loop->totals->n_errors;
    return loop->job->errors_max > 0 && n > loop->job->errors_max;
}

/* Reads lines until the scheduler has enough to choose from; waits only when nothing runs. */
static zoo_status fill(zoo_loop *loop, zoo_error *err)
{
    if (loop->partial) {
        ZOO_TRY(add_rows(loop, loop->partial, err));
    }
    while (!loop->at_end && !loop->partial && zoo_schedule_wants_more(loop->schedule) &&
           !is_stopped(loop->job) && !has_too_many_errors(loop)) {
        bool idle = zoo_schedule_is_idle(loop->schedule);
        zoo_line *line;
        if (loop->order.bytes > loop->job->lines_bytes_max && !idle) {
            return ZOO_OK;
        }
        ZOO_TRY(zoo_reader_next(loop->reader, idle, &line, &loop->at_end, err));
        if (!line) {
            return ZOO_OK;
        }
        ZOO_TRY(take_line(loop, line, err));
    }
    return ZOO_OK;
}

static zoo_status collect(zoo_loop *loop, zoo_error *err)
{
    zoo_row *row;
    while ((row = zoo_schedule_pop(loop->schedule)) != NULL) {
        zoo_pending_request *pending = row->owner;
        if (--pending->n_left == 0) {
            zoo_status status = write_pending(loop, pending, err);
            free_pending(loop, pending);
            ZOO_TRY(status);
        }
    }
    return ZOO_OK;
}

/* Ends what is left of a request. */
static zoo_status give_up(zoo_loop *loop, zoo_pending_request *pending, zoo_error *err)
{
    pending->timed_out = true;
    for (uint32_t i = 0; i < pending->n_rows; i++) {
        zoo_row *row = &pending->rows[i];
        if (i < pending->n_added) {
            zoo_schedule_cancel(loop->schedule, row);
        } else {
            row->finish = ZOO_FINISH_FAILED;
            pending->n_left--;
        }
        (void)zoo_fail(&row->error, ZOO_E_LIMIT,
                       "the row runs longer than --row-timeout, %g seconds",
                       loop->job->row_seconds_max);
    }
    pending->n_added = pending->n_rows;
    loop->partial = loop->partial == pending ? NULL : loop->partial;
    if (pending->n_left > 0) {
        return ZOO_OK; /* its cancelled rows are collected */
    }
    zoo_status status = write_pending(loop, pending, err);
    free_pending(loop, pending);
    return status;
}

/* A request's time begins when its first row does. */
static zoo_status watch_times(zoo_loop *loop, zoo_error *err)
{
    double now = loop->job->row_seconds_max > 0.0 ? zoo_clock_seconds() : 0.0;
    if (now - loop->checked < 0.2) {
        return ZOO_OK;
    }
    loop->checked = now;
    for (zoo_pending_request *f = loop->all_pending, *next; f; f = next) {
        next = f->next;
        for (uint32_t i = 0; f->started == 0.0 && i < f->n_added; i++) {
            f->started = f->rows[i].is_running ? now : 0.0;
        }
        if (f->started > 0.0 && !f->timed_out && now - f->started > loop->job->row_seconds_max) {
            ZOO_TRY(give_up(loop, f, err));
        }
    }
    return ZOO_OK;
}

/* ---- the loop ---- */

static zoo_status run_loop(zoo_loop *loop, zoo_error *err)
{
    while (!is_stopped(loop->job)) {
        ZOO_TRY(fill(loop, err));
        if (is_stopped(loop->job)) {
            break;
        }
        if (has_too_many_errors(loop)) {
            loop->totals->is_limited = true;
            return ZOO_OK;
        }
        if (loop->at_end && !loop->partial && zoo_schedule_is_idle(loop->schedule)) {
            loop->totals->is_limited =
                loop->job->rows_max > 0 && loop->n_taken == loop->job->rows_max;
            return ZOO_OK;
        }
        ZOO_TRY(zoo_schedule_step(loop->schedule, err));
        ZOO_TRY(watch_times(loop, err));
        ZOO_TRY(collect(loop, err));
        loop->totals->stats = zoo_schedule_stats_get(loop->schedule);
        if (loop->job->sink && loop->job->sink->step) {
            loop->job->sink->step(loop->job->sink->arg, &loop->totals->stats);
        }
        zoo_progress_tick(&loop->progress, loop->totals);
        ZOO_TRY(zoo_journal_check(loop->job->journal, err));
    }
    loop->totals->interrupted = true;
    return ZOO_OK;
}

static void end_loop(zoo_loop *loop, zoo_status status)
{
    zoo_batch_totals *t = loop->totals;
    if (loop->schedule) {
        t->stats = zoo_schedule_stats_get(loop->schedule);
    }
    t->seconds = zoo_clock_seconds() - loop->progress.started;
    zoo_progress_end(&loop->progress, t,
                     status != ZOO_OK                  ? "failed"
                     : t->interrupted || t->is_limited ? "interrupted"
                                                       : "ended");
    zoo_schedule_free(loop->schedule);
    while (loop->all_pending) {
        free_pending(loop, loop->all_pending);
    }
    zoo_reader_stop(loop->reader);
    zoo_order_free(&loop->order);
    zoo_out_free(&loop->out);
}

zoo_line_source zoo_batch_source(const zoo_batch_job *job)
{
    return job->source ? *job->source : zoo_input_source(job->input);
}

zoo_status zoo_batch_run(const zoo_batch_job *job, zoo_batch_totals *totals, zoo_error *err)
{
    static const zoo_progress_options silent = {.shows = false};
    zoo_loop loop = {.job = job, .totals = totals};
    const zoo_chat_model *s = job->loaded;
    zoo_reader_options options = {.source = zoo_batch_source(job),
                                  .input = job->source ? NULL : job->input,
                                  .name = job->input_name,
                                  .hash = job->input_hash,
                                  .context = &s->context,
                                  .done = zoo_journal_done(job->journal),
                                  .line_bytes_max = job->line_bytes_max,
                                  .bytes_max = job->lines_bytes_max,
                                  .rows_max = job->rows_max ? job->rows_max : UINT64_MAX,
                                  .seconds_max = job->row_seconds_max,
                                  .stop = job->stop};
    memset(totals, 0, sizeof *totals);
    loop.order = (zoo_order){.is_kept = job->in_order, .journal = job->journal};
    zoo_progress_begin(&loop.progress, job->progress ? job->progress : &silent, job->journal,
                       job->n_lines);
    zoo_status status =
        zoo_schedule_new(s->engine, s->tokenizer, &s->generation, &loop.schedule, err);
    if (status == ZOO_OK) {
        status = zoo_schedule_speculate(loop.schedule, &s->speculation, err);
    }
    if (status == ZOO_OK) {
        status = zoo_reader_start(&options, &loop.reader, err);
    }
    if (status == ZOO_OK) {
        status = run_loop(&loop, err);
    }
    end_loop(&loop, status);
    return status;
}
