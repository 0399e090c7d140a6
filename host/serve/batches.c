/* batches.c: batch objects, and the thread that runs the batches (batches.h). */
#include "serve/batches.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/thread.h"
#include "serve/batch_run.h"

struct zoo_batches {
    zoo_batches_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    cJSON *objects; /* of all batches, newest first */
    zoo_batch_task task;
    char running[ZOO_STORE_ID]; /* id of the running batch, or "" */
    bool is_stopping, is_cancelled;
};

/* ---- objects; the lock is held ---- */

static cJSON *find(const zoo_batches *b, const char *id)
{
    cJSON *object;
    cJSON_ArrayForEach(object, b->objects)
    {
        if (strcmp(cJSON_GetObjectItemCaseSensitive(object, "id")->valuestring, id) == 0) {
            return object;
        }
    }
    return NULL;
}

static bool is_in(const cJSON *object, const char *status)
{
    const char *now = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "status"));
    return now && strcmp(now, status) == 0;
}

static void set(cJSON *object, const char *key, cJSON *value)
{
    if (!value) {
        return;
    }
    if (!(cJSON_HasObjectItem(object, key)
              ? cJSON_ReplaceItemInObjectCaseSensitive(object, key, value)
              : cJSON_AddItemToObject(object, key, value))) {
        cJSON_Delete(value);
    }
}

/* Sets status and <status>_at, and stores the object on disk. */
static void set_status(zoo_batches *b, cJSON *object, const char *status)
{
    char key[40];
    zoo_error ignored;
    (void)snprintf(key, sizeof key, "%.24s_at", status);
    set(object, "status", cJSON_CreateString(status));
    set(object, key, cJSON_CreateNumber((double)time(NULL)));
    (void)zoo_store_put(b->options.store,
                        cJSON_GetObjectItemCaseSensitive(object, "id")->valuestring, object,
                        &ignored);
}

static void count(cJSON *object, const zoo_batch_counts *n)
{
    cJSON *counts = cJSON_CreateObject();
    if (counts && cJSON_AddNumberToObject(counts, "total", (double)n->n_lines) &&
        cJSON_AddNumberToObject(counts, "completed", (double)n->n_results) &&
        cJSON_AddNumberToObject(counts, "failed", (double)n->n_errors)) {
        set(object, "request_counts", counts);
    } else {
        cJSON_Delete(counts);
    }
}

/* Adds a file that the batch wrote to the file store and its id to the object; a file without lines
 * is left out. */
static void add_output_file(zoo_batches *b, cJSON *object, const char *key, const char *ending)
{
    const char *batch = cJSON_GetObjectItemCaseSensitive(object, "id")->valuestring;
    char id[ZOO_STORE_ID], name[ZOO_STORE_ID + 8];
    zoo_error ignored;
    (void)snprintf(id, sizeof id, "file-%.30s-%s", batch, ending);
    (void)snprintf(name, sizeof name, "%s.jsonl", id);
    cJSON *file = zoo_store_file(b->options.store, id, name, "batch_output");
    if (file && zoo_store_put(b->options.store, id, file, &ignored) == ZOO_OK) {
        set(object, key, cJSON_CreateString(id));
    }
    cJSON_Delete(file);
}

static void fail(cJSON *object, const zoo_error *why)
{
    cJSON *errors = cJSON_CreateObject();
    cJSON *list = errors ? cJSON_AddArrayToObject(errors, "data") : NULL;
    cJSON *entry = cJSON_CreateObject();
    if (list && entry && cJSON_AddStringToObject(errors, "object", "list") &&
        cJSON_AddStringToObject(entry, "code", "invalid_batch") &&
        cJSON_AddStringToObject(entry, "message", why->text) && cJSON_AddItemToArray(list, entry)) {
        set(object, "errors", errors);
        return;
    }
    cJSON_Delete(entry);
    cJSON_Delete(errors);
}

/* ---- the thread ---- */

/* The oldest unfinished batch; null: none. */
static cJSON *next_batch(const zoo_batches *b)
{
    cJSON *object, *oldest = NULL;
    cJSON_ArrayForEach(object, b->objects)
    {
        if (is_in(object, "validating") || is_in(object, "in_progress") ||
            is_in(object, "finalizing") || is_in(object, "cancelling")) {
            oldest = object;
        }
    }
    return oldest;
}

