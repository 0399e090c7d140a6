/* reader.c: the reading thread and its queue (reader.h). */
#include "batch/reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Enough to fill the scheduler's window twice; tokens bound the memory of long prompts. */
enum { QUEUE_MAX = 512, QUEUE_TOKENS_MAX = 1 << 23, LINE_BYTES_MAX = 1 << 28 };

struct zoo_reader {
    FILE *file;
    const char *path;
    const zoo_request_context *context;
    const zoo_idmap *done;
    zoo_idmap custom_ids;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    zoo_line *first, *last; /* of the queue */
    size_t n_queued, n_tokens;
    bool ended, stopped;
    zoo_status status; /* why it ended */
    zoo_error error;
};

zoo_id zoo_line_id(const char *text, size_t n, uint64_t number)
{
    return zoo_id_of(text, n, number);
}

void zoo_line_free(zoo_line *line)
{
    if (line) {
        zoo_request_free(&line->request);
        zoo_mem_free(line);
    }
}

static size_t tokens_of(const zoo_line *line)
{
    size_t n = 0;
    for (uint32_t i = 0; i < line->request.n_prompts; i++) {
        n += line->request.prompts[i].n_tokens;
    }
    return n;
}

/* Waits for room; false when nobody reads any more. */
static bool push(zoo_reader *r, zoo_line *line)
{
    bool stopped;
    size_t n_tokens = tokens_of(line);
    (void)pthread_mutex_lock(&r->mutex);
    while (!r->stopped && r->n_queued > 0 &&
           (r->n_queued >= QUEUE_MAX || r->n_tokens + n_tokens > QUEUE_TOKENS_MAX)) {
        (void)pthread_cond_wait(&r->changed, &r->mutex);
    }
    stopped = r->stopped;
    if (!stopped) {
        *(r->last ? &r->last->next : &r->first) = line;
        r->last = line;
        r->n_queued++;
        r->n_tokens += n_tokens;
        (void)pthread_cond_broadcast(&r->changed);
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return !stopped;
}

/* Whether an earlier line has the custom_id; it is remembered. */
static zoo_status note_custom_id(zoo_reader *r, zoo_id custom_id, bool *fresh, zoo_error *err)
{
    return zoo_idmap_add(&r->custom_ids, custom_id, (zoo_id){{0, 0}}, fresh, err);
}

/* The line's number is said once, by the refusal; the JSON of a line has one line. */
static void cut_name(zoo_error *err, const char *name, zoo_status status)
{
    size_t n = strlen(name);
    if (status != ZOO_OK && strncmp(err->text, name, n) == 0) {
        n += strncmp(err->text + n, ", line 1, ", 10) == 0 ? 10 : 2;
        memmove(err->text, err->text + n, strlen(err->text + n) + 1);
    }
}

static zoo_status judge(zoo_reader *r, const char *text, size_t n, zoo_line *line)
{
    char name[32];
    bool fresh = true;
    zoo_request *request = &line->request;
    zoo_status status;
    (void)snprintf(name, sizeof name, "line %llu", (unsigned long long)line->number);
    status = zoo_request_parse(r->context, text, n, name, request, &line->error);
    cut_name(&line->error, name, status);
    if (request->custom_id) {
        zoo_id id = zoo_id_of(request->custom_id, strlen(request->custom_id), 0);
        ZOO_TRY(note_custom_id(r, id, &fresh, &line->error));
    }
    if (!fresh) {
        line->is_duplicate = true;
        return zoo_request_refuse(request, "custom_id", ZOO_E_USAGE, &line->error,
                                  "the custom_id \"%.60s\" stands on an earlier line too",
                                  request->custom_id);
    }
    return status == ZOO_OK ? zoo_request_encode(r->context, request, &line->error) : status;
}

static bool is_blank(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!strchr(" \t\r\n", text[i]) || text[i] == 0) {
            return false;
        }
    }
    return true;
}

