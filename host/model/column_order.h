/*
 * column_order.h: the columns of a matrix whose quantiser took them in an order of its own
 * ("act-order"), sorted so that each group of columns lies together, as kernels read them.
 *
 *   groups [cols] of each column -> order [cols], columns by ascending group, then as stored
 *
 * Matrices that read the same rows mostly have the same order (queries, keys and values); it is
 * then the same array, so that rows are prepared for them once. Memory: 4 bytes a column, the
 * model's.
 */
#ifndef ZOO_MODEL_COLUMN_ORDER_H
#define ZOO_MODEL_COLUMN_ORDER_H

#include "checkpoint/matrix.h"
#include "model/bound_model.h"

/* Whether columns are stored in an order of groups, all of which have their size but for the last.
 * [load] */
bool zoo_column_order_fits(const zoo_matrix *m);
/* The order, of a matrix that fits; null: no memory. [load] */
const uint32_t *zoo_column_order_make(zoo_model *model, const zoo_matrix *m);

#endif