/* Called between rows. */
static void on_progress(void *arg, const zoo_batch_counts *n)
{
    zoo_batches *b = arg;
    (void)pthread_mutex_lock(&b->lock);
    count(find(b, b->running), n);
    (void)pthread_mutex_unlock(&b->lock);
}

/* Runs the batch whose id is b->running. The lock is held, except while rows run. */
static void run_one(zoo_batches *b)
{
    zoo_batch_counts n = {0, 0, 0};
    zoo_error why = {0};
    zoo_status status = ZOO_OK;
    cJSON *object = find(b, b->running);
    const char *input =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "input_file_id"));
    const char *url = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "endpoint"));
    bool is_cancelled = is_in(object, "cancelling");
    if (!is_cancelled) {
        b->task =
            (zoo_batch_task){.options = &b->options,
                             .id = b->running,
                             .input = input,
                             .endpoint = url && strstr(url, "chat") ? ZOO_CHAT : ZOO_COMPLETIONS,
                             .progress = on_progress,
                             .arg = b};
        set_status(b, object, "in_progress");
        (void)pthread_mutex_unlock(&b->lock);
        status = zoo_batch_task_run(&b->task, &n, &why);
        (void)pthread_mutex_lock(&b->lock);
        object = find(b, b->running);
        count(object, &n);
        is_cancelled = b->is_cancelled;
    }
    if (b->is_stopping && !is_cancelled) {
        return; /* resumed by the next server */
    }
    set_status(b, object, status == ZOO_OK ? "finalizing" : "failed");
    add_output_file(b, object, "output_file_id", "output");
    add_output_file(b, object, "error_file_id", "errors");
    if (status != ZOO_OK) {
        fail(object, &why);
    }
    set_status(b, object, status != ZOO_OK ? "failed" : is_cancelled ? "cancelled" : "completed");
}

static void *run(void *arg)
{
    zoo_batches *b = arg;
    (void)pthread_mutex_lock(&b->lock);
    while (!b->is_stopping) {
        const cJSON *object = next_batch(b);
        if (!object) {
            (void)pthread_cond_wait(&b->work, &b->lock);
            continue;
        }
        (void)snprintf(b->running, sizeof b->running, "%s",
                       cJSON_GetObjectItemCaseSensitive(object, "id")->valuestring);
        b->is_cancelled = false;
        run_one(b);
        b->running[0] = '\0';
    }
    (void)pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* ---- from outside ---- */

zoo_status zoo_batches_open(const zoo_batches_options *options, zoo_batches **out, zoo_error *err)
{
    zoo_batches *b = zoo_mem_array(1, sizeof *b);
    *out = NULL;
    if (b) {
        b->options = *options;
        b->objects = zoo_store_list(options->store, "batch_");
    }
    if (!b || !b->objects) {
        zoo_mem_free(b);
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for batches");
    }
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_cond_init(&b->work, NULL);
    if (!zoo_thread_start(&b->thread, run, b)) {
        cJSON_Delete(b->objects);
        zoo_mem_free(b);
        return zoo_fail(err, ZOO_E_IO, "the thread that runs batches cannot be started");
    }
    *out = b;
    return ZOO_OK;
}

void zoo_batches_close(zoo_batches *b)
{
    if (!b) {
        return;
    }
    (void)pthread_mutex_lock(&b->lock);
    b->is_stopping = true;
    zoo_batch_task_stop(&b->task);
    (void)pthread_cond_signal(&b->work);
    (void)pthread_mutex_unlock(&b->lock);
    (void)pthread_join(b->thread, NULL);
    (void)pthread_cond_destroy(&b->work);
    (void)pthread_mutex_destroy(&b->lock);
    cJSON_Delete(b->objects);
    zoo_mem_free(b);
}

static zoo_status refuse(char param[64], const char *key, zoo_error *err, const char *why)
{
    (void)snprintf(param, 64, "%s", key);
    return zoo_fail(err, ZOO_E_USAGE, "%s: %s", key, why);
}

static cJSON *new_object(const char *id, const cJSON *body, const char *file, const char *endpoint)
{
    static const char *const nulls[] = {"errors", "output_file_id", "error_file_id"};
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(body, "metadata");
    const char *window =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "completion_window"));
    zoo_batch_counts none = {0, 0, 0};
    cJSON *o = cJSON_CreateObject();
    bool ok = o && cJSON_AddStringToObject(o, "id", id) &&
              cJSON_AddStringToObject(o, "object", "batch") &&
              cJSON_AddStringToObject(o, "endpoint", endpoint) &&
              cJSON_AddStringToObject(o, "input_file_id", file) &&
              cJSON_AddStringToObject(o, "completion_window", window ? window : "24h") &&
              cJSON_AddStringToObject(o, "status", "validating") &&
              cJSON_AddNumberToObject(o, "created_at", (double)time(NULL));
    for (size_t i = 0; ok && i < ZOO_COUNT(nulls); i++) {
        ok = cJSON_AddNullToObject(o, nulls[i]) != NULL;
    }
    if (!ok) {
        cJSON_Delete(o);
        return NULL;
    }
    count(o, &none);
    set(o, "metadata", metadata ? cJSON_Duplicate(metadata, true) : cJSON_CreateNull());
    return o;
}

