/*
 * request.c: requests of an open model (lmzoo.h).
 *
 *   submit: body -> zoo_request -> live queue -> pieces of text in a list -> wait
 *
 * Pieces are written by the engine's threads and taken by the waiting one, under the request's
 * lock.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api_private.h"
#include "base/idmap.h"
#include "base/mem.h"
#include "base/thread.h"

typedef struct piece {
    uint32_t choice;
    size_t begin, n; /* of lmzoo_request.text */
} piece;

struct lmzoo_request {
    lmzoo_model *model;
    zoo_live_request *live;
    pthread_mutex_t lock;
    pthread_cond_t news;
    piece *pieces; /* [n_pieces], those before `taken` were handed out */
    size_t n_pieces, room, taken;
    zoo_text text;  /* of all pieces not taken */
    char *handed;   /* the text of the last event */
    zoo_out answer; /* null-terminated, once it was asked for */
    bool is_done, has_failed /* no memory for a piece */;
};

static bool reserve_piece(lmzoo_request *r, size_t n)
{
    size_t need = r->text.n + n + 1;
    if (r->n_pieces == r->room) {
        size_t room = r->room ? r->room * 2 : 16;
        piece *list = zoo_mem_realloc(r->pieces, room * sizeof *list);
        if (!list) {
            return false;
        }
        r->pieces = list;
        r->room = room;
    }
    if (need > r->text.capacity) {
        char *data = zoo_mem_realloc(r->text.data, 2 * need);
        if (!data) {
            return false;
        }
        r->text.data = data;
        r->text.capacity = 2 * need;
    }
    return true;
}

static void on_text(void *arg, uint32_t row, const char *text, size_t n)
{
    lmzoo_request *r = arg;
    (void)pthread_mutex_lock(&r->lock);
    if (reserve_piece(r, n)) {
        memcpy(r->text.data + r->text.n, text, n);
        r->pieces[r->n_pieces++] = (piece){row, r->text.n, n};
        r->text.n += n;
    } else {
        r->has_failed = true;
    }
    (void)pthread_cond_signal(&r->news);
    (void)pthread_mutex_unlock(&r->lock);
}

static void on_done(void *arg)
{
    lmzoo_request *r = arg;
    (void)pthread_mutex_lock(&r->lock);
    r->is_done = true;
    (void)pthread_cond_signal(&r->news);
    (void)pthread_mutex_unlock(&r->lock);
}

static lmzoo_request *new_request(lmzoo_model *model)
{
    lmzoo_request *r = zoo_mem_array(1, sizeof *r);
    if (!r) {
        return NULL;
    }
    r->model = model;
    (void)pthread_mutex_init(&r->lock, NULL);
    zoo_cond_start(&r->news);
    return r;
}

static void delete_request(lmzoo_request *r)
{
    (void)pthread_mutex_destroy(&r->lock);
    (void)pthread_cond_destroy(&r->news);
    zoo_mem_free(r->pieces);
    zoo_text_free(&r->text);
    zoo_mem_free(r->handed);
    zoo_out_free(&r->answer);
    zoo_mem_free(r);
}

/* Parsed, encoded and queued. */
static zoo_status enter(lmzoo_request *r, zoo_endpoint endpoint, const char *body, size_t n,
                        uint32_t flags, zoo_error *why)
{
    const zoo_request_context *context = &r->model->loaded.context;
    zoo_live_events events = {r, flags & LMZOO_STREAM ? on_text : NULL, on_done};
    zoo_request request = {0};
    cJSON *tree = NULL;
    zoo_id id = zoo_id_of(body, n, __atomic_add_fetch(&r->model->n_submitted, 1, __ATOMIC_RELAXED));
    zoo_status status = zoo_json_parse(body, n, "the request", &tree, why);
    if (status == ZOO_OK) {
        status = zoo_request_body(context, endpoint, tree, &request, why);
    }
    if (status == ZOO_OK) {
        status = zoo_request_encode(context, &request, why);
    }
    if (status == ZOO_OK) {
        status = zoo_live_submit(r->model->live, &request, id, &events, &r->live, why);
    }
    zoo_request_free(&request);
    return status;
}

int lmzoo_submit(lmzoo_model *model, int endpoint, const char *body, size_t n, uint32_t flags,
                 lmzoo_request **out, lmzoo_error *error)
{
    zoo_error why = {0};
    zoo_status status;
    lmzoo_request *r;
    *out = NULL;
    if (endpoint != LMZOO_COMPLETION && endpoint != LMZOO_CHAT) {
        return lmzoo_fail(error, LMZOO_E_USAGE, "endpoint %d is neither completion nor chat",
                          endpoint);
    }
    r = new_request(model);
    if (!r) {
        return lmzoo_fail(error, LMZOO_E_MEMORY, "no memory for a request");
    }
    status = enter(r, endpoint == LMZOO_CHAT ? ZOO_CHAT : ZOO_COMPLETIONS, body, n, flags, &why);
    if (status != ZOO_OK) {
        delete_request(r);
        return lmzoo_report(status, &why, error);
    }
    *out = r;
    return LMZOO_OK;
}

