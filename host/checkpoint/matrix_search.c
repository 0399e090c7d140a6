/*
 * matrix_search.c: what the search for a matrix (matrix.c) and the layouts (format_*.c) share: the
 * tensors beside a name, the parts and the shape of what was found.
 */
#include "checkpoint/matrix_private.h"

uint64_t zoo_config_count(const cJSON *config, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    bool good = cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= 1e9;
    return good ? (uint64_t)item->valuedouble : 0;
}

static const zoo_tensor *search_suffix(const zoo_search *s, size_t n, const char *suffix)
{
    char name[ZOO_TENSOR_NAME_MAX + 64];
    int length = snprintf(name, sizeof name, "%.*s%s", (int)n, s->name, suffix);
    return length > 0 && (size_t)length < sizeof name ? zoo_tensors_find(s->set, name) : NULL;
}

const zoo_tensor *zoo_search_module(const zoo_search *s, const char *suffix)
{
    return search_suffix(s, s->n_stem, suffix);
}

const zoo_tensor *zoo_search_name(const zoo_search *s, const char *suffix)
{
    return search_suffix(s, strlen(s->name), suffix);
}

zoo_status zoo_search_fail(const zoo_search *s, const zoo_tensor *t, const char *what)
{
    return zoo_fail(s->err, ZOO_E_WEIGHT, "%s: weight %s: %s", t->file, s->name, what);
}

void zoo_matrix_part(zoo_matrix *m, const zoo_tensor *t)
{
    if (t && m->n_parts < ZOO_MATRIX_PARTS_MAX) {
        m->parts[m->n_parts++] = t;
    }
}

void zoo_matrix_shape(zoo_matrix *m, const uint64_t *dims, uint32_t n_dims)
{
    m->n_dims = n_dims;
    m->n_stack = 1;
    m->rows = n_dims > 1 ? dims[n_dims - 2] : 1;
    m->cols = n_dims > 0 ? dims[n_dims - 1] : 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        m->dims[i] = dims[i];
        m->n_stack *= i + 2 < n_dims ? dims[i] : 1;
    }
}
