/* batch_run.c: see batch_run.h. */
#include "serve/batch_run.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "batch/reader.h"
#include "batch/result.h"

/* Requests of a batch in the live queue at once: enough to fill a step, few enough that a client's
 * request does not wait long. */
enum { SUBMITTED_MAX = 32, WAIT_MS = 200 };

typedef struct submitted submitted;
struct submitted {
    struct batch_run *run;
    zoo_line *line; /* its request has moved into live */
    zoo_live_request *live;
    submitted *next;      /* in all_submitted */
    submitted *next_done; /* in done */
};

typedef struct batch_run {
    zoo_batch_task *task;
    zoo_batch_counts *counts;
    zoo_input *input;
    zoo_journal *journal;
    zoo_reader *reader;
    zoo_request_context context; /* the model's, with the time of the first run */
    zoo_clock now;
    zoo_out out; /* the line at hand */
    submitted *all_submitted;
    uint32_t n_submitted;
    bool at_end, is_cancelled;
    pthread_mutex_t lock; /* guards done */
    pthread_cond_t ended;
    submitted *done;
} batch_run;

void zoo_batch_task_stop(zoo_batch_task *task)
{
    atomic_store(&task->stop, true);
}

static zoo_status write_refusal(batch_run *r, const zoo_line *line, const zoo_request *request,
                                const zoo_error *why, zoo_error *err)
{
    zoo_refusal refusal = {.line = line->number,
                           .id = line->id,
                           .custom_id = request->custom_id,
                           .param = request->param,
                           .message = why->text,
                           .status = (zoo_status)why->code,
                           .is_duplicate = line->is_duplicate,
                           .is_line = !cJSON_IsObject(request->tree) || !request->endpoint};
    r->out.n = 0;
    zoo_result_refusal(&r->out, &refusal);
    if (r->out.failed) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a line of errors");
    }
    r->counts->n_errors++;
    return zoo_journal_error(r->journal, r->out.data, r->out.n, err);
}

/* ---- in the queue ---- */

/* Called by the live thread. */
static void on_done(void *arg)
{
    submitted *f = arg;
    batch_run *r = f->run;
    (void)pthread_mutex_lock(&r->lock);
    f->next_done = r->done;
    r->done = f;
    (void)pthread_cond_signal(&r->ended);
    (void)pthread_mutex_unlock(&r->lock);
}

/* Takes over the line, also on failure. */
static zoo_status submit(batch_run *r, zoo_line *line, zoo_error *err)
{
    zoo_batch_task *t = r->task;
    zoo_live_events events = {.done = on_done};
    submitted *f = zoo_mem_array(1, sizeof *f);
    zoo_status status;
    if (!f) {
        zoo_line_free(line);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a request");
    }
    *f = (submitted){.run = r, .line = line, .next = r->all_submitted};
    events.arg = f;
    status = zoo_live_submit(t->options->live, &line->request, line->id, &events, &f->live, err);
    if (status != ZOO_OK) {
        zoo_line_free(line);
        zoo_mem_free(f);
        return status;
    }
    r->all_submitted = f;
    r->n_submitted++;
    return ZOO_OK;
}

static zoo_status take_line(batch_run *r, zoo_line *line, zoo_error *err)
{
    zoo_status status;
    if (line->status == ZOO_OK && line->request.endpoint != r->task->endpoint) {
        line->status = zoo_request_refuse(&line->request, "url", ZOO_E_USAGE, &line->error,
                                          "the url is not the endpoint of the batch");
    }
    if (line->status == ZOO_OK) {
        return submit(r, line, err);
    }
    line->error.code = line->status;
    status = write_refusal(r, line, &line->request, &line->error, err);
    zoo_line_free(line);
    return status;
}

/* Reads lines until enough are in the queue; waits only when none is. */
static zoo_status fill(batch_run *r, zoo_error *err)
{
    while (!r->at_end && r->n_submitted < SUBMITTED_MAX && !atomic_load(&r->task->stop)) {
        zoo_line *line;
        ZOO_TRY(zoo_reader_next(r->reader, r->n_submitted == 0, &line, &r->at_end, err));
        if (!line) {
            return ZOO_OK;
        }
        ZOO_TRY(take_line(r, line, err));
    }
    return ZOO_OK;
}

/* ---- out of the queue ---- */

static void free_submitted(batch_run *r, submitted *f)
{
    submitted **link = &r->all_submitted;
    while (*link != f) {
        link = &(*link)->next;
    }
    *link = f->next;
    r->n_submitted--;
    zoo_live_release(r->task->options->live, f->live);
    zoo_line_free(f->line);
    zoo_mem_free(f);
}

/* A cancelled row gets no line: it runs when the batch is resumed. Lack of memory is not the row's
 * fault and ends the batch. */
static zoo_status write_submitted(batch_run *r, const submitted *f, zoo_error *err)
{
    zoo_answer answer;
    zoo_error why = {0};
    zoo_status status = zoo_live_answer(f->live, &answer, &why);
    if (status == ZOO_E_CANCELLED) {
        return ZOO_OK;
    }
    if (status == ZOO_E_MEMORY || status == ZOO_E_IO) {
        return zoo_fail(err, status, "line %llu: %s", (unsigned long long)f->line->number,
                        why.text);
    }
    if (status != ZOO_OK) {
        return write_refusal(r, f->line, answer.request, &why, err);
    }
    answer.shows_cached = false;
    answer.created = 0;
    r->out.n = 0;
    zoo_result_line(&r->out, &answer);
    if (r->out.failed) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a line of output");
    }
    r->counts->n_results++;
    return zoo_journal_result(r->journal, r->out.data, r->out.n, err);
}

