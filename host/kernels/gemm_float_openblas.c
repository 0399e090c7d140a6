/*
 * gemm_float_openblas.c: y = x W^T + bias for float32 rows, weights f32 or bf16 widened, through
 * OpenBLAS, for CPUs without kernels of our own and as a cross-check of those.
 *
 * OpenBLAS chooses its code by CPU and by the sizes of a call, and in some of it a row's bits
 * depend on the number of rows and on its index. So every call has the same shape: 8 rows (padded
 * with zeros), 16 outputs, K_BLOCK columns or the remainder, added to the sums of the columns
 * before; the bias at the end. zoo_kernels_check verifies that a row's bits then depend on nothing
 * else. They differ between levels, CPUs and OpenBLAS versions.
 *
 * The library is loaded when the level is chosen and limited to one thread per call
 * (blas_library.h): threads divide rows and panels. Stack: 55 KiB.
 */
#include <stdio.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/blas_library.h"
#include "kernels/openblas.h"

enum { TILE_ROWS = 8, K_BLOCK = 512, ROWS_BLOCK = 64 };

static char isa[48] = "openblas";

static __typeof__(&cblas_sgemm) sgemm;

const char *zoo_openblas_begin(void)
{
    char version[24] = "";
    const zoo_blas_library *library = zoo_blas_library_open();
    if (!library) {
        return NULL;
    }
    sgemm = library->gemm;
    (void)sscanf(library->config, "OpenBLAS %23s", version);
    (void)snprintf(isa, sizeof isa, "openblas-%s-%.16s", version, library->core);
    return isa;
}

/* sums [8][16] = (fresh) or += x [8, n_k] w [n_k][16] */
static void add_tile(const float *x, size_t x_stride, const float *w, uint32_t n_k, bool fresh,
                     float *sums)
{
    sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, TILE_ROWS, ZOO_PANEL, (int)n_k, 1.0f, x,
          (int)x_stride, w, ZOO_PANEL, fresh ? 0.0f : 1.0f, sums, ZOO_PANEL);
}

typedef struct blas_part {
    const zoo_gemm *args;
    uint32_t row, n_rows; /* at most ROWS_BLOCK */
    uint32_t panel;
    uint32_t k, n_k; /* at most K_BLOCK columns */
} blas_part;

/* The part's weights [n_k][16], widened to `room` if bf16. */
static const float *weights_of(const blas_part *p, float *room)
{
    const zoo_weight *w = p->args->weight;
    if (w->kind == ZOO_F32) {
        return (const float *)w->data + ((size_t)p->panel * w->cols + p->k) * ZOO_PANEL;
    }
    size_t pairs = ((size_t)w->cols + 1) / 2;
    const uint16_t *at = (const uint16_t *)w->data + (p->panel * pairs + p->k / 2) * 2 * ZOO_PANEL;
    for (uint32_t k = 0; k < p->n_k; k++) {
        for (uint32_t o = 0; o < ZOO_PANEL; o++) {
            room[k * ZOO_PANEL + o] = bf16_value(at[(k / 2 * ZOO_PANEL + o) * 2 + k % 2]);
        }
    }
    return room;
}

static void add_block(const blas_part *p, float *sums)
{
    _Alignas(64) float widened[K_BLOCK * ZOO_PANEL], padded[TILE_ROWS * K_BLOCK];
    const float *w = weights_of(p, widened);
    size_t stride = p->args->x_stride / sizeof(float);
    const float *x = (const float *)p->args->x + p->row * stride + p->k;
    for (uint32_t r = 0; r < p->n_rows; r += TILE_ROWS, x += TILE_ROWS * stride) {
        uint32_t n = p->n_rows - r;
        if (n >= TILE_ROWS) {
            add_tile(x, stride, w, p->n_k, p->k == 0, sums + (size_t)r * ZOO_PANEL);
            continue;
        }
        memset(padded, 0, sizeof padded);
        for (uint32_t i = 0; i < n; i++) {
            memcpy(padded + (size_t)i * K_BLOCK, x + i * stride, p->n_k * sizeof *x);
        }
        add_tile(padded, K_BLOCK, w, p->n_k, p->k == 0, sums + (size_t)r * ZOO_PANEL);
    }
}

