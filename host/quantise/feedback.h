/*
 * feedback.h: one matrix to codes, the error of each column fed back into those that follow.
 *
 *   for column i, the inputs of largest mean square first:
 *     q_i = a whole number of units near w_i,   e_i = (w_i - q_i) / U_ii,   w_j -= e_i U_ij, j > i
 *
 * with U^T U = (H + d I)^-1, H the second moments of the inputs (moments.h). sum e_i^2 is what the
 * outputs lose of their squares. Units of a group are fitted before, squares weighted by the
 * diagonal of H. Without H columns are only rounded.
 *
 *   4 bits: times * code - zero, code < 16; runs of 32 columns have times (5 to 8) and zero of
 *           their own, groups of 64 a unit: what int4 has (kernels.h), an eighth of its scale
 *   5 bits: -16 .. 15 in groups of 32;   8 bits: -127 .. 127 in groups of 32
 *
 * Units are numbers that bf16 holds, and half floats too. Blocks of 64 columns are updated within,
 * what is behind them by one product a block. Items are 64 rows; memory 64 (2 cols + 64) + 10 cols
 * floats a thread. Source: Frantar et al., "GPTQ", 2022.
 */
#ifndef ZOO_QUANTISE_FEEDBACK_H
#define ZOO_QUANTISE_FEEDBACK_H

#include "checkpoint/safetensors.h"
#include "quantise/blas.h"

enum { ZOO_FEEDBACK_ROWS = 64, ZOO_FEEDBACK_GROUP_MAX = 64 };

/* Columns that share a unit. */
static inline uint32_t zoo_feedback_group(uint32_t bits)
{
    return bits == 4 ? 64 : 32;
}

typedef struct zoo_feedback {
    const zoo_blas *blas;
    const zoo_tensor *tensor; /* [rows, cols] */
    uint32_t rows, cols, bits;
    const float *h;        /* [cols, cols] with columns in `order`; null: no feedback */
    const float *factor;   /* U, the same way; null without h */
    const uint32_t *order; /* [cols] columns as they are taken; null: as they stand */
    const float *weight;   /* [cols] of squares; null: all 1 */
    uint8_t *codes;        /* [rows, cols] units, 128 more; 16 more of 5 bits */
    uint16_t *scales;      /* units: bf16 [rows, groups] */
    double *errors;        /* [items][2]: sum e^2; sum w H w */
} zoo_feedback;

/* Floats that an item works in. */
size_t zoo_feedback_room(uint32_t cols);
/* Rows 64 item .. of the matrix; room [zoo_feedback_room] is the thread's own. */
zoo_status zoo_feedback_item(const zoo_feedback *f, uint32_t item, float *room);

#endif
