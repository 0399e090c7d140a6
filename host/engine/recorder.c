/* recorder.c: an activation goes to the first record of its name that this step has not filled. */
#include "engine/recorder.h"

#include <string.h>

#include "base/mem.h"
#include "engine/engine_private.h"

enum { NAME_BYTES = 512, AGAIN_MAX = 64 };

typedef struct record {
    char name[NAME_BYTES];
    zoo_tensor tensor; /* its first dimension: rows so far */
    float *values;     /* [n_total, width] */
    uint32_t width;
} record;

struct zoo_recorder {
    const zoo_engine *engine;
    const cJSON *names; /* of the card: the reference's -> ours; or null */
    record **records;   /* allocated one by one, as tensors point into them */
    uint32_t n, room;
    uint32_t n_total; /* rows of the whole pass */
    uint32_t n_done;  /* rows before this step */
    zoo_status status;
    zoo_error error;
};

static void fail(zoo_recorder *r, zoo_status status, const char *name, const char *why)
{
    if (r->status == ZOO_OK) {
        r->status = zoo_fail(&r->error, status, "trace of %.200s: %s", name, why);
    }
}

static record *find(const zoo_recorder *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (strcmp(r->records[i]->name, name) == 0) {
            return r->records[i];
        }
    }
    return NULL;
}

static void set_dims(const zoo_recorder *r, record *k, uint32_t n_rows)
{
    const zoo_plan *plan = &r->engine->model.plan;
    bool streams = k->width == plan->stream_width && plan->stream_width > plan->hidden_size;
    uint32_t inner = streams ? plan->hidden_size : k->width;
    k->tensor.n_items = (uint64_t)n_rows * k->width;
    k->tensor.n_bytes = k->tensor.n_items * sizeof(float);
    k->tensor.n_dims = streams ? 3 : 2;
    k->tensor.dims[0] = n_rows;
    k->tensor.dims[1] = streams ? k->width / inner : inner;
    k->tensor.dims[2] = streams ? inner : 0;
}

static record *add(zoo_recorder *r, const char *name, uint32_t width)
{
    if (r->n == r->room) {
        uint32_t room = r->room ? r->room * 2 : 256;
        record **list = zoo_mem_realloc(r->records, room * sizeof *list);
        if (!list) {
            return NULL;
        }
        r->records = list;
        r->room = room;
    }
    record *k = zoo_mem_array(1, sizeof *k);
    float *values = zoo_mem_array((size_t)r->n_total * width + 1, sizeof *values);
    if (!k || !values) {
        zoo_mem_free(k);
        zoo_mem_free(values);
        return NULL;
    }
    (void)snprintf(k->name, sizeof k->name, "%s", name);
    k->values = values;
    k->width = width;
    k->tensor.name = k->name;
    k->tensor.data = values;
    k->tensor.dtype = ZOO_F32;
    r->records[r->n++] = k;
    return k;
}

static void keep(zoo_recorder *r, const char *name, const float *x, uint32_t n_rows, uint32_t width)
{
    char full[NAME_BYTES];
    (void)snprintf(full, sizeof full, "%s", name);
    for (int again = 2; again < AGAIN_MAX; again++) {
        record *k = find(r, full);
        if (!k && r->n_done) {
            fail(r, ZOO_E_INTERNAL, full, "the first step had no such activation");
            return;
        }
        k = k ? k : add(r, full, width);
        if (!k) {
            fail(r, ZOO_E_MEMORY, full, "out of memory");
            return;
        }
        if (k->tensor.dims[0] == r->n_done) {
            if (k->width != width || n_rows > r->n_total - r->n_done) {
                fail(r, ZOO_E_INTERNAL, full, "its size changes between steps");
                return;
            }
            memcpy(k->values + (size_t)r->n_done * width, x,
                   (size_t)n_rows * width * sizeof *k->values);
            set_dims(r, k, r->n_done + n_rows);
            return;
        }
        (void)snprintf(full, sizeof full, "%.480s#%d", name, again);
    }
    fail(r, ZOO_E_INTERNAL, name, "the module runs too often");
}

static void on_activation(void *arg, const char *name, const float *x, uint32_t n_rows,
                          uint32_t width)
{
    zoo_recorder *r = arg;
    keep(r, name, x, n_rows, width);
    const cJSON *pair = NULL;
    cJSON_ArrayForEach(pair, r->names)
    {
        size_t n = strlen(name), tail = strlen(pair->valuestring);
        if (n >= tail && (n == tail || name[n - tail - 1] == '.') &&
            strcmp(name + n - tail, pair->valuestring) == 0) {
            char other[NAME_BYTES];
            (void)snprintf(other, sizeof other, "%.*s%s", (int)(n - tail), name, pair->string);
            keep(r, other, x, n_rows, width);
        }
    }
}

