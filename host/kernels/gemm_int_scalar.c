/*
 * gemm_int_scalar.c: products with integer weights; int_rows.h has the order of operations.
 */
#include "kernels/bf16.h"
#include "kernels/f16.h"
#include "kernels/fma.h"
#include "kernels/int_rows.h"
#include "kernels/kernels.inc"

/* Integer sums of columns begin .. end - 1 of 32 of int5: their upper bits, then their nibbles. */
static void sums5(const unsigned char *bits, uint32_t begin, uint32_t end, const int8_t *x,
                  int32_t *sums)
{
    for (uint32_t k = begin; k < end; k++) {
        const unsigned char *quad = bits + 4 * ZOO_PANEL * (1 + k / 8) + k % 4;
        for (uint32_t o = 0; o < ZOO_PANEL; o++) {
            int four = quad[o * 4] >> (k % 8 / 4 * 4) & 15,
                fifth = bits[o * 4 + k % 4] >> (k / 4) & 1;
            sums[o] += (four + 16 * fifth - INT5_ZERO) * x[k - begin];
        }
    }
}

/* Integer sums of 16 columns of int6. */
static void sums6(const unsigned char *bits, const int8_t *x, int32_t *sums)
{
    for (uint32_t k = 0; k < 16; k++) {
        const unsigned char *quad = bits + 4 * ZOO_PANEL * (1 + k / 8) + k % 4;
        for (uint32_t o = 0; o < ZOO_PANEL; o++) {
            int four = quad[o * 4] >> (k % 8 / 4 * 4) & 15,
                upper = bits[o * 4 + k % 4] >> (k / 4 * 2) & 3;
            sums[o] += (four + 16 * upper - INT6_ZERO) * x[k];
        }
    }
}

/* Integer sums of one group for the 16 outputs of a panel. */
static void group_sums(const zoo_weight *w, const unsigned char *quads, const uint16_t *scales,
                       const int8_t *x, int32_t *sums)
{
    uint32_t step = w->kind == ZOO_INT8 ? 4 : 8;
    if (w->kind == ZOO_INT5) {
        for (uint32_t k = 0; k < w->group; k += 32, quads += 320) {
            sums5(quads, 0, 32, x + k, sums);
        }
        return;
    }
    if (w->kind == ZOO_INT6) {
        for (uint32_t k = 0; k < w->group; k += 16, quads += 192) {
            sums6(quads, x + k, sums);
        }
        return;
    }
    for (uint32_t k = 0; k < w->group; k += step, quads += 4 * ZOO_PANEL) {
        for (uint32_t i = 0; i < 4 * ZOO_PANEL; i++) {
            int byte = quads[i], o = (int)i / 4;
            uint32_t j = k + i % 4;
            if (w->kind == ZOO_INT8) {
                sums[o] += (int8_t)byte * x[j];
            } else {
                int4_steps s = int4_steps_at(scales, k / 32, (uint32_t)o);
                sums[o] += (s.times * (byte & 15) - s.zero) * x[j] +
                           (s.times * (byte >> 4) - s.zero) * x[j + 4];
            }
        }
    }
}

static void int_panel(const zoo_gemm *g, uint32_t row, uint32_t panel)
{
    const zoo_weight *w = g->weight;
    uint32_t n_groups = int_groups(w->cols, w->group);
    size_t group_bytes = int_group_bytes(w->kind, w->group);
    const unsigned char *data = (const unsigned char *)w->data + panel * n_groups * group_bytes;
    size_t step = int_scales_step(w->kind, w->group);
    const uint16_t *scales = w->scales + panel * n_groups * step;
    int_row x = int_row_at(g, row);
    float acc[ZOO_PANEL] = {0};
    for (uint32_t i = 0; i < n_groups; i++, scales += step) {
        int32_t sums[ZOO_PANEL] = {0};
        const int8_t *q = x.q + (size_t)i * w->group;
        if (int_is_short(w->kind, w->group)) {
            sums5(data + i / 2 * 2 * group_bytes, i % 2 * 16, i % 2 * 16 + 16, q, sums);
        } else {
            group_sums(w, data + i * group_bytes, scales, q, sums);
        }
        for (uint32_t o = 0; o < ZOO_PANEL; o++) {
            float scale = int_is_rotated(w->kind) ? bf16_value(scales[o]) : f16_value(scales[o]);
            acc[o] = fma_float((float)sums[o], scale * x.scales[i], acc[o]);
        }
    }
    for (uint32_t o = 0; o < ZOO_PANEL && panel * ZOO_PANEL + o < w->rows; o++) {
        uint32_t out = panel * ZOO_PANEL + o;
        acc[o] = int_is_short(w->kind, w->group) ? acc[o] * (float)int_factor(w) : acc[o];
        g->y[row * g->y_stride + out] = g->bias ? acc[o] + g->bias[out] : acc[o];
    }
}

void k_gemm_int8_scalar(const zoo_gemm *g)
{
    for (uint32_t p = g->panel_begin; p < g->panel_end; p++) {
        for (uint32_t i = 0; i < g->n_rows; i++) {
            int_panel(g, i, p);
        }
    }
}

void k_gemm_int4_scalar(const zoo_gemm *g)
{
    k_gemm_int8_scalar(g);
}

void k_gemm_int5_scalar(const zoo_gemm *g)
{
    k_gemm_int8_scalar(g);
}

void k_gemm_int6_scalar(const zoo_gemm *g)
{
    k_gemm_int8_scalar(g);
}
