/*
 * live.c: the queue, its thread and the requests in it (live.h).
 *
 * Requests give their rows to the scheduler in turn, one row each, and a request has no more rows
 * there than twice as many as can run. So one of many rows does not hold up the others.
 */
#include "batch/live.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/thread.h"
#include "batch/constraint.h"
#include "batch/request_rows.h"

/* A row is passed by no more rows that came later. */
enum { PASSES_MAX = 32 };

typedef enum live_state { LIVE_QUEUED, LIVE_RUNNING, LIVE_DONE } live_state;

typedef struct live_row {
    zoo_row row; /* first: a row popped from the scheduler is one of these */
    zoo_live_request *request;
    uint32_t index;
} live_row;

struct zoo_live_request {
    zoo_request request;
    zoo_id id;
    int64_t created;
    zoo_live_events events;
    zoo_answer answer;
    zoo_row *rows; /* [n_rows]: what the answer shows; copies of live_rows when done */
    live_row *live_rows;
    uint32_t n_rows, n_left;
    uint32_t n_given;  /* rows that the scheduler has or had, the first ones */
    live_state state;  /* under the lock */
    bool is_cancelled; /* under the lock: asked for */
    zoo_status status;
    zoo_error error;
    zoo_live_request *previous, *next; /* of the queue or of those that run */
};

struct zoo_live {
    const zoo_chat_model *loaded;
    zoo_schedule *schedule;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;            /* something to do for the thread */
    pthread_cond_t ended;           /* a request ended */
    pthread_cond_t held;            /* the thread stands between two steps, or goes on */
    zoo_live_request *first, *last; /* queue: requests with rows that are not given */
    zoo_live_request *running;      /* list of the others; changed by the thread alone */
    zoo_schedule_stats stats;       /* after the last step */
    zoo_kept_file *store;           /* null: what is kept goes with the process */
    uint32_t n_queued;              /* requests in the queue */
    uint32_t n_waiting;             /* their rows that are not given */
    uint32_t n_pauses;
    bool has_cancelled; /* a running request is to be cancelled */
    bool is_held, is_stopping;
};

/* ---- requests ---- */

static void free_request(zoo_live_request *r)
{
    for (uint32_t i = 0; r->live_rows && i < r->n_rows; i++) {
        zoo_row_free(&r->live_rows[i].row);
    }
    zoo_mem_free(r->live_rows);
    zoo_mem_free(r->rows);
    zoo_request_free(&r->request);
    zoo_mem_free(r);
}

static void on_text(void *arg, const char *text, size_t n)
{
    live_row *row = arg;
    row->request->events.text(row->request->events.arg, row->index, text, n);
}

static zoo_status make_rows(const zoo_live *live, zoo_live_request *r, zoo_error *err)
{
    const uint32_t *hidden = r->request.endpoint == ZOO_CHAT ? live->loaded->hidden : NULL;
    r->n_rows = r->n_left = r->request.n_prompts * r->request.n_choices;
    r->rows = zoo_mem_array(r->n_rows, sizeof *r->rows);
    r->live_rows = zoo_mem_array(r->n_rows, sizeof *r->live_rows);
    if (!r->rows || !r->live_rows) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a request of %u rows", r->n_rows);
    }
    zoo_request_rows(&r->request, hidden, r->rows, r);
    for (uint32_t i = 0; i < r->n_rows; i++) {
        live_row *row = &r->live_rows[i];
        row->row = r->rows[i];
        row->request = r;
        row->index = i;
        row->row.on_text = r->events.text ? on_text : NULL;
        row->row.arg = row;
        ZOO_TRY(zoo_constraint_begin(r->request.grammar, &row->row, err));
    }
    return ZOO_OK;
}

/* The lock is held. */
static void enqueue(zoo_live *live, zoo_live_request *r)
{
    r->previous = live->last;
    *(live->last ? &live->last->next : &live->first) = r;
    live->last = r;
    live->n_queued++;
}

zoo_status zoo_live_make(zoo_live *live, zoo_request *request, zoo_id id,
                         const zoo_live_events *events, zoo_live_request **out, zoo_error *err)
{
    zoo_live_request *r = zoo_mem_array(1, sizeof *r);
    zoo_status status;
    *out = NULL;
    if (!r) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a request");
    }
    r->request = *request;
    r->id = id;
    r->created = (int64_t)time(NULL);
    r->events = *events;
    status = make_rows(live, r, err);
    if (status != ZOO_OK) {
        memset(&r->request, 0, sizeof r->request);
        free_request(r);
        return status;
    }
    memset(request, 0, sizeof *request);
    *out = r;
    return ZOO_OK;
}

