/* embedding_table.c: see embedding_table.h. */
#include "checkpoint/embedding_table.h"

enum { ROWS_KEPT = 4, LARGE = 1 << 23 }; /* bytes: a smaller table stays in memory */

static void read_row(const zoo_table *table, uint32_t row, float *out)
{
    zoo_table_source *source = (zoo_table_source *)(uintptr_t)table->host;
    const zoo_matrix *m = &source->matrix;
    if (source->is_large && m->plain &&
        zoo_tensor_read(m->plain, row * m->cols, m->cols, out, NULL) == ZOO_OK) {
        return;
    }
    (void)zoo_matrix_read_rows(m, row, 1, out);
    if (!source->is_large) {
        return;
    }
    unsigned n = atomic_fetch_add_explicit(&source->n_read, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < m->n_parts && n % ROWS_KEPT == ROWS_KEPT - 1; i++) {
        zoo_tensor_release(m->parts[i]);
    }
}

zoo_table zoo_table_make(zoo_table_source *source)
{
    const zoo_matrix *m = &source->matrix;
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < m->n_parts; i++) {
        n_bytes += m->parts[i]->n_bytes;
    }
    source->is_large = n_bytes > LARGE;
    return (zoo_table){source, (uint32_t)(m->n_stack * m->rows), (uint32_t)m->cols, read_row};
}