/* Waits for a piece or the end; false: timed out. The lock is held. */
static bool wait_for_news(lmzoo_request *r, int32_t timeout_ms)
{
    struct timespec until = zoo_cond_deadline(timeout_ms);
    while (r->taken == r->n_pieces && !r->is_done) {
        if (timeout_ms < 0) {
            (void)pthread_cond_wait(&r->news, &r->lock);
        } else if (pthread_cond_timedwait(&r->news, &r->lock, &until) != 0) {
            return r->taken < r->n_pieces || r->is_done;
        }
    }
    return true;
}

/* Joins the pieces of the next choice, as far as they follow each other. The lock is held. */
static bool take_text(lmzoo_request *r, lmzoo_event *event)
{
    const piece *first = &r->pieces[r->taken];
    size_t end = r->taken, n = 0;
    while (end < r->n_pieces && r->pieces[end].choice == first->choice) {
        n += r->pieces[end++].n;
    }
    zoo_mem_free(r->handed);
    r->handed = zoo_mem_text(r->text.data + first->begin, n);
    if (!r->handed) {
        return false;
    }
    *event = (lmzoo_event){LMZOO_TEXT, first->choice, r->handed, n};
    r->taken = end;
    if (r->taken == r->n_pieces) {
        r->taken = r->n_pieces = r->text.n = 0;
    }
    return true;
}

static int take_answer(lmzoo_request *r, lmzoo_event *event, lmzoo_error *error)
{
    zoo_answer answer;
    zoo_error why = {0};
    zoo_status status = zoo_live_answer(r->live, &answer, &why);
    if (status != ZOO_OK) {
        return lmzoo_report(status, &why, error);
    }
    if (r->answer.n == 0) {
        zoo_result_body(&r->answer, &answer);
        zoo_out_bytes(&r->answer, "", 1);
    }
    if (r->answer.failed || r->has_failed) {
        return lmzoo_fail(error, LMZOO_E_MEMORY, "no memory for the answer");
    }
    *event = (lmzoo_event){LMZOO_DONE, 0, r->answer.data, r->answer.n - 1};
    return LMZOO_OK;
}

int lmzoo_wait(lmzoo_request *r, int32_t timeout_ms, lmzoo_event *event, lmzoo_error *error)
{
    int code = LMZOO_OK;
    bool has_text = false;
    memset(event, 0, sizeof *event);
    (void)pthread_mutex_lock(&r->lock);
    if (!wait_for_news(r, timeout_ms)) {
        (void)pthread_mutex_unlock(&r->lock);
        return LMZOO_OK;
    }
    if (r->taken < r->n_pieces) {
        has_text = true;
        code = take_text(r, event)
                   ? LMZOO_OK
                   : lmzoo_fail(error, LMZOO_E_MEMORY, "no memory for a piece of text");
    }
    (void)pthread_mutex_unlock(&r->lock);
    return has_text ? code : take_answer(r, event, error);
}

void lmzoo_cancel(lmzoo_request *r)
{
    zoo_live_cancel(r->model->live, r->live);
}

void lmzoo_request_free(lmzoo_request *r)
{
    if (r) {
        zoo_live_release(r->model->live, r->live);
        delete_request(r);
    }
}

int lmzoo_generate(lmzoo_model *model, int endpoint, const char *body, lmzoo_text_fn *on_piece,
                   void *arg, char **answer, lmzoo_error *error)
{
    lmzoo_request *r;
    lmzoo_event event = {0};
    int code =
        lmzoo_submit(model, endpoint, body, strlen(body), on_piece ? LMZOO_STREAM : 0, &r, error);
    *answer = NULL;
    if (code != LMZOO_OK) {
        return code;
    }
    while (code == LMZOO_OK && event.kind != LMZOO_DONE) {
        code = lmzoo_wait(r, -1, &event, error);
        if (code == LMZOO_OK && event.kind == LMZOO_TEXT &&
            on_piece(arg, event.choice, event.text, event.n) != 0) {
            lmzoo_cancel(r);
        }
    }
    if (code == LMZOO_OK) {
        *answer = zoo_mem_text(event.text, event.n);
        code = *answer ? code : lmzoo_fail(error, LMZOO_E_MEMORY, "no memory for the answer");
    }
    lmzoo_request_free(r);
    return code;
}