void zoo_live_start(zoo_live *live, zoo_live_request *r)
{
    (void)pthread_mutex_lock(&live->lock);
    enqueue(live, r);
    live->n_waiting += r->n_rows;
    live->has_cancelled |= r->is_cancelled;
    (void)pthread_cond_signal(&live->work);
    (void)pthread_mutex_unlock(&live->lock);
}

zoo_status zoo_live_submit(zoo_live *live, zoo_request *request, zoo_id id,
                           const zoo_live_events *events, zoo_live_request **out, zoo_error *err)
{
    ZOO_TRY(zoo_live_make(live, request, id, events, out, err));
    zoo_live_start(live, *out);
    return ZOO_OK;
}

void zoo_live_cancel(zoo_live *live, zoo_live_request *r)
{
    (void)pthread_mutex_lock(&live->lock);
    if (r->state != LIVE_DONE) {
        r->is_cancelled = true;
        live->has_cancelled = true;
        (void)pthread_cond_signal(&live->work);
    }
    (void)pthread_mutex_unlock(&live->lock);
}

void zoo_live_release(zoo_live *live, zoo_live_request *r)
{
    zoo_live_cancel(live, r);
    (void)pthread_mutex_lock(&live->lock);
    while (r->state != LIVE_DONE) {
        (void)pthread_cond_wait(&live->ended, &live->lock);
    }
    (void)pthread_mutex_unlock(&live->lock);
    free_request(r);
}

const zoo_row *zoo_live_row(const zoo_live_request *r, uint32_t row)
{
    return &r->live_rows[row].row;
}

void zoo_live_head(const zoo_live *live, const zoo_live_request *r, zoo_answer *answer)
{
    *answer = (zoo_answer){.request = &r->request,
                           .id = r->id,
                           .model = live->loaded->name,
                           .tokenizer = live->loaded->tokenizer,
                           .marks = live->loaded->marks,
                           .shows_cached = true,
                           .created = r->created,
                           .format = live->loaded->format};
}

zoo_status zoo_live_answer(const zoo_live_request *r, zoo_answer *answer, zoo_error *err)
{
    *answer = r->answer;
    if (r->status != ZOO_OK && err) {
        *err = r->error;
    }
    return r->status;
}

/* ---- the thread; what follows runs there ---- */

static void unlink_request(zoo_live_request **first, zoo_live_request **last, zoo_live_request *r)
{
    *(r->previous ? &r->previous->next : first) = r->next;
    if (r->next) {
        r->next->previous = r->previous;
    } else if (last) {
        *last = r->previous;
    }
    r->previous = r->next = NULL;
}

/* The request's rows are settled, or none was given to the scheduler. The lock is held. */
static void end_request(zoo_live *live, zoo_live_request *r)
{
    for (uint32_t i = 0; i < r->n_rows; i++) {
        r->rows[i] = r->live_rows[i].row;
        if (r->rows[i].finish == ZOO_FINISH_FAILED && r->status == ZOO_OK) {
            r->status = (zoo_status)r->rows[i].error.code;
            r->error = r->rows[i].error;
        }
    }
    zoo_live_head(live, r, &r->answer);
    r->answer.rows = r->rows;
    r->answer.n_rows = r->n_rows;
    if (r->events.done) {
        r->events.done(r->events.arg);
    }
    r->state = LIVE_DONE;
    (void)pthread_cond_broadcast(&live->ended);
}

/* Ends a request none of whose rows the scheduler holds. The lock is held. */
static void refuse(zoo_live *live, zoo_live_request *r, zoo_status status, const char *why)
{
    if (r->status == ZOO_OK) {
        r->status = zoo_fail(&r->error, status, "%s", why);
    }
    for (uint32_t i = 0; i < r->n_rows; i++) {
        zoo_row_settle(&r->live_rows[i].row);
    }
    end_request(live, r);
}

/* Takes the request out of the queue; its other rows are not given. The lock is held. */
static void dequeue(zoo_live *live, zoo_live_request *r)
{
    unlink_request(&live->first, &live->last, r);
    live->n_queued--;
    live->n_waiting -= r->n_rows - r->n_given;
}

/* The scheduler has all rows that the request gives. The lock is held. */
static void enter_running(zoo_live *live, zoo_live_request *r)
{
    r->state = LIVE_RUNNING;
    r->next = live->running;
    if (r->next) {
        r->next->previous = r;
    }
    live->running = r;
    if (r->n_left == 0) {
        unlink_request(&live->running, NULL, r);
        end_request(live, r);
    }
}

