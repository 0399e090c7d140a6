/* column_order.c: see column_order.h. */
#include "model/column_order.h"

#include <string.h>

#include "base/mem.h"

/* The group of a stored column. */
static uint32_t group_at(const zoo_matrix *m, uint64_t k)
{
    uint32_t group;
    memcpy(&group, (const unsigned char *)m->groups->data + k * sizeof group, sizeof group);
    return group;
}

/* first [n_groups + 1] becomes the place of each group's first column; false: a group does not
 * begin at a multiple of its size. */
static bool find_places(const zoo_matrix *m, uint32_t *first)
{
    memset(first, 0, (m->grid_cols + 1) * sizeof *first);
    for (uint64_t k = 0; k < m->cols; k++) {
        uint32_t group = group_at(m, k);
        if (group >= m->grid_cols) {
            return false;
        }
        first[group + 1]++;
    }
    bool even = true;
    for (uint64_t g = 0; g < m->grid_cols; g++) {
        first[g + 1] += first[g];
        uint64_t end = (g + 1) * m->block_cols;
        even = even && first[g + 1] == (end < m->cols ? end : m->cols);
    }
    return even;
}

static bool sort_columns(const zoo_matrix *m, uint32_t *order)
{
    uint32_t *first = zoo_mem_array(m->grid_cols + 1, sizeof *first);
    bool good = first && find_places(m, first);
    for (uint64_t k = 0; good && order && k < m->cols; k++) {
        order[first[group_at(m, k)]++] = (uint32_t)k;
    }
    zoo_mem_free(first);
    return good;
}

bool zoo_column_order_fits(const zoo_matrix *m)
{
    return m->groups && m->groups->dtype == ZOO_I32 && m->cols <= UINT32_MAX &&
           m->groups->n_items == m->cols && m->block_cols && sort_columns(m, NULL);
}

/* The same order among those that were made last, or null. */
static const uint32_t *known_order(const zoo_model *model, const uint32_t *order, uint64_t cols)
{
    for (uint32_t i = 0; i < ZOO_COUNT(model->orders); i++) {
        const zoo_column_order *known = &model->orders[i];
        if (known->cols == cols && memcmp(known->order, order, cols * sizeof *order) == 0) {
            return known->order;
        }
    }
    return NULL;
}

const uint32_t *zoo_column_order_make(zoo_model *model, const zoo_matrix *m)
{
    size_t bytes = (size_t)m->cols * sizeof(uint32_t);
    uint32_t *sorted = zoo_mem_array((size_t)m->cols, sizeof *sorted);
    const uint32_t *order = NULL;
    if (sorted && sort_columns(m, sorted)) {
        order = known_order(model, sorted, m->cols);
        uint32_t *kept = order ? NULL : zoo_model_take(model, bytes);
        if (kept) {
            memcpy(kept, sorted, bytes);
            model->orders[model->n_orders++ % ZOO_COUNT(model->orders)] =
                (zoo_column_order){kept, (uint32_t)m->cols};
            order = kept;
        }
    }
    zoo_mem_free(sorted);
    return order;
}
