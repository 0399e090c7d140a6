/* wire.c: see wire.h. */
#include "engine/wire.h"

#include <string.h>

#include "base/mem.h"

enum { ALIGN = 8 };

typedef struct memo_head {
    uint64_t offset, n;
    uint32_t chunk, reserved;
} memo_head;

void zoo_wire_free(zoo_wire *w)
{
    zoo_mem_free(w->data);
    *w = (zoo_wire){0};
}

static size_t align_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

void zoo_wire_add(zoo_wire *w, const void *data, size_t n)
{
    size_t end = w->n + align_up(n);
    if (end > w->max && !w->failed) {
        size_t max = end + end / 2;
        unsigned char *grown = zoo_mem_realloc(w->data, max);
        w->failed = !grown;
        w->data = grown ? grown : w->data;
        w->max = grown ? max : w->max;
    }
    if (!w->failed && n > 0) {
        memcpy(w->data + w->n, data, n);
        memset(w->data + w->n + n, 0, end - w->n - n);
        w->n = end;
    }
}

static void add_hidden(zoo_wire *w, const zoo_step *step, const zoo_wire_head *head,
                       const uint32_t *from)
{
    size_t row = (size_t)head->width * sizeof(float);
    if (!from) {
        zoo_wire_add(w, step->h, head->n_hidden * row);
        return;
    }
    size_t begin = w->n;
    for (uint32_t i = 0; i < head->n_hidden; i++) {
        zoo_wire_add(w, step->h + (size_t)from[i] * head->width, row);
        w->n = w->failed ? w->n : begin + (i + 1) * row;
    }
    while (!w->failed && w->n % ALIGN) { /* room for it was taken with the row */
        w->data[w->n++] = 0;
    }
}

static zoo_status add_memos(zoo_wire *w, const zoo_step *step, uint32_t n, zoo_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        const zoo_memo *memo = &step->memos[i];
        memo_head head = {.n = memo->n};
        if (!zoo_model_place_of(step->model, memo->key, &head.chunk, &head.offset)) {
            return zoo_fail(err, ZOO_E_UNSUPPORTED,
                            "%s: plugin %s shares something over layers that cannot be sent to "
                            "another rank: --pipeline does not compute it",
                            step->model->folder, step->model->plugin->name);
        }
        zoo_wire_add(w, &head, sizeof head);
        zoo_wire_add(w, memo->bytes, memo->n);
    }
    return ZOO_OK;
}

zoo_status zoo_wire_write(zoo_wire *w, const zoo_wire_rows *rows, const zoo_step *step,
                          const uint32_t *from, zoo_error *err)
{
    const zoo_wire_head *h = &rows->head;
    w->n = 0;
    w->failed = false;
    zoo_wire_add(w, h, sizeof *h);
    zoo_wire_add(w, rows->ops, h->n_ops * sizeof *rows->ops);
    zoo_wire_add(w, rows->seqs, h->n_seqs * sizeof *rows->seqs);
    zoo_wire_add(w, rows->tokens, h->n_rows * sizeof *rows->tokens);
    zoo_wire_add(w, rows->wanted, h->n_wanted * sizeof *rows->wanted);
    add_hidden(w, step, h, from);
    ZOO_TRY(add_memos(w, step, h->n_memos, err));
    return w->failed ? zoo_fail(err, ZOO_E_MEMORY, "no memory for the rows of a step") : ZOO_OK;
}

/* The next n items of `size` bytes, or null: they are not there. */
static const void *take(const unsigned char **at, size_t *left, size_t n, size_t size)
{
    const unsigned char *begin = *at;
    size_t bytes = align_up(n * size); /* 32-bit counts of small items do not wrap */
    if (bytes > *left) {
        return NULL;
    }
    *at += bytes;
    *left -= bytes;
    return begin;
}

zoo_status zoo_wire_read(const void *data, size_t n, zoo_wire_rows *out, zoo_error *err)
{
    const unsigned char *at = data;
    size_t left = n;
    const void *head = take(&at, &left, 1, sizeof out->head);
    bool ok = head != NULL;
    if (ok) {
        memcpy(&out->head, head, sizeof out->head);
        const zoo_wire_head *h = &out->head;
        size_t row = (size_t)h->width * sizeof(float);
        ok = (out->ops = take(&at, &left, h->n_ops, sizeof *out->ops)) &&
             (out->seqs = take(&at, &left, h->n_seqs, sizeof *out->seqs)) &&
             (out->tokens = take(&at, &left, h->n_rows, sizeof *out->tokens)) &&
             (out->wanted = take(&at, &left, h->n_wanted, sizeof *out->wanted)) &&
             (h->n_hidden == 0 || row <= left / h->n_hidden) &&
             (out->hidden = take(&at, &left, h->n_hidden, row));
        out->memos = at;
        out->n_memo_bytes = left;
    }
    return ok ? ZOO_OK : zoo_fail(err, ZOO_E_INTERNAL, "a message of a step is cut");
}

zoo_status zoo_wire_put(const zoo_wire_rows *rows, zoo_step *step, zoo_error *err)
{
    const zoo_wire_head *h = &rows->head;
    const unsigned char *at = rows->memos;
    size_t left = rows->n_memo_bytes;
    if (h->n_hidden > step->model->limits.rows_max || h->width > step->width_max) {
        return zoo_fail(err, ZOO_E_INTERNAL, "a message of a step has %u rows of %u values",
                        h->n_hidden, h->width);
    }
    memcpy(step->h, rows->hidden, (size_t)h->n_hidden * h->width * sizeof(float));
    for (uint32_t i = 0; i < h->n_memos; i++) {
        const memo_head *m = take(&at, &left, 1, sizeof *m);
        const void *bytes = m && m->n <= left ? take(&at, &left, 1, (size_t)m->n) : NULL;
        const void *key = bytes ? zoo_model_at(step->model, m->chunk, m->offset) : NULL;
        if (!key || step->n_memos == ZOO_MEMOS_MAX) {
            return zoo_fail(err, ZOO_E_INTERNAL, "a message of a step names what is not there");
        }
        memcpy(zoo_step_put(step, key, (size_t)m->n), bytes, (size_t)m->n);
    }
    return ZOO_OK;
}