/* Gives the next row of the first request, which then goes to the end of the queue or, behind its
 * last row, out of it. The lock is held. */
static void give_row(zoo_live *live)
{
    zoo_live_request *r = live->first;
    live_row *row = &r->live_rows[r->n_given];
    zoo_error why;
    dequeue(live, r);
    r->n_given++;
    if (zoo_schedule_add(live->schedule, &row->row, &why) != ZOO_OK) {
        row->row.finish = ZOO_FINISH_FAILED;
        row->row.error = why;
        r->n_left--;
    }
    if (r->n_given < r->n_rows) {
        enqueue(live, r);
        live->n_waiting += r->n_rows - r->n_given;
    } else {
        enter_running(live, r);
    }
}

/* Gives the scheduler what it wants, a row of each request in turn. The lock is held. */
static void give_rows(zoo_live *live)
{
    uint32_t most = 2 * zoo_engine_limits(live->loaded->engine)->seqs_max;
    uint32_t n_full = 0; /* requests at the queue's end that have their share */
    while (n_full < live->n_queued && zoo_schedule_wants_more(live->schedule)) {
        zoo_live_request *r = live->first;
        uint32_t n_ended = r->n_rows - r->n_left;
        if (r->n_given - n_ended < most) {
            n_full = 0;
            give_row(live);
        } else {
            unlink_request(&live->first, &live->last, r);
            live->n_queued--;
            enqueue(live, r);
            n_full++;
        }
    }
}

/* Ends the rows that the scheduler has; the others never run. The lock is held. */
static void cancel(zoo_live *live, zoo_live_request *r)
{
    uint32_t n_given = r->n_given;
    if (r->state == LIVE_QUEUED) {
        dequeue(live, r);
        if (n_given == 0) {
            refuse(live, r, ZOO_E_CANCELLED, "cancelled before it ran");
            return;
        }
        for (; r->n_given < r->n_rows; r->n_given++, r->n_left--) {
            zoo_row *row = &r->live_rows[r->n_given].row;
            zoo_row_settle(row);
            row->finish = ZOO_FINISH_FAILED;
            (void)zoo_fail(&row->error, ZOO_E_CANCELLED, "cancelled before it ran");
        }
        enter_running(live, r);
    }
    for (uint32_t i = 0; r->state == LIVE_RUNNING && i < n_given; i++) {
        zoo_schedule_cancel(live->schedule, &r->live_rows[i].row);
    }
}

/* The lock is held. */
static void cancel_all(zoo_live *live)
{
    zoo_live_request *next;
    for (int i = 0; i < 2 && live->has_cancelled; i++) {
        for (zoo_live_request *r = i == 0 ? live->running : live->first; r; r = next) {
            next = r->next;
            if (r->is_cancelled) {
                cancel(live, r);
            }
        }
    }
    live->has_cancelled = false;
}

/* The lock is held. */
static void collect(zoo_live *live)
{
    zoo_row *row;
    while ((row = zoo_schedule_pop(live->schedule)) != NULL) {
        zoo_live_request *r = row->owner;
        if (--r->n_left == 0) {
            unlink_request(&live->running, NULL, r);
            end_request(live, r);
        }
    }
    live->stats = zoo_schedule_stats_get(live->schedule);
}

/* The engine failed or the queue closes: nothing runs on. The lock is held. */
static void end_all(zoo_live *live, zoo_status status, const char *why)
{
    zoo_schedule_free(live->schedule);
    live->schedule = NULL;
    while (live->running) {
        zoo_live_request *r = live->running;
        unlink_request(&live->running, NULL, r);
        refuse(live, r, status, why);
    }
    while (live->first) {
        zoo_live_request *r = live->first;
        dequeue(live, r);
        refuse(live, r, status, why);
    }
}

/* Waits for work; false: the queue closes. The lock is held. */
static bool wait_for_work(zoo_live *live)
{
    while (!live->is_stopping &&
           (live->n_pauses > 0 || !live->schedule ||
            (!live->first && !live->has_cancelled && zoo_schedule_is_idle(live->schedule)))) {
        live->is_held = true;
        (void)pthread_cond_broadcast(&live->held);
        if (!live->schedule && live->first) {
            end_all(live, ZOO_E_INTERNAL, "the engine failed before");
        }
        (void)pthread_cond_wait(&live->work, &live->lock);
    }
    live->is_held = false;
    return !live->is_stopping;
}

