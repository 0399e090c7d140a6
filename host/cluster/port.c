/* port.c: see port.h. */
#include "cluster/port.h"

#include <pthread.h>
#include <string.h>

#include "base/budget.h"
#include "base/mem.h"
#include "base/thread.h"

#define PROGRESS_SECONDS 0.1

typedef struct queue {
    zoo_message *first, *last;
} queue;

struct zoo_port {
    double reported; /* time of the last PROGRESS */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    queue rows, lines;
    bool ended;
    zoo_message *at_hand; /* the ROWS message that the reader is taking apart */
    size_t at;            /* bytes of it that are read */
};

static void push(queue *q, zoo_message *m)
{
    m->next = NULL;
    *(q->last ? &q->last->next : &q->first) = m;
    q->last = m;
}

static zoo_message *pop(queue *q)
{
    zoo_message *m = q->first;
    if (m) {
        q->first = m->next;
        q->last = q->first ? q->last : NULL;
    }
    return m;
}

zoo_status zoo_port_new(zoo_port **out, zoo_error *err)
{
    zoo_port *port = zoo_mem_array(1, sizeof *port);
    *out = port;
    if (!port) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the queue of a rank");
    }
    (void)pthread_mutex_init(&port->mutex, NULL);
    zoo_cond_start(&port->changed);
    return ZOO_OK;
}

void zoo_port_free(zoo_port *port)
{
    zoo_message *m;
    if (!port) {
        return;
    }
    while ((m = pop(&port->rows)) || (m = pop(&port->lines))) {
        zoo_mem_free(m);
    }
    zoo_mem_free(port->at_hand);
    (void)pthread_cond_destroy(&port->changed);
    (void)pthread_mutex_destroy(&port->mutex);
    zoo_mem_free(port);
}

void zoo_port_give(zoo_port *port, zoo_message *rows)
{
    (void)pthread_mutex_lock(&port->mutex);
    push(&port->rows, rows);
    (void)pthread_cond_broadcast(&port->changed);
    (void)pthread_mutex_unlock(&port->mutex);
}

void zoo_port_end(zoo_port *port)
{
    (void)pthread_mutex_lock(&port->mutex);
    port->ended = true;
    (void)pthread_cond_broadcast(&port->changed);
    (void)pthread_mutex_unlock(&port->mutex);
}

zoo_message *zoo_port_take(zoo_port *port, double seconds)
{
    struct timespec until = zoo_cond_deadline((int32_t)(seconds * 1000));
    (void)pthread_mutex_lock(&port->mutex);
    if (!port->lines.first && seconds > 0.0) {
        (void)pthread_cond_timedwait(&port->changed, &port->mutex, &until);
    }
    zoo_message *m = pop(&port->lines);
    (void)pthread_mutex_unlock(&port->mutex);
    return m;
}

zoo_status zoo_port_post(zoo_port *port, zoo_message *message, zoo_error *err)
{
    if (!message) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a finished line");
    }
    (void)pthread_mutex_lock(&port->mutex);
    push(&port->lines, message);
    (void)pthread_cond_broadcast(&port->changed);
    (void)pthread_mutex_unlock(&port->mutex);
    return ZOO_OK;
}

/* ---- the side of the batch ---- */

static zoo_status begin(void *arg, size_t line_max, zoo_error *err)
{
    (void)arg;
    (void)line_max;
    (void)err;
    return ZOO_OK;
}

/* Waits for rows; false: no more come. */
static bool next_message(zoo_port *port)
{
    zoo_mem_free(port->at_hand);
    port->at = 0;
    (void)pthread_mutex_lock(&port->mutex);
    while (!port->rows.first && !port->ended) {
        (void)pthread_cond_wait(&port->changed, &port->mutex);
    }
    port->at_hand = pop(&port->rows);
    (void)pthread_mutex_unlock(&port->mutex);
    return port->at_hand != NULL;
}

static zoo_status next(void *arg, zoo_input_line *line, bool *more, zoo_error *err)
{
    zoo_port *port = arg;
    zoo_row_head head;
    *more = (port->at_hand && port->at < port->at_hand->n) || next_message(port);
    if (!*more) {
        return ZOO_OK;
    }
    size_t left = port->at_hand->n - port->at;
    if (left < sizeof head) {
        return zoo_fail(err, ZOO_E_INTERNAL, "a message of rows is truncated");
    }
    memcpy(&head, port->at_hand->data + port->at, sizeof head);
    port->at += sizeof head;
    if (head.has_text && head.n > left - sizeof head) {
        return zoo_fail(err, ZOO_E_INTERNAL, "a message of rows is truncated");
    }
    *line = (zoo_input_line){.text = head.has_text ? port->at_hand->data + port->at : NULL,
                             .n = head.n,
                             .number = head.number,
                             .id = head.id,
                             .is_duplicate = head.is_duplicate};
    port->at += head.has_text ? head.n : 0;
    return ZOO_OK;
}

static void stop(void *arg)
{
    zoo_port_end(arg);
}

zoo_line_source zoo_port_source(zoo_port *port)
{
    return (zoo_line_source){
        .arg = port, .knows_duplicates = true, .begin = begin, .next = next, .stop = stop};
}

static zoo_status put(void *arg, const zoo_finished *line, zoo_error *err)
{
    zoo_port *port = arg;
    zoo_line_head head = {line->number, line->is_error, line->kind, line->cost};
    zoo_message *m = zoo_message_new(ZOO_MESSAGE_LINE, sizeof head + line->n);
    if (m) {
        memcpy(m->data, &head, sizeof head);
        memcpy(m->data + sizeof head, line->text, line->n);
    }
    return zoo_port_post(port, m, err);
}

static void step(void *arg, const zoo_schedule_stats *stats)
{
    zoo_port *port = arg;
    double now = zoo_clock_seconds();
    if (now - port->reported < PROGRESS_SECONDS) {
        return;
    }
    zoo_message *m = zoo_message_new(ZOO_MESSAGE_PROGRESS, sizeof *stats);
    if (m) {
        memcpy(m->data, stats, sizeof *stats);
        (void)zoo_port_post(port, m, NULL);
        port->reported = now;
    }
}

zoo_batch_sink zoo_port_sink(zoo_port *port)
{
    return (zoo_batch_sink){.arg = port, .put = put, .step = step};
}
