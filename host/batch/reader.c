/* reader.c: the reading thread, its queue and the budget of each line (reader.h). */
#include "batch/reader.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "batch/request_rows.h"

/* Enough to fill the scheduler's window twice. */
enum { QUEUE_MAX = 512, SETTLE_BYTES = 1 << 20 };

struct zoo_reader {
    zoo_reader_options o;
    zoo_idmap custom_ids;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    zoo_line *first, *last; /* of the queue */
    size_t n_queued;
    size_t bytes; /* of all lines that are not freed */
    uint64_t n_given;
    bool ended;
    atomic_bool stopped;
    zoo_status status; /* why it ended */
    zoo_error error;
};

void zoo_line_free(zoo_line *line)
{
    zoo_reader *r = line ? line->reader : NULL;
    if (r) {
        size_t bytes = line->bytes;
        zoo_request_free(&line->request);
        zoo_mem_free(line);
        if (bytes > SETTLE_BYTES) {
            zoo_mem_trim();
        }
        (void)pthread_mutex_lock(&r->mutex);
        r->bytes -= bytes;
        (void)pthread_cond_broadcast(&r->changed);
        (void)pthread_mutex_unlock(&r->mutex);
    }
}

/* Waits for room for one more line; false when the reader is being stopped. */
static bool wait_for_room(zoo_reader *r)
{
    bool stopped;
    (void)pthread_mutex_lock(&r->mutex);
    while (!r->stopped && (r->n_queued >= QUEUE_MAX || r->bytes >= r->o.bytes_max)) {
        (void)pthread_cond_wait(&r->changed, &r->mutex);
    }
    stopped = r->stopped;
    (void)pthread_mutex_unlock(&r->mutex);
    return !stopped;
}

static void push(zoo_reader *r, zoo_line *line)
{
    (void)pthread_mutex_lock(&r->mutex);
    *(r->last ? &r->last->next : &r->first) = line;
    r->last = line;
    r->n_queued++;
    r->bytes += line->bytes;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->mutex);
}

