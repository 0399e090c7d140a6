/* batch.c: the loop of a batch run (batch.h); the command line is cmd_batch.c. */
#include "batch/batch.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "batch/constraint.h"
#include "batch/reader.h"
#include "batch/request_rows.h"
#include "batch/result.h"

/* A request whose rows are in the scheduler. */
typedef struct zoo_flight {
    zoo_line *line;
    uint32_t n_rows, n_left;
    struct zoo_flight *next, *previous;
    zoo_row rows[];
} zoo_flight;

typedef struct zoo_loop {
    const zoo_batch_job *job;
    zoo_batch_totals *totals;
    zoo_reader *reader;
    zoo_schedule *schedule;
    zoo_flight *flights;
    zoo_out out;
    bool at_end;
    double started, shown;
} zoo_loop;

static double seconds_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- writing ---- */

static zoo_status write_out(zoo_loop *loop, bool is_error, zoo_error *err)
{
    if (loop->out.failed) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a line of results");
    }
    *(is_error ? &loop->totals->n_errors : &loop->totals->n_results) += 1;
    return is_error ? zoo_journal_error(loop->job->journal, loop->out.data, loop->out.n, err)
                    : zoo_journal_result(loop->job->journal, loop->out.data, loop->out.n, err);
}

static zoo_status write_refusal(zoo_loop *loop, const zoo_line *line, zoo_status status,
                                const char *message, zoo_error *err)
{
    const zoo_request *r = &line->request;
    zoo_refusal refusal = {.line = line->number,
                           .id = line->id,
                           .custom_id = r->custom_id,
                           .param = r->param,
                           .message = message,
                           .status = status,
                           .is_duplicate = line->is_duplicate,
                           .is_line = !cJSON_IsObject(r->tree) || !r->endpoint};
    loop->out.n = 0;
    zoo_result_refusal(&loop->out, &refusal);
    return write_out(loop, true, err);
}

static zoo_status write_flight(zoo_loop *loop, const zoo_flight *flight, zoo_error *err)
{
    const zoo_loaded *loaded = loop->job->loaded;
    zoo_answer answer = {.request = &flight->line->request,
                         .rows = flight->rows,
                         .n_rows = flight->n_rows,
                         .id = flight->line->id,
                         .model = loaded->name,
                         .tokenizer = loaded->tokenizer,
                         .marks = loaded->marks,
                         .shows_cached = loop->job->shows_cached,
                         .format = loaded->format};
    for (uint32_t i = 0; i < flight->n_rows; i++) {
        const zoo_row *row = &flight->rows[i];
        if (row->finish == ZOO_FINISH_FAILED) {
            return write_refusal(loop, flight->line, (zoo_status)row->error.code, row->error.text,
                                 err);
        }
    }
    loop->out.n = 0;
    zoo_result_line(&loop->out, &answer);
    return write_out(loop, false, err);
}

/* ---- requests in flight ---- */

static void free_flight(zoo_loop *loop, zoo_flight *flight)
{
    *(flight->previous ? &flight->previous->next : &loop->flights) = flight->next;
    if (flight->next) {
        flight->next->previous = flight->previous;
    }
    for (uint32_t i = 0; i < flight->n_rows; i++) {
        zoo_row_free(&flight->rows[i]);
    }
    zoo_line_free(flight->line);
    zoo_mem_free(flight);
}

/* Takes over the line, also on failure. */
static zoo_status launch(zoo_loop *loop, zoo_line *line, zoo_error *err)
{
    uint32_t n_rows = line->request.n_prompts * line->request.n_choices;
    zoo_flight *flight = zoo_mem_array(1, sizeof *flight + n_rows * sizeof(zoo_row));
    if (!flight) {
        zoo_line_free(line);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a request of %u rows", n_rows);
    }
    flight->line = line;
    flight->n_rows = flight->n_left = n_rows;
    flight->next = loop->flights;
    if (loop->flights) {
        loop->flights->previous = flight;
    }
    loop->flights = flight;
    zoo_request_rows(&line->request,
                     line->request.endpoint == ZOO_CHAT ? loop->job->loaded->hidden : NULL,
                     flight->rows, flight);
    for (uint32_t i = 0; i < n_rows; i++) {
        ZOO_TRY(zoo_constraint_begin(line->request.grammar, &flight->rows[i], err));
        ZOO_TRY(zoo_schedule_add(loop->schedule, &flight->rows[i], err));
    }
    return ZOO_OK;
}

