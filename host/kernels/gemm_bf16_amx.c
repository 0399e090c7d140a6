/*
 * gemm_bf16_amx.c: products with bf16 weights through AMX tiles.
 *
 * Rows are rounded to bf16. Columns are processed in blocks of 32, ascending: a tile product adds
 * the block's pairs to each output in the hardware's fixed order, so an output's bits do not depend
 * on the other rows. Bits differ from the other levels. The bias is added at the end. Prepared rows
 * are those of the avx512bf16 level, padded with zeros to whole blocks.
 */
#include "kernels/v16_avx512.h"

#include "kernels/amx.h"
#include "kernels/share.h"

#undef V16_ISA
#define V16_ISA amx
#include "kernels/vmath.h"

enum { TILE_ROWS = 16, BLOCK = 32, AHEAD = 128 };

/* Sums in tiles 0 .. 3 (two blocks of rows by two panels), rows in 4 and 5, weights in 6 and 7. */
static void configure(uint32_t n_a, uint32_t n_b)
{
    tile_config c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = 16;
    }
    c.rows[0] = c.rows[1] = c.rows[4] = (uint8_t)n_a;
    c.rows[2] = c.rows[3] = c.rows[5] = (uint8_t)n_b;
    configure_tiles(&c);
}

size_t k_prepared_size_bf16_amx(uint32_t cols, uint32_t group)
{
    size_t lines = ((size_t)cols * 2 + 63) / 64;
    (void)group;
    return (lines | 1) * 64;
}

void k_prepare_bf16_amx(const float *x, size_t x_stride, uint32_t n_rows, const zoo_weight *weight,
                        void *out)
{
    k_prepare_bf16_avx512bf16(x, x_stride, n_rows, weight, out);
}

typedef struct amx_job {
    const zoo_gemm *g;
    const char *x;
    uint32_t row, n_a, n_b; /* rows of the upper and the lower tile */
    uint32_t panel, n_panels;
} amx_job;

/* The block at `pair`; one that the panel's end cuts is copied to `edge` and padded with zeros. */
static const char *whole_block(const zoo_weight *w, const char *panel, size_t pair, char *edge)
{
    size_t n_pairs = ((size_t)w->cols + 1) / 2, left = n_pairs - pair;
    if (left >= BLOCK / 2) {
        return panel + pair * 64;
    }
    memset(edge, 0, BLOCK / 2 * 64);
    memcpy(edge, panel + pair * 64, left * 64);
    compiler_fence(edge);
    return edge;
}

static void multiply(const amx_job *j, const char *w0, const char *w1, size_t pair)
{
    const char *x = j->x + pair * 4;
    long row = (long)j->g->x_stride;
    _tile_loadd(4, x, row);
    _tile_loadd(6, w0, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (w1) {
        _tile_loadd(7, w1, 64);
        _tile_dpbf16ps(1, 4, 7);
    }
    if (j->n_b) {
        _tile_loadd(5, x + (size_t)row * j->n_a, row);
        _tile_dpbf16ps(2, 5, 6);
        if (w1) {
            _tile_dpbf16ps(3, 5, 7);
        }
    }
}

/* Prefetches the block AHEAD pairs further, of these panels or the next two. Only for the first
 * tiles of rows: later ones find the panels in the L2 cache. */
static inline void prefetch_ahead(const amx_job *j, const char *w0, size_t n_pairs, size_t pair)
{
    size_t at = pair + AHEAD < n_pairs ? pair + AHEAD : pair + AHEAD + n_pairs;
    for (size_t i = at; i < at + BLOCK / 2; i++) {
        __builtin_prefetch(w0 + i * 64, 0, 2);
        if (j->n_panels > 1) {
            __builtin_prefetch(w0 + (n_pairs + i) * 64, 0, 2);
        }
    }
}

static void finish_tile(const amx_job *j, const float *sums, uint32_t row, uint32_t n,
                        uint32_t panel)
{
    const zoo_gemm *g = j->g;
    size_t o = (size_t)panel * ZOO_PANEL, left = g->weight->rows - o;
    for (uint32_t r = 0; r < n; r++) {
        v16 v = v16_load(sums + r * 16);
        v = g->bias ? v16_add(v, v16_get(g->bias + o, left)) : v;
        v16_put(g->y + (row + r) * g->y_stride + o, v, left);
    }
}

static void store_tiles(const amx_job *j)
{
    _Alignas(64) float sums[4][TILE_ROWS * 16];
    _tile_stored(0, sums[0], 64);
    finish_tile(j, sums[0], j->row, j->n_a, j->panel);
    if (j->n_panels > 1) {
        _tile_stored(1, sums[1], 64);
        finish_tile(j, sums[1], j->row, j->n_a, j->panel + 1);
    }
    if (j->n_b) {
        _tile_stored(2, sums[2], 64);
        finish_tile(j, sums[2], j->row + j->n_a, j->n_b, j->panel);
        if (j->n_panels > 1) {
            _tile_stored(3, sums[3], 64);
            finish_tile(j, sums[3], j->row + j->n_a, j->n_b, j->panel + 1);
        }
    }
}

static void amx_panels(const amx_job *j)
{
    _Alignas(64) char edge[2][BLOCK / 2 * 64];
    const zoo_weight *w = j->g->weight;
    size_t n_pairs = ((size_t)w->cols + 1) / 2;
    const char *w0 = (const char *)w->data + j->panel * n_pairs * 64, *w1 = w0 + n_pairs * 64;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t pair = 0; pair < n_pairs; pair += BLOCK / 2) {
        if (j->row == 0) {
            prefetch_ahead(j, w0, n_pairs, pair);
        }
        multiply(j, whole_block(w, w0, pair, edge[0]),
                 j->n_panels > 1 ? whole_block(w, w1, pair, edge[1]) : NULL, pair);
    }
    store_tiles(j);
}

void k_gemm_bf16_amx(const zoo_gemm *g)
{
    amx_job j = {.g = g};
    for (j.row = 0; j.row < g->n_rows; j.row += j.n_a + j.n_b) {
        uint32_t left = g->n_rows - j.row, n = tile_share(left, 2 * TILE_ROWS);
        j.n_a = n < TILE_ROWS ? n : TILE_ROWS;
        j.n_b = n - j.n_a;
        j.x = (const char *)g->x + j.row * g->x_stride;
        configure(j.n_a, j.n_b ? j.n_b : 1);
        for (j.panel = g->panel_begin; j.panel < g->panel_end; j.panel += j.n_panels) {
            j.n_panels = g->panel_end - j.panel < 2 ? 1 : 2;
            amx_panels(&j);
        }
    }
    _tile_release();
}