/* The next item of the pass, after n_done tokens. */
static zoo_item next_item(const zoo_engine *engine, const zoo_recorder_pass *pass, uint32_t n_done,
                          uint32_t seq)
{
    uint32_t left = pass->n - n_done, chunk = pass->chunk ? pass->chunk : pass->n;
    size_t width = engine->model.plan.given_width;
    return (zoo_item){.seq = seq,
                      .n = left < chunk ? left : chunk,
                      .tokens = pass->tokens + n_done,
                      .given = pass->given ? pass->given + n_done * width : NULL};
}

zoo_status zoo_recorder_rows(zoo_engine *engine, const zoo_recorder_pass *pass, bool normed,
                             float *rows, zoo_error *err)
{
    uint32_t seq, n_done = 0;
    ZOO_TRY(zoo_engine_seq_open(engine, pass->n, pass->n, &seq, err));
    zoo_status status = ZOO_OK;
    while (n_done < pass->n && status == ZOO_OK) {
        zoo_item item = next_item(engine, pass, n_done, seq);
        status = zoo_engine_step(engine, &item, 1, err);
        if (status == ZOO_OK) {
            zoo_engine_rows(engine, 0, item.n, normed,
                            rows + (size_t)n_done * engine->model.plan.hidden_size);
        }
        n_done += item.n;
    }
    zoo_engine_seq_close(engine, seq);
    return status;
}

static zoo_status run(zoo_recorder *r, zoo_engine *engine, const zoo_recorder_pass *pass,
                      zoo_error *err)
{
    uint32_t seq;
    ZOO_TRY(zoo_engine_seq_open(engine, pass->n, pass->n, &seq, err));
    zoo_engine_trace(engine, on_activation, r);
    zoo_status status = ZOO_OK;
    while (r->n_done < pass->n && status == ZOO_OK) {
        zoo_item item = next_item(engine, pass, r->n_done, seq);
        uint32_t count = item.n;
        item.want = ZOO_WANT_ALL;
        status = zoo_engine_step(engine, &item, 1, err);
        r->n_done += count;
    }
    zoo_engine_trace(engine, NULL, NULL);
    zoo_engine_seq_close(engine, seq);
    if (status == ZOO_OK && r->status != ZOO_OK) {
        *err = r->error;
        status = r->status;
    }
    return status;
}

zoo_status zoo_recorder_run(zoo_engine *engine, const zoo_recorder_pass *pass, zoo_recorder **out,
                            zoo_error *err)
{
    zoo_recorder *r = zoo_mem_array(1, sizeof *r);
    *out = NULL;
    if (!r) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the trace");
    }
    r->engine = engine;
    r->names = zoo_card_part(engine->model.card, "trace");
    r->n_total = pass->n;
    zoo_status status = run(r, engine, pass, err);
    if (status != ZOO_OK) {
        zoo_recorder_free(r);
        return status;
    }
    *out = r;
    return ZOO_OK;
}

void zoo_recorder_free(zoo_recorder *r)
{
    for (uint32_t i = 0; r && i < r->n; i++) {
        zoo_mem_free(r->records[i]->values);
        zoo_mem_free(r->records[i]);
    }
    if (r) {
        zoo_mem_free(r->records);
    }
    zoo_mem_free(r);
}

uint32_t zoo_recorder_count(const zoo_recorder *r)
{
    return r->n;
}

const zoo_tensor *zoo_recorder_at(const zoo_recorder *r, uint32_t index)
{
    return &r->records[index]->tensor;
}

const zoo_tensor *zoo_recorder_find(const zoo_recorder *r, const char *name)
{
    const record *k = find(r, name);
    return k ? &k->tensor : NULL;
}

zoo_status zoo_recorder_write(const zoo_recorder *r, const char *path, zoo_error *err)
{
    zoo_tensor *list = zoo_mem_array((size_t)r->n + 1, sizeof *list);
    if (!list) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory for the trace");
    }
    for (uint32_t i = 0; i < r->n; i++) {
        list[i] = r->records[i]->tensor;
    }
    zoo_status status = zoo_tensors_write(path, list, r->n, err);
    zoo_mem_free(list);
    return status;
}
