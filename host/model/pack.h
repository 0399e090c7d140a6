/*
 * pack.h: float32 rows of a matrix to packed panels (kernels.h, zoo_weight) and back.
 *
 * f32 keeps the bits, bf16 rounds to nearest even, int8 and int6 rotate each group of 64 columns by
 * a Hadamard matrix and take amax / 127 or / 31 of it as scale, rounded up to bf16; int4 and int5
 * the scale (and int4 the steps of each 32 columns) of a few candidates that leaves the smallest
 * squared error, refitted to its own rounding, then rounded to f16.
 */
#ifndef ZOO_MODEL_PACK_H
#define ZOO_MODEL_PACK_H

#include "zoo.h"

/* Columns that share a scale; 0 for f32 and bf16. */
uint32_t zoo_pack_group(zoo_dtype kind);

/*
 * Bytes of data for a matrix [rows, cols] of a kind below ZOO_WEIGHT_KINDS, and of its
 * scales. 0 for another kind, a group that the kernels do not read (int8: a multiple of 16
 * up to 256, int6: 64, int4 and int5: 32 or 64, int5 also 16 where that divides cols evenly), or a
 * size that no memory holds.
 */
size_t zoo_pack_size(zoo_dtype kind, uint32_t rows, uint32_t cols, uint32_t group,
                     size_t *scales_bytes);

/* Where the scales of w lie when they follow its panels at data: at the next multiple of 64 bytes;
 * null for a kind without. */
const uint16_t *zoo_pack_scales(const zoo_weight *w, const void *data);

/* The factor of all scales of int5 in groups of 16, to be set before its panels are filled; no
 * effect on others. */
void zoo_pack_factor(const zoo_weight *w, double factor);

/*
 * Fills panel `panel` of w from its n <= 16 rows [n, cols], whose columns are in w's order; w->data
 * and w->scales are writable memory of zoo_pack_size bytes. Panels may be filled in parallel. Not
 * for weights that need a grid.
 */
void zoo_pack_panel(zoo_weight *w, uint32_t panel, const float *rows, uint32_t n);

/*
 * The same for values on a grid of int4 or int5 steps, as in quantised checkpoints, or of int8 or
 * int6 steps in rotated groups of 64, as `quantise` makes them: recovers each group's scale, zero
 * point and codes, so that unpacking gives the values to the bit. false: a group is not on such a
 * grid, or its scale is no half float (int8, int6: no bf16); pack the panel as usual.
 */
bool zoo_pack_panel_exact(zoo_weight *w, uint32_t panel, const float *rows, uint32_t n);

/* Whether w is filled by zoo_pack_panel_exact alone: int5 in groups of 16. */
bool zoo_pack_needs_grid(const zoo_weight *w);

/* Whether the values of a row lie so on the grids of groups. */
bool zoo_pack_is_exact(zoo_dtype kind, uint32_t group, const float *row, uint32_t cols);

/* Reads row `row` < w->rows back as float32 [cols], rotation and order of columns undone. */
void zoo_unpack_row(const zoo_weight *w, uint32_t row, float *out);

#endif
