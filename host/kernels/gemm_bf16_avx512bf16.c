/*
 * gemm_bf16_avx512bf16.c: products with bf16 weights through vdpbf16ps.
 *
 * Rows are rounded to bf16 (to nearest even) and multiplied pair by pair: acc = acc + x[k+1]
 * w[k+1], then + x[k] w[k], each rounded once, subnormals flushed to zero, k ascending by two; the
 * bias at the end. The same for any number of rows. Bits differ from the other levels, which keep
 * rows in float32. A prepared row is [ceil(cols / 2)] pairs, padded to an odd number of cache
 * lines.
 */
#include "kernels/v16_avx512.h"

#include "kernels/share.h"

#undef V16_ISA
#define V16_ISA avx512bf16
#include "kernels/vmath.h"

enum { ROWS_MAX = 12, BLOCK_PAIRS = 32 };

size_t k_prepared_size_bf16_avx512bf16(uint32_t cols, uint32_t group)
{
    size_t lines = (((size_t)cols + 1) / 2 * 4 + 63) / 64;
    (void)group;
    return (lines | 1) * 64;
}

void k_prepare_bf16_avx512bf16(const float *x, size_t x_stride, uint32_t n_rows,
                               const zoo_weight *weight, void *out)
{
    size_t size = k_prepared_size_bf16_avx512bf16(weight->cols, 0);
    for (size_t r = 0; r < n_rows; r++) {
        unsigned char *row = (unsigned char *)out + r * size;
        memset(row, 0, size);
        for (size_t k = 0; k < weight->cols; k += 16) {
            uint16_t part[16];
            size_t n = weight->cols - k < 16 ? weight->cols - k : 16;
            v16_to_bf16(part, v16_load_n(x + r * x_stride + k, n));
            memcpy(row + 2 * k, part, 2 * n);
        }
    }
}

typedef struct pair_tile {
    const char *x; /* rows of pairs */
    size_t x_row;
    const char *w; /* 64 bytes a pair of columns */
    size_t w_col;
    float *c;
    size_t c_row, n_pairs;
    const char *pre; /* the next weights to prefetch */
    size_t pre_step; /* bytes of them for each block of pairs */
} pair_tile;

/* Inline assembly, since gcc 12 copies the accumulator around its builtin. */
static inline __m512 dot_pairs(__m512 acc, __m512i w, __m512i x)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(w), "v"(x));
    return acc;
}

__attribute__((always_inline)) static inline void pairs_run(const pair_tile *t, int rows, int cols)
{
    __m512 acc[ROWS_MAX][4];
    const char *b[4] = {t->x, t->x + 3 * t->x_row, t->x + 6 * t->x_row, t->x + 9 * t->x_row};
    const char *w = t->w, *pre = t->pre;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) {
            acc[r][c] = _mm512_setzero_ps();
        }
    }
    for (size_t k = 0; k < t->n_pairs; k++, w += 64) {
        __m512i now[4];
        if (k % BLOCK_PAIRS == 0) {
            for (size_t i = 0; i < t->pre_step; i += 64) {
                __builtin_prefetch(pre + i, 0, 2);
            }
            pre += t->pre_step;
        }
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) {
            now[c] = _mm512_loadu_si512(w + (size_t)c * t->w_col);
        }
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            int32_t pair;
            memcpy(&pair, b[r / 3] + (size_t)(r % 3) * t->x_row + k * 4, sizeof pair);
            __m512i x = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (int c = 0; c < cols; c++) {
                acc[r][c] = dot_pairs(acc[r][c], now[c], x);
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) {
            _mm512_storeu_ps(t->c + (size_t)r * t->c_row + (size_t)c * 16, acc[r][c]);
        }
    }
}

#define PAIRS_CASE(n)                                                                              \
    case n:                                                                                        \
        if (cols == 4 && n <= 6) {                                                                 \
            pairs_run(&t, n, 4);                                                                   \
        } else if (cols == 2) {                                                                    \
            pairs_run(&t, n, 2);                                                                   \
        } else {                                                                                   \
            pairs_run(&t, n, 1);                                                                   \
        }                                                                                          \
        break

static void pairs_tile(pair_tile t, uint32_t rows, uint32_t cols)
{
    switch (rows) {
        PAIRS_CASE(1);
        PAIRS_CASE(2);
        PAIRS_CASE(3);
        PAIRS_CASE(4);
        PAIRS_CASE(5);
        PAIRS_CASE(6);
        PAIRS_CASE(7);
        PAIRS_CASE(8);
        PAIRS_CASE(9);
        PAIRS_CASE(10);
        PAIRS_CASE(11);
        PAIRS_CASE(12);
    default:
        break;
    }
}

static void finish(const zoo_gemm *g, uint32_t row, uint32_t panel, const float *from, size_t n)
{
    float *y = g->y + row * g->y_stride + (size_t)panel * ZOO_PANEL;
    for (size_t o = 0; o < n; o += 16) {
        v16 v = v16_load(from + o);
        if (g->bias) {
            v = v16_add(v, v16_get(g->bias + (size_t)panel * ZOO_PANEL + o, n - o));
        }
        v16_put(y + o, v, n - o);
    }
}

/* `cols` panels for all rows; each tile of rows prefetches its share of the next panels. */
static void pairs_panels(const zoo_gemm *g, uint32_t panel, uint32_t cols)
{
    float c[ROWS_MAX * 4 * ZOO_PANEL];
    const zoo_weight *w = g->weight;
    size_t n_pairs = ((size_t)w->cols + 1) / 2, blocks = (n_pairs + BLOCK_PAIRS - 1) / BLOCK_PAIRS;
    size_t left = (size_t)w->rows - (size_t)panel * ZOO_PANEL;
    size_t n_out = left < cols * ZOO_PANEL ? left : cols * ZOO_PANEL;
    uint32_t tiles = (g->n_rows + ROWS_MAX - 1) / ROWS_MAX;
    pair_tile t = {.x = g->x, .x_row = g->x_stride, .c = c, .c_row = 4 * ZOO_PANEL};
    t.w_col = n_pairs * 64;
    t.w = (const char *)w->data + panel * t.w_col;
    t.n_pairs = n_pairs;
    t.pre = t.w + cols * t.w_col;
    t.pre_step = tiles > 1 ? (cols * t.w_col / tiles / blocks + 63) / 64 * 64 : 0;
    for (uint32_t row = 0, n; row < g->n_rows; row += n) {
        n = tile_share(g->n_rows - row, ROWS_MAX);
        prefetch_rows(g->y + row * g->y_stride + (size_t)panel * ZOO_PANEL, g->y_stride, n, n_out);
        pairs_tile(t, n, cols);
        for (uint32_t r = 0; r < n; r++) {
            finish(g, row + r, panel, c + r * t.c_row, n_out);
        }
        t.x += n * t.x_row;
        t.pre += t.pre_step * blocks;
    }
}

void k_gemm_bf16_avx512bf16(const zoo_gemm *g)
{
    uint32_t wide = g->n_rows <= 6 ? 4 : 2, cols;
    for (uint32_t p = g->panel_begin; p < g->panel_end; p += cols) {
        uint32_t left = g->panel_end - p;
        cols = left >= wide ? wide : left >= 2 ? 2 : 1;
        pairs_panels(g, p, cols);
    }
}
