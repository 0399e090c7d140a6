/*
 * format_joined.c: a weight whose rows lie in several tensors, one after the other.
 *
 * The parts are known by the second names that tensor renames gave them: "<name>@0", "<name>@1" and
 * so on. They are plain tensors of one width; codes with scales are not joined.
 */
#include "checkpoint/matrix_private.h"

#include "base/mem.h"

enum { JOINED_MAX = 1 << 16 };

static void joined_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    uint64_t first = 0;
    for (const zoo_tensor *part = m->parts[0]; part && n_rows; part = part->next_rows) {
        uint64_t rows = part->n_items / m->cols, skip = row - first;
        uint64_t n = skip < rows ? rows - skip : 0;
        n = n < n_rows ? n : n_rows;
        (void)zoo_tensor_widen(part, skip * m->cols, (size_t)(n * m->cols), out, NULL);
        out += n * m->cols;
        row += n;
        n_rows -= n;
        first += rows;
    }
}

const zoo_tensor *zoo_matrix_part_at(const zoo_matrix *m, uint32_t i)
{
    if (!m->joined) {
        return i < m->n_parts ? m->parts[i] : NULL;
    }
    const zoo_tensor *part = m->parts[0];
    for (; part && i > 0; i--) {
        part = part->next_rows;
    }
    return part;
}

const zoo_tensor *zoo_matrix_plain_row(const zoo_matrix *m, uint64_t row, uint64_t *at)
{
    const zoo_tensor *part = m->joined ? m->parts[0] : m->plain;
    for (; m->joined && part && row >= part->n_items / m->cols; part = part->next_rows) {
        row -= part->n_items / m->cols;
    }
    *at = row;
    return part;
}

static bool same_rows(const zoo_tensor *a, const zoo_tensor *b)
{
    bool same = a->n_dims == b->n_dims && a->n_dims > 0 && a->dtype == b->dtype;
    for (uint32_t i = 1; same && i < a->n_dims; i++) {
        same = a->dims[i] == b->dims[i];
    }
    return same;
}

zoo_status zoo_format_joined(const zoo_search *s, const zoo_tensor *first, zoo_matrix *m)
{
    uint64_t dims[ZOO_TENSOR_DIMS_MAX];
    const zoo_tensor *part = first;
    memcpy(dims, first->dims, sizeof dims);
    dims[0] = 0;
    for (uint32_t i = 0; part; i++) {
        char suffix[16];
        bool wide = part->dtype == ZOO_F32 || part->dtype == ZOO_BF16 || part->dtype == ZOO_F16;
        if (!wide || !same_rows(first, part) || i == JOINED_MAX) {
            return zoo_search_fail(s, part, "its parts are not plain tensors of one width");
        }
        dims[0] += part->dims[0];
        zoo_matrix_part(m, part);
        (void)snprintf(suffix, sizeof suffix, "@%u", i + 1);
        const zoo_tensor *next = zoo_search_name(s, suffix);
        ((zoo_tensor *)(uintptr_t)part)->next_rows = next; /* of the set, which is the caller's */
        part = next;
    }
    m->joined = true;
    m->codes = first;
    m->read = joined_read;
    zoo_matrix_shape(m, dims, first->n_dims);
    if (m->cols == 0) {
        return zoo_search_fail(s, first, "it is empty");
    }
    (void)snprintf(m->format, sizeof m->format, "%s", first->dtype_name);
    return ZOO_OK;
}