/* Whether an earlier line has the custom_id; it is remembered. */
static zoo_status note_custom_id(zoo_reader *r, zoo_id custom_id, bool *fresh, zoo_error *err)
{
    *fresh = true;
    if (r->o.source.knows_duplicates) {
        return ZOO_OK;
    }
    zoo_budget *budget = zoo_budget_enter(NULL);
    zoo_status status = zoo_idmap_add(&r->custom_ids, custom_id, (zoo_id){{0, 0}}, fresh, err);
    (void)zoo_budget_enter(budget);
    return status;
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

/* What is asked for at once must fit, too. */
static zoo_status judge_size(const zoo_reader *r, zoo_line *line)
{
    ZOO_TRY(zoo_request_judge_size(&line->request, r->o.line_bytes_max, &line->error));
    line->bytes = (size_t)zoo_request_bytes(&line->request);
    return ZOO_OK;
}

static zoo_status judge(zoo_reader *r, const zoo_input_line *in, zoo_line *line)
{
    char name[32];
    bool fresh = true;
    zoo_request *request = &line->request;
    zoo_status status;
    (void)snprintf(name, sizeof name, "line %llu", (unsigned long long)line->number);
    status = zoo_request_parse(r->o.context, in->text, in->n, name, request, &line->error);
    cut_name(&line->error, name, status);
    if (request->custom_id) {
        zoo_id id = zoo_id_of(request->custom_id, strlen(request->custom_id), 0);
        ZOO_TRY(note_custom_id(r, id, &fresh, &line->error));
    }
    if (!fresh || in->is_duplicate) {
        line->is_duplicate = true;
        return zoo_request_refuse(request, "custom_id", ZOO_E_USAGE, &line->error,
                                  "the custom_id \"%.60s\" occurs on an earlier line",
                                  request->custom_id);
    }
    status = status == ZOO_OK ? zoo_request_encode(r->o.context, request, &line->error) : status;
    return status == ZOO_OK ? judge_size(r, line) : status;
}

/* What is left of a refused line: its name, the key and the sentence. */
static void shrink(zoo_line *line)
{
    zoo_request *r = &line->request;
    cJSON *id = r->custom_id ? cJSON_CreateString(r->custom_id) : NULL;
    char param[sizeof r->param];
    bool is_object = cJSON_IsObject(r->tree);
    zoo_endpoint endpoint = r->endpoint;
    memcpy(param, r->param, sizeof param);
    zoo_request_free(r);
    memcpy(r->param, param, sizeof param);
    r->endpoint = endpoint;
    r->tree = is_object ? cJSON_CreateObject() : NULL;
    if (id && r->tree && cJSON_AddItemToObject(r->tree, "custom_id", id)) {
        r->custom_id = id->valuestring;
    } else {
        cJSON_Delete(id);
    }
}

/* Makes the line ready within its budget; false: the work was stopped. */
static bool prepare(zoo_reader *r, const zoo_input_line *in, zoo_line *line)
{
    zoo_budget budget = {.bytes_max = r->o.line_bytes_max,
                         .steps_max = ZOO_REQUEST_STEPS_MAX,
                         .stop = r->o.stop,
                         .cancel = &r->stopped};
    if (r->o.seconds_max > 0.0) {
        budget.deadline = zoo_clock_seconds() + r->o.seconds_max;
    }
    (void)zoo_budget_enter(&budget);
    if (in->text) {
        line->status = judge(r, in, line);
        line->status = zoo_request_judge_spent(&budget, "--row-timeout", r->o.seconds_max,
                                               line->status, &line->error);
    } else {
        line->status = zoo_fail(&line->error, ZOO_E_LIMIT,
                                "the line has %zu bytes, more than the %zu that --memory leaves to "
                                "one",
                                in->n, r->o.line_bytes_max / 4);
    }
    zoo_spent spent = budget.spent;
    if (line->status != ZOO_OK && line->status != ZOO_E_MEMORY) {
        /* What a refused line leaves is counted, but a spent budget would give nothing for it. */
        budget = (zoo_budget){.bytes = budget.bytes,
                              .bytes_max = SIZE_MAX,
                              .bytes_peak = budget.bytes_peak,
                              .steps_max = UINT64_MAX};
        shrink(line);
    }
    (void)zoo_budget_enter(NULL);
    line->bytes = budget.bytes + sizeof *line + (line->status == ZOO_OK ? line->bytes : 0);
    if (budget.bytes_peak > SETTLE_BYTES) {
        zoo_mem_trim();
    }
    return spent != ZOO_SPENT_STOPPED;
}

/* One line of the file; false ends the thread. */
static bool take(zoo_reader *r, const zoo_input_line *in)
{
    const zoo_id *custom_id = zoo_idmap_find(r->o.done, in->id);
    zoo_line *line;
    bool fresh;
    if (custom_id) {
        r->status = note_custom_id(r, *custom_id, &fresh, &r->error);
        return r->status == ZOO_OK;
    }
    if (r->n_given == r->o.rows_max || !wait_for_room(r)) {
        return false;
    }
    line = zoo_mem_array(1, sizeof *line);
    if (!line) {
        r->status = zoo_fail(&r->error, ZOO_E_MEMORY, "%s: no memory for line %llu", r->o.name,
                             (unsigned long long)in->number);
        return false;
    }
    line->reader = r;
    line->number = in->number;
    line->id = in->id;
    bool done = prepare(r, in, line);
    if (done && line->status == ZOO_E_MEMORY) {
        /* Not the line's fault: the run ends and can be resumed. */
        r->status = zoo_fail(&r->error, ZOO_E_MEMORY, "%s, line %llu: %s", r->o.name,
                             (unsigned long long)in->number, line->error.text);
        done = false;
    }
    if (!done) {
        line->bytes = 0;
        zoo_line_free(line);
        return false;
    }
    r->n_given++;
    push(r, line);
    return true;
}

/* The whole file must be what was hashed at the start. */
static zoo_status compare_hash(zoo_reader *r)
{
    char hex[40] = "";
    if (r->o.input) {
        zoo_input_hash(r->o.input, hex);
    }
    if (r->o.hash && r->o.input && strcmp(hex, r->o.hash) != 0) {
        return zoo_fail(&r->error, ZOO_E_IO, "%s changed or was truncated while it was read",
                        r->o.name);
    }
    return ZOO_OK;
}

static void *read_all(void *arg)
{
    zoo_reader *r = arg;
    zoo_input_line line;
    bool more = true;
    const zoo_line_source *from = &r->o.source;
    zoo_status status = from->begin(from->arg, r->o.line_bytes_max / 4, &r->error);
    while (status == ZOO_OK && more) {
        status = from->next(from->arg, &line, &more, &r->error);
        if (status == ZOO_OK && !more) {
            status = compare_hash(r);
        } else if (status == ZOO_OK && !take(r, &line)) {
            status = r->status;
            more = false;
        }
    }
    (void)pthread_mutex_lock(&r->mutex);
    r->status = r->stopped ? ZOO_OK : status;
    r->ended = true;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->mutex);
    return NULL;
}

zoo_status zoo_reader_start(const zoo_reader_options *options, zoo_reader **out, zoo_error *err)
{
    zoo_reader *r = zoo_mem_array(1, sizeof *r);
    *out = NULL;
    if (!r) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the reader");
    }
    r->o = *options;
    r->custom_ids.is_set = true;
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_cond_init(&r->changed, NULL);
    if (!zoo_thread_start(&r->thread, read_all, r)) {
        zoo_mem_free(r);
        return zoo_fail(err, ZOO_E_MEMORY, "no thread for the reader");
    }
    *out = r;
    return ZOO_OK;
}

zoo_status zoo_reader_next(zoo_reader *r, bool wait, zoo_line **line, bool *ended, zoo_error *err)
{
    zoo_status status = ZOO_OK;
    (void)pthread_mutex_lock(&r->mutex);
    while (wait && !r->first && !r->ended) {
        (void)pthread_cond_wait(&r->changed, &r->mutex);
    }
    *line = r->first;
    *ended = false;
    if (r->first) {
        r->first = r->first->next;
        r->last = r->first ? r->last : NULL;
        (*line)->next = NULL;
        r->n_queued--;
        (void)pthread_cond_broadcast(&r->changed);
    } else if (r->ended) {
        *ended = true;
        status = r->status;
        if (status != ZOO_OK && err) {
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
    atomic_store(&r->stopped, true);
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->mutex);
    if (r->o.source.stop) {
        r->o.source.stop(r->o.source.arg);
    }
    (void)pthread_join(r->thread, NULL);
    while (r->first) {
        zoo_line *line = r->first;
        r->first = line->next;
        zoo_line_free(line);
    }
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->mutex);
    zoo_idmap_free(&r->custom_ids);
    zoo_mem_free(r);
}