/* Reads lines until the scheduler has enough to choose from. */
static zoo_status fill(zoo_loop *loop, zoo_error *err)
{
    while (!loop->at_end && zoo_schedule_wants_more(loop->schedule)) {
        zoo_line *line;
        ZOO_TRY(zoo_reader_next(loop->reader, &line, err));
        if (!line) {
            loop->at_end = true;
        } else if (line->status != ZOO_OK) {
            zoo_status status = write_refusal(loop, line, line->status, line->error.text, err);
            zoo_line_free(line);
            ZOO_TRY(status);
        } else {
            ZOO_TRY(launch(loop, line, err));
        }
    }
    return ZOO_OK;
}

static zoo_status collect(zoo_loop *loop, zoo_error *err)
{
    zoo_row *row;
    while ((row = zoo_schedule_pop(loop->schedule)) != NULL) {
        zoo_flight *flight = row->owner;
        if (--flight->n_left == 0) {
            zoo_status status = write_flight(loop, flight, err);
            free_flight(loop, flight);
            ZOO_TRY(status);
        }
    }
    return ZOO_OK;
}

/* ---- the loop ---- */

static void show_progress(zoo_loop *loop)
{
    zoo_schedule_stats stats = zoo_schedule_stats_get(loop->schedule);
    const zoo_journal *j = loop->job->journal;
    double now = seconds_now(), seconds = now - loop->started;
    uint64_t done = zoo_journal_n_results(j) + zoo_journal_n_errors(j) + loop->totals->n_results +
                    loop->totals->n_errors;
    if (!loop->job->shows_progress || now - loop->shown < 0.2) {
        return;
    }
    loop->shown = now;
    (void)fprintf(stderr, "\r%llu of %llu rows, %u running, %llu new tokens, %.1f tokens/s   ",
                  (unsigned long long)done, (unsigned long long)loop->job->n_lines, stats.n_running,
                  (unsigned long long)stats.n_written,
                  (double)(stats.n_written + stats.n_read) / (seconds > 0.0 ? seconds : 1.0));
    (void)fflush(stderr);
}

static bool is_stopped(const zoo_batch_job *job)
{
    return job->stop && *job->stop != 0;
}

static zoo_status run_loop(zoo_loop *loop, zoo_error *err)
{
    while (!is_stopped(loop->job)) {
        ZOO_TRY(fill(loop, err));
        if (loop->at_end && zoo_schedule_is_idle(loop->schedule)) {
            return ZOO_OK;
        }
        ZOO_TRY(zoo_schedule_step(loop->schedule, err));
        ZOO_TRY(collect(loop, err));
        show_progress(loop);
    }
    loop->totals->interrupted = true;
    return ZOO_OK;
}

static void end_loop(zoo_loop *loop)
{
    if (loop->schedule) {
        loop->totals->stats = zoo_schedule_stats_get(loop->schedule);
    }
    loop->totals->seconds = seconds_now() - loop->started;
    if (loop->job->shows_progress && loop->shown > 0.0) {
        (void)fputs("\r\033[K", stderr);
    }
    zoo_reader_stop(loop->reader);
    zoo_schedule_free(loop->schedule);
    while (loop->flights) {
        free_flight(loop, loop->flights);
    }
    zoo_out_free(&loop->out);
}

zoo_status zoo_batch_run(const zoo_batch_job *job, zoo_batch_totals *totals, zoo_error *err)
{
    zoo_loop loop = {.job = job, .totals = totals, .started = seconds_now()};
    const zoo_loaded *s = job->loaded;
    zoo_status status;
    memset(totals, 0, sizeof *totals);
    status = zoo_schedule_new(s->engine, s->tokenizer, &s->generation, &loop.schedule, err);
    if (status == ZOO_OK) {
        status = zoo_reader_start(job->input, &s->context, zoo_journal_done(job->journal),
                                  &loop.reader, err);
    }
    if (status == ZOO_OK) {
        status = run_loop(&loop, err);
    }
    end_loop(&loop);
    return status;
}