/* One line of the file; false ends the thread. */
static bool take(zoo_reader *r, const char *text, size_t n, uint64_t number)
{
    zoo_id id = zoo_line_id(text, n, number);
    const zoo_id *custom_id = zoo_idmap_find(r->done, id);
    zoo_line *line;
    bool fresh;
    if (custom_id) {
        r->status = note_custom_id(r, *custom_id, &fresh, &r->error);
        return r->status == ZOO_OK;
    }
    line = zoo_mem_array(1, sizeof *line);
    if (!line) {
        r->status = zoo_fail(&r->error, ZOO_E_MEMORY, "%s: no memory for line %llu", r->path,
                             (unsigned long long)number);
        return false;
    }
    line->number = number;
    line->id = id;
    if (n > LINE_BYTES_MAX) {
        line->status = zoo_fail(&line->error, ZOO_E_LIMIT, "the line has %zu bytes, more than %d",
                                n, LINE_BYTES_MAX);
    } else {
        line->status = judge(r, text, n, line);
    }
    if (line->status == ZOO_E_MEMORY) {
        /* No fault of the line: the run ends and can be resumed. */
        r->status = zoo_fail(&r->error, ZOO_E_MEMORY, "%s, line %llu: %s", r->path,
                             (unsigned long long)number, line->error.text);
        zoo_line_free(line);
        return false;
    }
    if (!push(r, line)) {
        zoo_line_free(line);
        return false;
    }
    return true;
}

static void *read_all(void *arg)
{
    zoo_reader *r = arg;
    char *text = NULL;
    size_t capacity = 0;
    uint64_t number = 0;
    ssize_t n;
    while ((n = getline(&text, &capacity, r->file)) >= 0) {
        size_t length = (size_t)n;
        number++;
        length -= length > 0 && text[length - 1] == '\n';
        if (!is_blank(text, length) && !take(r, text, length, number)) {
            break;
        }
    }
    if (n < 0 && ferror(r->file)) {
        r->status = zoo_fail(&r->error, ZOO_E_IO, "%s: %s", r->path, strerror(errno));
    }
    free(text);
    (void)pthread_mutex_lock(&r->mutex);
    r->ended = true;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->mutex);
    return NULL;
}

zoo_status zoo_reader_start(const char *path, const zoo_request_context *context,
                            const zoo_idmap *done, zoo_reader **out, zoo_error *err)
{
    zoo_reader *r = zoo_mem_array(1, sizeof *r);
    *out = NULL;
    if (!r) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the reader");
    }
    r->path = path;
    r->context = context;
    r->done = done;
    r->file = fopen(path, "rb");
    if (!r->file) {
        zoo_mem_free(r);
        return zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
    }
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_cond_init(&r->changed, NULL);
    if (pthread_create(&r->thread, NULL, read_all, r) != 0) {
        (void)fclose(r->file);
        zoo_mem_free(r);
        return zoo_fail(err, ZOO_E_MEMORY, "no thread for the reader");
    }
    *out = r;
    return ZOO_OK;
}

zoo_status zoo_reader_next(zoo_reader *r, zoo_line **line, zoo_error *err)
{
    zoo_status status = ZOO_OK;
    (void)pthread_mutex_lock(&r->mutex);
    while (!r->first && !r->ended) {
        (void)pthread_cond_wait(&r->changed, &r->mutex);
    }
    *line = r->first;
    if (r->first) {
        r->first = r->first->next;
        r->last = r->first ? r->last : NULL;
        (*line)->next = NULL;
        r->n_queued--;
        r->n_tokens -= tokens_of(*line);
        (void)pthread_cond_broadcast(&r->changed);
    } else if (r->status != ZOO_OK) {
        status = r->status;
        if (err) {
            *err = r->error;
        }
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return status;
}

void zoo_reader_stop(zoo_reader *r)
{
    if (!r) {
        return;
    }
    (void)pthread_mutex_lock(&r->mutex);
    r->stopped = true;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->mutex);
    (void)pthread_join(r->thread, NULL);
    while (r->first) {
        zoo_line *line = r->first;
        r->first = line->next;
        zoo_line_free(line);
    }
    (void)fclose(r->file);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->mutex);
    zoo_idmap_free(&r->custom_ids);
    zoo_mem_free(r);
}
