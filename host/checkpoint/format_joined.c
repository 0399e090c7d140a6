/*
 * format_joined.c: a weight whose rows lie in several tensors, one after the other.
 *
 * The parts are known by the second names that tensor renames gave them: "<name>@0", "<name>@1" and
 * so on. They are plain tensors of one width; codes with scales are not joined.
 */
#include "checkpoint/matrix_private.h"

#include "base/mem.h"

static void joined_read(const zoo_matrix *m, uint64_t row, uint64_t n_rows, float *out)
{
    uint64_t first = 0;
    for (uint32_t i = 0; i < m->n_parts && n_rows; i++) {
        uint64_t rows = m->parts[i]->n_items / m->cols, skip = row - first;
        uint64_t n = skip < rows ? rows - skip : 0;
        n = n < n_rows ? n : n_rows;
        (void)zoo_tensor_widen(m->parts[i], skip * m->cols, (size_t)(n * m->cols), out, NULL);
        out += n * m->cols;
        row += n;
        n_rows -= n;
        first += rows;
    }
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
        if (!wide || !same_rows(first, part) || i == ZOO_MATRIX_PARTS_MAX) {
            return zoo_search_fail(s, part, "its parts are not plain tensors of one width");
        }
        dims[0] += part->dims[0];
        zoo_matrix_part(m, part);
        (void)snprintf(suffix, sizeof suffix, "@%u", i + 1);
        part = zoo_search_name(s, suffix);
    }
    m->codes = first;
    m->read = joined_read;
    zoo_matrix_shape(m, dims, first->n_dims);
    if (m->cols == 0) {
        return zoo_search_fail(s, first, "it is empty");
    }
    (void)snprintf(m->format, sizeof m->format, "%s", first->dtype_name);
    return ZOO_OK;
}
