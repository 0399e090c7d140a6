/*
 * gemm_int_neoni8mm.c: products with integer weights through smmla, which multiplies
 * two rows by two outputs over eight columns. The order of operations is that of int_rows.h.
 *
 * A block of a panel's groups is unpacked once for up to 64 rows: [columns / 8][8] registers of two
 * outputs with eight columns each. It is multiplied by tiles of six rows, whose float32 sums are
 * kept in a buffer between blocks. Few rows use sdot: smmla takes pairs of rows. Stack: 13 KiB.
 */
#include "kernels/vi_neon.h"

#undef V16_ISA
#define V16_ISA neoni8mm
#include "kernels/int_rows.h"
#include "kernels/share.h"
#include "kernels/vmath.h"

enum { MM_ROWS = 6, MM_PAIRS = 3, MM_FEW = 3, MM_BLOCK = 512, MM_ROWS_BLOCK = 64 };

/* Stores registers of two outputs by eight columns, from four columns and the next four. */
static unsigned char *store_eight(vi first, vi second, unsigned char *out)
{
    for (int i = 0; i < 4; i++, out += 32) {
        uint32x4_t a = vreinterpretq_u32_u8(first.q[i]), b = vreinterpretq_u32_u8(second.q[i]);
        vst1q_u8(out, vreinterpretq_u8_u32(vzip1q_u32(a, b)));
        vst1q_u8(out + 16, vreinterpretq_u8_u32(vzip2q_u32(a, b)));
    }
    return out;
}

static vi less(vi x, vi zeros)
{
    VI_QUADS(r, vsubq_u8(x.q[i], zeros.q[i]));
}

/* 32 columns of int4; steps: their 16 bytes of int4_byte. */
static unsigned char *unpack4(const unsigned char *from, const uint16_t *steps, unsigned char *out)
{
    vi times = vi_steps(steps), zeros = vi_all_bytes(vi_zero_words(steps));
    for (int i = 0; i < 4; i++, from += 64) {
        vi raw = vi_load(from);
        out = store_eight(less(vi_times(vi_low(raw), times), zeros),
                          less(vi_times(vi_high(raw), times), zeros), out);
    }
    return out;
}

/* 32 columns of int5. */
static unsigned char *unpack5(const unsigned char *from, unsigned char *out)
{
    vi zeros = {{vdupq_n_u8(INT5_ZERO), vdupq_n_u8(INT5_ZERO), vdupq_n_u8(INT5_ZERO),
                 vdupq_n_u8(INT5_ZERO)}};
    vi fifths = vi_load(from);
    for (int i = 1; i <= 4; i++) {
        vi raw = vi_load(from + (size_t)i * 64);
        out = store_eight(less(vi_fifth(vi_low(raw), vi_left(fifths, 4)), zeros),
                          less(vi_fifth(vi_high(raw), vi_left(fifths, 3)), zeros), out);
        fifths = vi_right(fifths, 2);
    }
    return out;
}

/* 16 columns of int6. */
static unsigned char *unpack6(const unsigned char *from, unsigned char *out)
{
    vi upper = vi_load(from), first = vi_load(from + 64), second = vi_load(from + 128);
    out = store_eight(vi_signed6(vi_sixth(vi_low(first), vi_left(upper, 4))),
                      vi_signed6(vi_sixth(vi_high(first), vi_left(upper, 2))), out);
    return store_eight(vi_signed6(vi_sixth(vi_low(second), upper)),
                       vi_signed6(vi_sixth(vi_high(second), vi_right(upper, 2))), out);
}