static void *run(void *arg)
{
    zoo_live *live = arg;
    zoo_error err = {0};
    (void)pthread_mutex_lock(&live->lock);
    while (wait_for_work(live)) {
        zoo_status status;
        cancel_all(live);
        give_rows(live);
        (void)pthread_mutex_unlock(&live->lock);
        status = zoo_schedule_step(live->schedule, &err);
        (void)pthread_mutex_lock(&live->lock);
        collect(live);
        if (status != ZOO_OK) {
            end_all(live, status, err.text);
        }
    }
    if (live->store && live->schedule) {
        zoo_schedule_save(live->schedule, live->store);
    }
    end_all(live, ZOO_E_CANCELLED, "the model was closed");
    live->is_held = true;
    (void)pthread_cond_broadcast(&live->held);
    (void)pthread_mutex_unlock(&live->lock);
    return NULL;
}

/* ---- the queue ---- */

zoo_status zoo_live_new(const zoo_chat_model *loaded, zoo_live **out, zoo_error *err)
{
    zoo_live *live = zoo_mem_array(1, sizeof *live);
    zoo_status status;
    *out = NULL;
    if (!live) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the queue of requests");
    }
    live->loaded = loaded;
    status = zoo_schedule_new(loaded->engine, loaded->tokenizer, &loaded->generation,
                              &live->schedule, err);
    if (status == ZOO_OK) {
        zoo_schedule_turns(live->schedule, PASSES_MAX);
        status = zoo_schedule_speculate(live->schedule, &loaded->speculation, err);
    }
    if (status != ZOO_OK) {
        zoo_schedule_free(live->schedule);
        zoo_mem_free(live);
        return status;
    }
    (void)pthread_mutex_init(&live->lock, NULL);
    (void)pthread_cond_init(&live->work, NULL);
    (void)pthread_cond_init(&live->ended, NULL);
    (void)pthread_cond_init(&live->held, NULL);
    if (!zoo_thread_start(&live->thread, run, live)) {
        zoo_schedule_free(live->schedule);
        zoo_mem_free(live);
        return zoo_fail(err, ZOO_E_IO, "the thread that runs requests cannot be started");
    }
    *out = live;
    return ZOO_OK;
}

void zoo_live_keep(zoo_live *live, double share)
{
    (void)pthread_mutex_lock(&live->lock);
    zoo_schedule_keep(live->schedule, share);
    (void)pthread_mutex_unlock(&live->lock);
}

void zoo_live_store(zoo_live *live, zoo_kept_file *file)
{
    (void)pthread_mutex_lock(&live->lock);
    zoo_schedule_load(live->schedule, file);
    live->store = file;
    (void)pthread_mutex_unlock(&live->lock);
}

void zoo_live_free(zoo_live *live)
{
    if (!live) {
        return;
    }
    (void)pthread_mutex_lock(&live->lock);
    live->is_stopping = true;
    (void)pthread_cond_signal(&live->work);
    (void)pthread_mutex_unlock(&live->lock);
    (void)pthread_join(live->thread, NULL);
    (void)pthread_cond_destroy(&live->work);
    (void)pthread_cond_destroy(&live->ended);
    (void)pthread_cond_destroy(&live->held);
    (void)pthread_mutex_destroy(&live->lock);
    zoo_mem_free(live);
}

void zoo_live_pause(zoo_live *live)
{
    (void)pthread_mutex_lock(&live->lock);
    while (live->n_pauses > 0) {
        (void)pthread_cond_wait(&live->held, &live->lock);
    }
    live->n_pauses = 1;
    (void)pthread_cond_signal(&live->work);
    while (!live->is_held) {
        (void)pthread_cond_wait(&live->held, &live->lock);
    }
    if (live->schedule) {
        zoo_schedule_drop_kept(live->schedule);
    }
    (void)pthread_mutex_unlock(&live->lock);
}

void zoo_live_resume(zoo_live *live)
{
    (void)pthread_mutex_lock(&live->lock);
    live->n_pauses = 0;
    (void)pthread_cond_signal(&live->work);
    (void)pthread_cond_broadcast(&live->held);
    (void)pthread_mutex_unlock(&live->lock);
}

zoo_schedule_stats zoo_live_stats(zoo_live *live)
{
    zoo_schedule_stats stats;
    (void)pthread_mutex_lock(&live->lock);
    stats = live->stats;
    stats.n_waiting += live->n_waiting;
    (void)pthread_mutex_unlock(&live->lock);
    return stats;
}
