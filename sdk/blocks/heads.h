/*
 * heads.h: a matrix for each head or group: y[row, h] = W_h x[row, h].
 */
#ifndef ZOO_BLOCKS_HEADS_H
#define ZOO_BLOCKS_HEADS_H

#include "zoo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Strides count floats. prepared: n_threads * zoo_heads_size(cols) bytes of scratch. */
typedef struct zoo_heads {
    const zoo_weight *weights; /* [n_heads] of equal kind and shape */
    const float *x;
    float *y;
    size_t x_row, x_head, y_row, y_head;
    uint32_t n_rows, n_heads;
    unsigned char *prepared;
    size_t prepared_size; /* zoo_heads_size of the most columns */
} zoo_heads;

/* y = W_h x for every row and head. A row's sums are never split, so its bits do not depend on the
 * other rows. [step] */
void zoo_heads_run(zoo_ctx *ctx, const zoo_heads *heads);
/* Bytes of prepared rows of one worker. [load] */
size_t zoo_heads_size(uint32_t cols);

#ifdef __cplusplus
}
#endif

#endif