/* Unpacks n groups of a panel to signed bytes. */
static void unpack_weights(const zoo_weight *w, const unsigned char *from, const uint16_t *scales,
                           uint32_t n, unsigned char *out)
{
    const unsigned char *end = from + n * int_group_bytes(w->kind, w->group);
    if (w->kind == ZOO_INT8) {
        for (; from < end; from += 128) {
            out = store_eight(vi_load(from), vi_load(from + 64), out);
        }
        return;
    }
    for (; w->kind == ZOO_INT5 && from < end; from += 320) {
        out = unpack5(from, out);
    }
    for (; w->kind == ZOO_INT6 && from < end; from += 192) {
        out = unpack6(from, out);
    }
    for (; w->kind == ZOO_INT4 && from < end; scales += int_scales_step(w->kind, w->group)) {
        for (uint32_t part = 0; part < w->group / 32; part++, from += 256) {
            out = unpack4(from, scales + ZOO_PANEL + part * ZOO_PANEL / 2, out);
        }
    }
}

typedef struct mm_tile {
    const unsigned char *w; /* unpacked */
    const uint16_t *w_scales;
    const int8_t *x; /* first row, first group */
    const float *x_scales;
    float *sums;  /* [rows][16] */
    size_t x_row; /* bytes between rows, of both parts */
    uint32_t kind, group, n_groups;
    bool fresh;
} mm_tile;

/* Row r of prepared rows; an odd last row is paired with itself. */
static inline const char *row_of(const void *p, size_t x_row, int r, int rows)
{
    return (const char *)p + (size_t)(r < rows ? r : rows - 1) * x_row;
}

/* Scales the integer sums of row r and adds them to its float32 sums. */
__attribute__((always_inline)) static inline void mm_scale(const mm_tile *t, size_t g, int r,
                                                           int rows, const int32x4_t *acc)
{
    float scale, *sums = t->sums + (size_t)r * 16;
    memcpy(&scale, row_of(t->x_scales, t->x_row, r, rows) + g * 4, sizeof scale);
    const uint16_t *at = t->w_scales + g * int_scales_step(t->kind, t->group);
    v16 scales = int_is_rotated(t->kind) ? v16_from_bf16(at) : v16_from_f16(at);
    scales = v16_mul(scales, v16_set1(scale));
    v16 whole, old = t->fresh && g == 0 ? v16_set1(0) : v16_load(sums);
    for (int i = 0; i < 4; i++) {
        int64x2_t a = vreinterpretq_s64_s32(acc[2 * i]), b = vreinterpretq_s64_s32(acc[2 * i + 1]);
        int64x2_t both = r % 2 ? vtrn2q_s64(a, b) : vtrn1q_s64(a, b);
        whole.q[i] = vcvtq_f32_s32(vreinterpretq_s32_s64(both));
    }
    v16_store(sums, v16_fma(whole, scales, old));
}

__attribute__((always_inline)) static inline void mm_run(const mm_tile *t, int rows)
{
    const unsigned char *w = t->w;
    for (size_t g = 0; g < t->n_groups; g++) {
        int32x4_t acc[MM_PAIRS][8];
        for (int i = 0; i < MM_PAIRS * 8; i++) {
            acc[i / 8][i % 8] = vdupq_n_s32(0);
        }
        for (size_t k = g * t->group; k < (g + 1) * t->group; k += 8, w += 128) {
            int8x16_t x[MM_PAIRS];
#pragma GCC unroll 3
            for (int p = 0; p < (rows + 1) / 2; p++) {
                const int8_t *a = (const int8_t *)row_of(t->x, t->x_row, 2 * p, rows) + k;
                const int8_t *b = (const int8_t *)row_of(t->x, t->x_row, 2 * p + 1, rows) + k;
                x[p] = vcombine_s8(vld1_s8(a), vld1_s8(b));
            }
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) {
                int8x16_t two = vreinterpretq_s8_u8(vld1q_u8(w + 16 * j));
#pragma GCC unroll 3
                for (int p = 0; p < (rows + 1) / 2; p++) {
                    acc[p][j] = vmmlaq_s32(acc[p][j], x[p], two);
                }
            }
        }
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            mm_scale(t, g, r, rows, acc[r / 2]);
        }
    }
}

static void mm_rows(const mm_tile *t, uint32_t rows)
{
    switch (rows) {
    case 1:
        mm_run(t, 1);
        break;
    case 2:
        mm_run(t, 2);
        break;
    case 3:
        mm_run(t, 3);
        break;
    case 4:
        mm_run(t, 4);
        break;
    case 5:
        mm_run(t, 5);
        break;
    default:
        mm_run(t, 6);
        break;
    }
}

