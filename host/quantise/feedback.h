/*
 * feedback.h: quantises one matrix, feeding the error of each column back into the following ones.
 *
 *   for each column i, in descending order of the inputs' mean square:
 *     q_i = the nearest multiple of the unit to w_i
 *     e_i = (w_i - q_i) / U_ii,   w_j -= e_i U_ij for j > i
 *
 * with U^T U = (H + d I)^-1, H the second moments of the inputs (moments.h). sum e_i^2 is the
 * squared error of the outputs. A group's unit is fitted before, by squared error weighted with the
 * diagonal of H. Without H, columns are only rounded.
 *
 *   4 bits: times * code - zero, code < 16; each run of 32 columns has its own times (5 to 8) and
 *           zero, each group of 64 a unit: the format int4 (kernels.h), unit = scale / 8
 *   5 bits: -16 .. 15 in groups of 32;   8 bits: -127 .. 127 in groups of 32
 *   6 and 8 bits in rotated groups of 64: -31 .. 31, -127 .. 127, of H w / 64 (kernels.h) in place
 *           of w, and of H x in place of x: the formats int6 and int8
 *
 * Units are exact in bf16 and, but for rotated groups, times 8 in half floats. Within blocks of 64
 * columns errors are fed back column by column, to later columns by one matrix product a block. An
 * item is 64 rows; memory: 64 (2 cols + 64) + 10 cols floats a thread. Source: Frantar et al.,
 * "GPTQ", 2022.
 */
#ifndef ZOO_QUANTISE_FEEDBACK_H
#define ZOO_QUANTISE_FEEDBACK_H

#include "checkpoint/safetensors.h"
#include "quantise/blas.h"

enum { ZOO_FEEDBACK_ROWS = 64, ZOO_FEEDBACK_GROUP_MAX = 64 };

/* Columns that share a unit. */
static inline uint32_t zoo_feedback_group(uint32_t bits, bool rotated)
{
    return bits == 4 || rotated ? 64 : 32;
}

typedef struct zoo_feedback {
    const zoo_blas *blas;
    const zoo_tensor *tensor; /* holds the matrix from its row row0 on, */
    uint64_t row0;
    bool is_transposed; /* [cols, rows] there, not [rows, cols] */
    bool is_rotated;    /* cols are a multiple of 64; h, factor, order and weight are of H x */
    uint32_t rows, cols, bits;
    const float *h;        /* [cols, cols] with columns in `order`; null: no feedback */
    const float *factor;   /* U, the same way; null without h */
    const uint32_t *order; /* [cols] the order of quantisation; null: ascending */
    const float *weight;   /* [cols] of squared errors; null: all 1 */
    uint8_t *codes;        /* output [rows, cols]: q / unit + 128; with 5 bits + 16 */
    uint16_t *scales;      /* output [rows, groups]: units as bf16 */
    double *errors;        /* output [items][2]: sum e^2; sum w H w */
} zoo_feedback;

/* Floats of scratch for one item. */
size_t zoo_feedback_scratch(uint32_t cols);
/* Quantises rows 64 item .. 64 item + 63; room [zoo_feedback_scratch] belongs to the calling
 * thread. The status of reading the tensor; err is not set. */
zoo_status zoo_feedback_item(const zoo_feedback *f, uint32_t item, float *room);

#endif