zoo_status zoo_batches_create(zoo_batches *b, const cJSON *body, cJSON **out, char param[64],
                              zoo_error *err)
{
    const char *file =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "input_file_id"));
    const char *url = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "endpoint"));
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(body, "metadata");
    cJSON *there = file ? zoo_store_get(b->options.store, file) : NULL, *object;
    char id[ZOO_STORE_ID];
    zoo_status status;
    bool has_file = there != NULL;
    *out = NULL;
    cJSON_Delete(there);
    if (!has_file || strncmp(file, "file-", 5) != 0) {
        return refuse(param, "input_file_id", err, "there is no such file");
    }
    if (!url || (strcmp(url, "/v1/completions") != 0 && strcmp(url, "/v1/chat/completions") != 0)) {
        return refuse(param, "endpoint", err, "is /v1/completions or /v1/chat/completions");
    }
    if (metadata && !cJSON_IsNull(metadata) && !cJSON_IsObject(metadata)) {
        return refuse(param, "metadata", err, "must be an object");
    }
    zoo_store_id(b->options.store, "batch_", id);
    object = new_object(id, body, file, url);
    if (!object) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for a batch");
    }
    (void)pthread_mutex_lock(&b->lock);
    status = zoo_store_put(b->options.store, id, object, err);
    if (status == ZOO_OK && !cJSON_InsertItemInArray(b->objects, 0, object)) {
        status = zoo_fail(err, ZOO_E_MEMORY, "no memory for a batch");
    }
    if (status == ZOO_OK) {
        *out = cJSON_Duplicate(object, true);
        (void)pthread_cond_signal(&b->work);
    } else {
        cJSON_Delete(object);
    }
    (void)pthread_mutex_unlock(&b->lock);
    return status;
}

cJSON *zoo_batches_get(zoo_batches *b, const char *id)
{
    (void)pthread_mutex_lock(&b->lock);
    cJSON *object = find(b, id), *copy = object ? cJSON_Duplicate(object, true) : NULL;
    (void)pthread_mutex_unlock(&b->lock);
    return copy;
}

cJSON *zoo_batches_list(zoo_batches *b)
{
    (void)pthread_mutex_lock(&b->lock);
    cJSON *copy = cJSON_Duplicate(b->objects, true);
    (void)pthread_mutex_unlock(&b->lock);
    return copy;
}

cJSON *zoo_batches_cancel(zoo_batches *b, const char *id)
{
    (void)pthread_mutex_lock(&b->lock);
    cJSON *object = find(b, id), *copy;
    if (object && (is_in(object, "validating") || is_in(object, "in_progress"))) {
        set_status(b, object, "cancelling");
        if (strcmp(b->running, id) == 0) {
            b->is_cancelled = true;
            zoo_batch_task_stop(&b->task);
        }
    }
    copy = object ? cJSON_Duplicate(object, true) : NULL;
    (void)pthread_mutex_unlock(&b->lock);
    return copy;
}