static void blas_panel(blas_part *p)
{
    _Alignas(64) float sums[ROWS_BLOCK * ZOO_PANEL];
    const zoo_gemm *g = p->args;
    const zoo_weight *w = g->weight;
    size_t first = (size_t)p->panel * ZOO_PANEL, n = w->rows - first;
    n = n < ZOO_PANEL ? n : ZOO_PANEL;
    for (p->k = 0; p->k < w->cols; p->k += p->n_k) {
        p->n_k = w->cols - p->k < K_BLOCK ? w->cols - p->k : K_BLOCK;
        add_block(p, sums);
    }
    for (uint32_t r = 0; r < p->n_rows; r++) {
        float *y = g->y + (p->row + r) * g->y_stride + first;
        for (size_t o = 0; o < n; o++) {
            y[o] = g->bias ? sums[r * ZOO_PANEL + o] + g->bias[first + o] : sums[r * ZOO_PANEL + o];
        }
    }
}

void k_gemm_f32_openblas(const zoo_gemm *g)
{
    blas_part p = {.args = g};
    for (; p.row < g->n_rows; p.row += p.n_rows) {
        p.n_rows = g->n_rows - p.row < ROWS_BLOCK ? g->n_rows - p.row : ROWS_BLOCK;
        for (p.panel = g->panel_begin; p.panel < g->panel_end; p.panel++) {
            blas_panel(&p);
        }
    }
}

void k_gemm_bf16_openblas(const zoo_gemm *g)
{
    k_gemm_f32_openblas(g);
}

/* Values of mixed size and sign, whose sum depends on the order. */
static void fill(float *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = ((float)(seed >> 8) / 8388608.0f - 1.0f) * (float)(1u << (seed >> 3) % 12);
    }
}

/* Whether a row's bits are the same at each index, alone and with other rows, with both strides
 * that add_block uses. */
static bool places_agree(uint32_t n_k, bool fresh)
{
    enum { STRIDE = K_BLOCK + 16 };
    _Alignas(64) float w[K_BLOCK * ZOO_PANEL], x[TILE_ROWS * STRIDE];
    float row[K_BLOCK], start[ZOO_PANEL], want[ZOO_PANEL];
    fill(w, (size_t)n_k * ZOO_PANEL, 1);
    fill(row, n_k, 2);
    fill(start, ZOO_PANEL, 3);
    for (uint32_t i = 0; i < 4 * TILE_ROWS; i++) {
        uint32_t place = i % TILE_ROWS;
        size_t stride = i / TILE_ROWS % 2 ? STRIDE : K_BLOCK;
        _Alignas(64) float sums[TILE_ROWS * ZOO_PANEL] = {0};
        memset(x, 0, sizeof x);
        if (i >= 2 * TILE_ROWS) {
            fill(x, TILE_ROWS * stride, 4 + i);
        }
        memcpy(x + place * stride, row, n_k * sizeof *row);
        memcpy(sums + place * ZOO_PANEL, start, sizeof start);
        add_tile(x, stride, w, n_k, fresh, sums);
        if (i == 0) {
            memcpy(want, sums, sizeof want);
        } else if (memcmp(want, sums + place * ZOO_PANEL, sizeof want) != 0) {
            return false;
        }
    }
    return true;
}

/* The same, cached for each n_k. */
static bool block_agrees(uint32_t n_k, bool fresh)
{
    enum { UNKNOWN, YES, NO };
    static _Atomic unsigned char answers[K_BLOCK + 1][2];
    if (answers[n_k][fresh] == UNKNOWN) {
        answers[n_k][fresh] = places_agree(n_k, fresh) ? YES : NO;
    }
    return answers[n_k][fresh] == YES;
}

bool zoo_openblas_agrees(uint32_t cols)
{
    uint32_t left = cols % K_BLOCK;
    bool agree = cols < K_BLOCK || (block_agrees(K_BLOCK, true) && block_agrees(K_BLOCK, false));
    return agree && (!left || block_agrees(left, cols < K_BLOCK));
}

void zoo_openblas_touch(void)
{
    (void)places_agree(K_BLOCK, false);
}
