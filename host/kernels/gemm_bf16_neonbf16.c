/*
 * gemm_bf16_neonbf16.c: products with bf16 weights through bfdot and bfmmla.
 *
 * Rows are rounded to bf16 (to nearest even) and multiplied pair by pair, k ascending by two: the
 * two products of a pair are rounded to odd and added, rounded to odd, and added to the sum,
 * rounded to odd; subnormals count as zero. The bias at the end. bfmmla is defined as bfdot for one
 * pair and then for the next, so any number of rows gives the same bits. They differ from the other
 * levels. A prepared row is [ceil(cols / 2)] pairs, padded with zeros to an odd number of cache
 * lines.
 *
 * Up to BF_FEW rows use bfdot: bfmmla takes pairs of rows, and an odd row would waste half.
 */
#include "kernels/v16_neon.h"

#include "kernels/share.h"

#undef V16_ISA
#define V16_ISA neonbf16
#include "kernels/vmath.h"

enum { BF_ROWS = 6, BF_PAIRS = 3, BF_FEW = 3 };

size_t k_prepared_size_bf16_neonbf16(uint32_t cols, uint32_t group)
{
    size_t lines = (((size_t)cols + 1) / 2 * 4 + 63) / 64;
    (void)group;
    return (lines | 1) * 64;
}

void k_prepare_bf16_neonbf16(const float *x, size_t x_stride, uint32_t n_rows,
                             const zoo_weight *weight, void *out)
{
    size_t size = k_prepared_size_bf16_neonbf16(weight->cols, 0);
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

typedef struct bf_tile {
    const char *x; /* rows of pairs */
    size_t x_row;
    const char *w; /* 64 bytes a pair of columns */
    size_t n_pairs;
    v16 sums[BF_ROWS]; /* the result */
} bf_tile;

static inline bfloat16x8_t as_bf16(uint32x4_t words)
{
    return vreinterpretq_bf16_u32(words);
}

/* Two pairs at a time, as in bf_mm, where a missing last pair is also zero times zero. */
__attribute__((always_inline)) static inline void bf_dot(bf_tile *t, int rows)
{
    v16 acc[BF_FEW];
    const char *w = t->w;
    for (int r = 0; r < rows; r++) {
        acc[r] = v16_set1(0);
    }
    for (size_t k = 0; k < t->n_pairs; k++, w += 64) {
        uint32x4_t x[BF_FEW];
        for (int r = 0; r < rows; r++) {
            uint32_t pair;
            memcpy(&pair, t->x + (size_t)r * t->x_row + 4 * k, sizeof pair);
            x[r] = vdupq_n_u32(pair);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            bfloat16x8_t four = as_bf16(vld1q_u32((const uint32_t *)(const void *)w + 4 * i));
            for (int r = 0; r < rows; r++) {
                acc[r].q[i] = vbfdotq_f32(acc[r].q[i], four, as_bf16(x[r]));
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        bfloat16x8_t zero = as_bf16(vdupq_n_u32(0));
        for (int i = 0; i < 4 && t->n_pairs % 2; i++) {
            acc[r].q[i] = vbfdotq_f32(acc[r].q[i], zero, zero);
        }
        t->sums[r] = acc[r];
    }
}

/* Two pairs of two rows and all sixteen outputs; an odd row at the end is its own partner. */
__attribute__((always_inline)) static inline void bf_step(const bf_tile *t, size_t k, int rows,
                                                          const uint32x4_t *first,
                                                          const uint32x4_t *second,
                                                          float32x4_t acc[][8])
{
    uint32x4_t x[BF_PAIRS];
#pragma GCC unroll 3
    for (int p = 0; p < (rows + 1) / 2; p++) {
        int other = 2 * p + 1 < rows ? 2 * p + 1 : 2 * p;
        const char *a = t->x + (size_t)(2 * p) * t->x_row + 4 * k;
        const char *b = t->x + (size_t)other * t->x_row + 4 * k;
        x[p] = vcombine_u32(vld1_u32((const uint32_t *)(const void *)a),
                            vld1_u32((const uint32_t *)(const void *)b));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        bfloat16x8_t low = as_bf16(vzip1q_u32(first[i], second[i]));
        bfloat16x8_t high = as_bf16(vzip2q_u32(first[i], second[i]));
#pragma GCC unroll 3
        for (int p = 0; p < (rows + 1) / 2; p++) {
            acc[p][2 * i] = vbfmmlaq_f32(acc[p][2 * i], as_bf16(x[p]), low);
            acc[p][2 * i + 1] = vbfmmlaq_f32(acc[p][2 * i + 1], as_bf16(x[p]), high);
        }
    }
}

__attribute__((always_inline)) static inline void bf_mm(bf_tile *t, int rows)
{
    float32x4_t acc[BF_PAIRS][8];
    const uint32_t *w = (const uint32_t *)(const void *)t->w;
    uint32x4_t first[4], second[4];
    for (int p = 0; p < (rows + 1) / 2; p++) {
        for (int j = 0; j < 8; j++) {
            acc[p][j] = vdupq_n_f32(0);
        }
    }
    size_t k = 0;
    for (; k + 1 < t->n_pairs; k += 2, w += 32) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            first[i] = vld1q_u32(w + 4 * i);
            second[i] = vld1q_u32(w + 16 + 4 * i);
        }
        bf_step(t, k, rows, first, second, acc);
    }
    if (k < t->n_pairs) { /* prepared rows are zero where the last pair is missing */
        for (int i = 0; i < 4; i++) {
            first[i] = vld1q_u32(w + 4 * i);
            second[i] = vdupq_n_u32(0);
        }
        bf_step(t, k, rows, first, second, acc);
    }
    for (int r = 0; r < rows; r++) {
        for (int i = 0; i < 4; i++) {
            float64x2_t a = vreinterpretq_f64_f32(acc[r / 2][2 * i]);
            float64x2_t b = vreinterpretq_f64_f32(acc[r / 2][2 * i + 1]);
            t->sums[r].q[i] = vreinterpretq_f32_f64(r % 2 ? vtrn2q_f64(a, b) : vtrn1q_f64(a, b));
        }
    }
}

static void bf_rows(bf_tile *t, uint32_t rows)
{
    switch (rows) {
    case 1:
        bf_dot(t, 1);
        break;
    case 2:
        bf_dot(t, 2);
        break;
    case 3:
        bf_dot(t, 3);
        break;
    case 4:
        bf_mm(t, 4);
        break;
    case 5:
        bf_mm(t, 5);
        break;
    default:
        bf_mm(t, 6);
        break;
    }
}

void k_gemm_bf16_neonbf16(const zoo_gemm *g)
{
    const zoo_weight *w = g->weight;
    size_t n_pairs = ((size_t)w->cols + 1) / 2;
    for (uint32_t panel = g->panel_begin; panel < g->panel_end; panel++) {
        size_t o = (size_t)panel * ZOO_PANEL, left = w->rows - o;
        bf_tile t = {.x = g->x, .x_row = g->x_stride, .n_pairs = n_pairs};
        t.w = (const char *)w->data + panel * n_pairs * 64;
        for (uint32_t row = 0, n; row < g->n_rows; row += n, t.x += n * t.x_row) {
            n = tile_share(g->n_rows - row, BF_ROWS);
            bf_rows(&t, n);
            for (uint32_t r = 0; r < n; r++) {
                v16 v = t.sums[r];
                v = g->bias ? v16_add(v, v16_get(g->bias + o, left)) : v;
                v16_put(g->y + (row + r) * g->y_stride + o, v, left);
            }
        }
    }
}