/* Takes the list of finished requests; waits up to WAIT_MS for one. */
static submitted *wait_done(batch_run *r)
{
    struct timespec until;
    submitted *done;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    (void)pthread_mutex_lock(&r->lock);
    if (!r->done && r->n_submitted > 0) {
        (void)pthread_cond_timedwait(&r->ended, &r->lock, &until);
    }
    done = r->done;
    r->done = NULL;
    (void)pthread_mutex_unlock(&r->lock);
    return done;
}

static zoo_status collect(batch_run *r, zoo_error *err)
{
    zoo_status status = ZOO_OK;
    submitted *next;
    for (submitted *f = wait_done(r); f; f = next) {
        next = f->next_done;
        if (status == ZOO_OK) {
            status = write_submitted(r, f, err);
        }
        free_submitted(r, f);
    }
    return status;
}

static void cancel_submitted(batch_run *r)
{
    for (submitted *f = r->all_submitted; f && !r->is_cancelled; f = f->next) {
        zoo_live_cancel(r->task->options->live, f->live);
    }
    r->is_cancelled = true;
}

static zoo_status run_rows(batch_run *r, zoo_error *err)
{
    while (!r->at_end || r->n_submitted > 0) {
        if (atomic_load(&r->task->stop)) {
            cancel_submitted(r);
            r->at_end = true;
        }
        ZOO_TRY(fill(r, err));
        ZOO_TRY(collect(r, err));
        ZOO_TRY(zoo_journal_check(r->journal, err));
        r->task->progress(r->task->arg, r->counts);
    }
    return ZOO_OK;
}

/* ---- beginning and end ---- */

static zoo_status open_journal(batch_run *r, const char *input, zoo_journal_key *key,
                               zoo_error *err)
{
    const zoo_batch_task *t = r->task;
    char output[4096], errors[4096], name[ZOO_STORE_ID];
    const char *others[] = {input, NULL};
    (void)snprintf(name, sizeof name, "file-%.30s", t->id);
    if (!zoo_store_path(t->options->store, name, "-output", output) ||
        !zoo_store_path(t->options->store, name, "-errors", errors)) {
        return zoo_fail(err, ZOO_E_IO, "the name of the folder of files is too long");
    }
    zoo_journal_paths paths = {.results = output, .errors = errors, .others = others};
    zoo_input_hash(r->input, key->requests);
    ZOO_TRY(zoo_journal_open(&paths, key, &r->journal, err));
    ZOO_TRY(zoo_journal_set_engine(r->journal, key, err));
    r->counts->n_results = zoo_journal_n_results(r->journal);
    r->counts->n_errors = zoo_journal_n_errors(r->journal);
    return zoo_journal_keep(r->journal, NULL, err);
}

static zoo_status run_all(batch_run *r, zoo_error *err)
{
    const zoo_batches_options *o = r->task->options;
    char path[4096];
    zoo_journal_key key = o->key;
    if (!zoo_store_is_id(r->task->input) || !zoo_store_path(o->store, r->task->input, "", path)) {
        return zoo_fail(err, ZOO_E_USAGE, "there is no such file");
    }
    ZOO_TRY(zoo_input_open(path, NULL, &r->input, err));
    ZOO_TRY(zoo_input_rewind(r->input, o->line_bytes_max / 4, err));
    ZOO_TRY(zoo_input_scan(r->input, err));
    r->counts->n_lines = zoo_input_n_lines(r->input);
    ZOO_TRY(open_journal(r, path, &key, err));
    r->context = o->loaded->context;
    r->context.now = &r->now;
    (void)zoo_clock_parse(key.now, &r->now);
    zoo_reader_options options = {.source = zoo_input_source(r->input),
                                  .input = r->input,
                                  .name = r->task->input,
                                  .hash = key.requests,
                                  .context = &r->context,
                                  .done = zoo_journal_done(r->journal),
                                  .line_bytes_max = o->line_bytes_max,
                                  .bytes_max = o->bytes_max,
                                  .rows_max = UINT64_MAX,
                                  .seconds_max = o->seconds_max};
    ZOO_TRY(zoo_reader_start(&options, &r->reader, err));
    return run_rows(r, err);
}

zoo_status zoo_batch_task_run(zoo_batch_task *task, zoo_batch_counts *counts, zoo_error *err)
{
    batch_run r = {.task = task, .counts = counts};
    zoo_error ignored;
    zoo_status status;
    (void)pthread_mutex_init(&r.lock, NULL);
    (void)pthread_cond_init(&r.ended, NULL);
    status = run_all(&r, err);
    cancel_submitted(&r);
    while (r.all_submitted) {
        free_submitted(&r, r.all_submitted); /* waits for its end */
    }
    zoo_reader_stop(r.reader);
    (void)zoo_journal_close(r.journal, status == ZOO_OK ? err : &ignored);
    zoo_input_close(r.input);
    zoo_out_free(&r.out);
    (void)pthread_cond_destroy(&r.ended);
    (void)pthread_mutex_destroy(&r.lock);
    return status;
}