typedef struct mm_part {
    const zoo_gemm *args;
    uint32_t row, n_rows; /* at most MM_ROWS_BLOCK */
    uint32_t panel;
    uint32_t begin, n_groups; /* groups of a block */
} mm_part;

static void mm_block(const mm_part *p, float *sums)
{
    _Alignas(64) unsigned char ready[MM_BLOCK * ZOO_PANEL];
    const zoo_gemm *g = p->args;
    const zoo_weight *w = g->weight;
    size_t n_groups = int_groups(w->cols, w->group), bytes = int_group_bytes(w->kind, w->group);
    const unsigned char *from =
        (const unsigned char *)w->data + (p->panel * n_groups + p->begin) * bytes;
    int_row x = int_row_at(g, p->row);
    mm_tile t = {.w = ready, .x_row = g->x_stride, .kind = w->kind, .group = w->group};
    t.n_groups = p->n_groups;
    t.w_scales = w->scales + (p->panel * n_groups + p->begin) * int_scales_step(w->kind, w->group);
    unpack_weights(w, from, t.w_scales, p->n_groups, ready);
    t.fresh = p->begin == 0;
    t.sums = sums;
    for (uint32_t row = 0, n; row < p->n_rows; row += n, t.sums += n * ZOO_PANEL) {
        n = tile_share(p->n_rows - row, MM_ROWS);
        x = int_row_at(g, p->row + row);
        t.x = x.q + (size_t)p->begin * w->group;
        t.x_scales = x.scales + p->begin;
        mm_rows(&t, n);
    }
}

static void mm_panel(mm_part *p)
{
    float sums[MM_ROWS_BLOCK * ZOO_PANEL];
    const zoo_gemm *g = p->args;
    uint32_t n_groups = int_groups(g->weight->cols, g->weight->group);
    uint32_t most = MM_BLOCK / g->weight->group;
    size_t o = (size_t)p->panel * ZOO_PANEL, n = g->weight->rows - o;
    for (p->begin = 0; p->begin < n_groups; p->begin += p->n_groups) {
        p->n_groups = n_groups - p->begin < most ? n_groups - p->begin : most;
        mm_block(p, sums);
    }
    v16 factor = v16_set1((float)int_factor(g->weight));
    for (uint32_t r = 0; r < p->n_rows; r++) {
        v16 v = v16_load(sums + (size_t)r * ZOO_PANEL);
        v = int_is_short(g->weight->kind, g->weight->group) ? v16_mul(v, factor) : v;
        v = g->bias ? v16_add(v, v16_get(g->bias + o, n)) : v;
        v16_put(g->y + (p->row + r) * g->y_stride + o, v, n);
    }
}

void k_gemm_int8_neoni8mm(const zoo_gemm *g)
{
    mm_part p = {.args = g};
    uint32_t group = g->weight->group;
    if (g->n_rows <= MM_FEW || group % 8 || group > MM_BLOCK) {
        (g->weight->kind == ZOO_INT6 ? k_gemm_int6_neondot : k_gemm_int8_neondot)(g);
        return;
    }
    for (; p.row < g->n_rows; p.row += p.n_rows) {
        p.n_rows = g->n_rows - p.row < MM_ROWS_BLOCK ? g->n_rows - p.row : MM_ROWS_BLOCK;
        for (p.panel = g->panel_begin; p.panel < g->panel_end; p.panel++) {
            mm_panel(&p);
        }
    }
}

void k_gemm_int4_neoni8mm(const zoo_gemm *g)
{
    k_gemm_int8_neoni8mm(g);
}

void k_gemm_int5_neoni8mm(const zoo_gemm *g)
{
    k_gemm_int8_neoni8mm(g);
}

void k_gemm_int6_neoni8mm(const zoo_gemm *g)
{
    k_gemm_int8_neoni8mm(g);
}
