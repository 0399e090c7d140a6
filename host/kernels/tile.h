/*
 * tile.h: the inner loop of matrix products and attention over v16: c[r][j] += sum over k,
 * ascending, of a[r][k] * b[k][j]; each c[r][j] is one fma chain, whatever the tile size.
 *
 * tile_rows covers any number of rows and 16-float columns with tiles as large as the registers
 * hold. Include after v16_<isa>.h.
 */
#ifndef ZOO_TILE_H
#define ZOO_TILE_H

#include "kernels/share.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tile {
    const float *a; /* row r, step k at a + r * a_row + k */
    const float *b; /* step k, column c at b + k * b_step + c * b_col; 16 floats */
    float *c;       /* row r, column c at c + r * c_row + c * 16 */
    size_t a_row, b_step, b_col, c_row;
    size_t n_k;
    bool fresh; /* start at zero; false: at what c holds */
    /* Prefetched meanwhile, the tiles of rows sharing the work: column c, step k at
     * pre + c * pre_col + k * pre_step. */
    const char *pre;
    size_t pre_col, pre_step; /* bytes; 0: no prefetch */
} tile;

enum { TILE_PREFETCH = 16 }; /* steps between two prefetches */

/* Columns of a tile of `rows` rows. */
static inline int tile_cols(int rows)
{
    if (V16_TILE_ROWS >= 12) {
        return rows <= 6 ? 4 : 2;
    }
    return V16_TILE_ROWS < 6 ? 1 : rows <= 1 ? 4 : rows <= 3 ? 2 : 1;
}

/* One step of k for all sums. Only every third row has a pointer register; the two after it are
 * addressed with the row stride times 1 and 2, since there are too few registers for all rows. */
__attribute__((always_inline)) static inline void tile_step(v16 (*acc)[4], const float **a,
                                                            size_t a_row, const float *b,
                                                            size_t b_col, int rows, int cols)
{
    v16 w[4];
#pragma GCC unroll 4
    for (int c = 0; c < cols; c++) {
        w[c] = v16_load(b + (size_t)c * b_col);
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        v16 x = v16_set1(a[r / 3][(size_t)(r % 3) * a_row]);
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) {
            acc[r][c] = v16_fma(x, w[c], acc[r][c]);
        }
    }
}

__attribute__((always_inline)) static inline void tile_run(const tile *t, int rows, int cols)
{
    v16 acc[12][4];
    const float *b = t->b;
    size_t a_row = t->a_row, b_col = t->b_col, b_step = t->b_step;
    size_t pre_bytes = t->pre_step * TILE_PREFETCH;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) {
            acc[r][c] =
                t->fresh ? v16_set1(0) : v16_load(t->c + (size_t)r * t->c_row + (size_t)c * 16);
        }
    }
    const float *a[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[i] = t->a + (3 * i < rows ? (size_t)(3 * i) * a_row : 0);
    }
    const char *pre = t->pre;
    size_t left = t->n_k;
    for (; left >= TILE_PREFETCH; left -= TILE_PREFETCH, pre += pre_bytes) {
        for (size_t i = 0; i < pre_bytes; i += 64) {
#pragma GCC unroll 4
            for (int c = 0; c < cols; c++) {
                __builtin_prefetch(pre + (size_t)c * t->pre_col + i, 0, 2);
            }
        }
#pragma GCC unroll 2
        for (int k = 0; k < TILE_PREFETCH; k++, a[0]++, a[1]++, a[2]++, a[3]++, b += b_step) {
            tile_step(acc, a, a_row, b, b_col, rows, cols);
        }
    }
    for (; left; left--, a[0]++, a[1]++, a[2]++, a[3]++, b += b_step) {
        tile_step(acc, a, a_row, b, b_col, rows, cols);
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) {
            v16_store(t->c + (size_t)r * t->c_row + (size_t)c * 16, acc[r][c]);
        }
    }
}

#define TILE_CASE(n)                                                                               \
    case n:                                                                                        \
        if (n <= V16_TILE_ROWS) {                                                                  \
            for (; cols >= (uint32_t)tile_cols(n); cols -= (uint32_t)tile_cols(n)) {               \
                tile_run(&t, n, tile_cols(n));                                                     \
                t.b += (size_t)tile_cols(n) * t.b_col;                                             \
                t.pre += (size_t)tile_cols(n) * t.pre_col;                                         \
                t.c += (size_t)tile_cols(n) * 16;                                                  \
            }                                                                                      \
            for (; tile_cols(n) > 1 && cols; cols--) {                                             \
                tile_run(&t, n, 1);                                                                \
                t.b += t.b_col;                                                                    \
                t.pre += t.pre_col;                                                                \
                t.c += 16;                                                                         \
            }                                                                                      \
        }                                                                                          \
        break

/* rows <= V16_TILE_ROWS, any number of columns. */
static void tile_columns(tile t, uint32_t rows, uint32_t cols)
{
    switch (rows) {
        TILE_CASE(1);
        TILE_CASE(2);
        TILE_CASE(3);
        TILE_CASE(4);
        TILE_CASE(5);
        TILE_CASE(6);
        TILE_CASE(7);
        TILE_CASE(8);
        TILE_CASE(9);
        TILE_CASE(10);
        TILE_CASE(11);
        TILE_CASE(12);
    default:
        break;
    }
}

/* Each tile of rows prefetches its share; a single one relies on the CPU's prefetcher. */
static void tile_rows(tile t, uint32_t rows, uint32_t cols)
{
    size_t tiles = (rows + V16_TILE_ROWS - 1) / V16_TILE_ROWS;
    t.pre_step = tiles > 1 && t.pre_step ? t.pre_step / tiles + 1 : 0;
    if (!t.pre_step) {
        t.pre = (const char *)t.b;
        t.pre_col = 0;
    }
    while (rows) {
        uint32_t n = tile_share(rows, V16_TILE_ROWS);
        tile_columns(t, n, cols);
        t.pre += t.n_k * t.pre_step;
        t.a += n * t.a_row;
        t.c += n * t.c_row;
        rows -= n;
    }
}

#endif
