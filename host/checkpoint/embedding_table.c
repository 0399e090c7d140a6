/* embedding_table.c: see embedding_table.h. */
#include "checkpoint/embedding_table.h"

#include <string.h>

enum {
    ROWS_KEPT = 4,
    LARGE = 1 << 23, /* bytes: the pages of a smaller table stay in memory */
    HELD = 1 << 20,  /* bytes: beside a step of such a small model a read of a row counts */
};

/* A file that is not kept open is read through its mapping. */
static zoo_status read_values(const zoo_table_source *source, uint32_t row, float *out,
                              zoo_error *err)
{
    const zoo_matrix *m = &source->matrix;
    uint64_t at = 0;
    if (source->held.data) {
        return zoo_tensor_widen(&source->held, row * m->cols, m->cols, out, err);
    }
    const zoo_tensor *plain = zoo_matrix_plain_row(m, row, &at);
    if (plain && plain->fd >= 0) {
        return zoo_tensor_read(plain, at * m->cols, m->cols, out, err);
    }
    zoo_status status = zoo_matrix_read_rows(m, row, 1, out);
    return status == ZOO_OK ? ZOO_OK
                            : zoo_fail(err, status, "%s: row %u of tensor %s cannot be read",
                                       m->parts[0]->file, row, m->parts[0]->name);
}

static void read_row(const zoo_table *table, uint32_t row, float *out)
{
    zoo_table_source *source = (zoo_table_source *)(uintptr_t)table->host;
    const zoo_matrix *m = &source->matrix;
    zoo_error error = {0};
    if (read_values(source, row, out, &error) != ZOO_OK) {
        memset(out, 0, (size_t)m->cols * sizeof *out);
        if (atomic_fetch_add(&source->n_failed, 1) == 0) {
            source->error = error;
        }
    }
    bool plain = m->plain || m->joined;
    if (!source->is_large || (plain && m->parts[0]->fd >= 0)) {
        return;
    }
    unsigned n = atomic_fetch_add_explicit(&source->n_read, 1, memory_order_relaxed);
    const zoo_tensor *part = NULL;
    for (uint32_t i = 0; n % ROWS_KEPT == ROWS_KEPT - 1 && (part = zoo_matrix_part_at(m, i)); i++) {
        zoo_tensor_release(part);
    }
}

zoo_table zoo_table_make(zoo_table_source *source)
{
    const zoo_matrix *m = &source->matrix;
    uint64_t n_bytes = 0;
    const zoo_tensor *part = NULL;
    for (uint32_t i = 0; (part = zoo_matrix_part_at(m, i)); i++) {
        n_bytes += part->n_bytes;
    }
    source->is_large = n_bytes > LARGE;
    return (zoo_table){source, (uint32_t)(m->n_stack * m->rows), (uint32_t)m->cols, read_row};
}

size_t zoo_table_held_bytes(const zoo_table_source *source)
{
    const zoo_tensor *t = source->matrix.plain;
    return t && t->fd >= 0 && zoo_dtype_size(t->dtype) > 0 && t->n_bytes <= HELD
               ? (size_t)t->n_bytes
               : 0;
}

void zoo_table_hold(zoo_table_source *source, void *copy)
{
    if (copy && zoo_table_held_bytes(source) > 0 &&
        zoo_tensor_copy(source->matrix.plain, copy, NULL) == ZOO_OK) {
        source->held = *source->matrix.plain;
        source->held.data = copy;
    }
}

zoo_status zoo_table_check(const zoo_table_source *source, zoo_error *err)
{
    if (atomic_load(&source->n_failed) == 0) {
        return ZOO_OK;
    }
    if (err) {
        *err = source->error;
    }
    return (zoo_status)source->error.code;
}
