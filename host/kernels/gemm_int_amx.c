/*
 * gemm_int_amx.c: products with integer weights through AMX tiles, the bits of all other levels
 * (order of operations: int_rows.h): tiles give the exact integer sums of a group, 512-bit
 * registers the float32 part.
 *
 * Up to 64 rows and 16 panels are processed together, in blocks of columns that fit the L1 cache
 * for all of the rows and one panel. Packed int8 is a tile already; others are unpacked to a
 * buffer once for all rows. A segment is a block's groups of one panel and one tile of rows; its
 * float32 sums are in registers and kept in a buffer between blocks. A tile product is one group of
 * up to 16 rows. The tile unit runs in order, so products rotate over four tiles: a tile is stored
 * two products later and scaled four later, also across segments. Rows that do not divide evenly
 * give overlapping tiles, which compute the same values.
 *
 * Seven to twelve rows of int8 go through gemm_int_amx_streams.inc; fewer rows and other shapes
 * through the avx512vnni kernels, whose bits are the same. Tiles are configured at each call and
 * released at its end. Stack: at most 96 KiB.
 */
#include "kernels/vi_avx512vnni.h"

#include "kernels/amx.h"
#include "kernels/int_rows.h"
#include "kernels/share.h"

#undef V16_ISA
#define V16_ISA amx
#include "kernels/vmath.h"

/* Rows up to which avx512vnni is as fast, one tile of its own; up to which int8 reads four panels
 * side by side. */
enum { ROWS_FEW = 6, ROWS_STREAMS = 12 };
enum { TILE = 16, TILES = 4, PANELS = 16, BLOCK = 512 };
enum { ROUND = 4, TILE_SUMS = TILE * ZOO_PANEL };

typedef struct amx_segment {
    const char *x;
    const unsigned char *w; /* signed bytes */
    const float *w_scales;  /* [groups, ZOO_PANEL] */
    const float *x_scales;  /* [groups, TILE] */
    float *sums;            /* [TILE, ZOO_PANEL] */
} amx_segment;

typedef struct amx_job {
    const zoo_gemm *g;
    const char *x; /* row `row` */
    uint32_t row, n_rows, n_tiles, tile_rows;
    uint32_t panel, n_panels;
    uint32_t begin, n_groups; /* of the block of columns */
    const unsigned char *pre; /* the next packed weights to prefetch */
    size_t pre_step;          /* bytes of them for each product */
    _Alignas(64) int32_t whole[ROUND][TILE_SUMS];
    _Alignas(64) float x_scales[TILES][BLOCK / 32][TILE];
    _Alignas(64) float sums[PANELS][TILES][TILE_SUMS];
    _Alignas(64) unsigned char wide[BLOCK * ZOO_PANEL];
    _Alignas(64) float w_scales[2][BLOCK / 32 * ZOO_PANEL]; /* of this panel and the one before */
} amx_job;

/* Tiles 0 .. 3: sums; 4 and 5: rows of x; 6 and 7: weights. */
static void configure(uint32_t rows, uint32_t depth)
{
    tile_config c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.rows[i] = (uint8_t)(i < 6 ? rows : depth / 4);
        c.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? depth : 64);
    }
    configure_tiles(&c);
}

/* Unpacks 32 columns of int4; steps: their 16 bytes of int4_byte. */
static inline void widen_run(const unsigned char *from, const uint16_t *steps, unsigned char *out)
{
    vi times = vi_steps(steps), zeros = vi_zeros(steps, 1);
    zeros = _mm512_or_si512(zeros, _mm512_slli_epi32(zeros, 8));
    zeros = _mm512_or_si512(zeros, _mm512_slli_epi32(zeros, 16));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++, from += 64, out += 128) {
        vi raw = vi_load(from);
        vi_store(out, _mm512_sub_epi8(vi_times(vi_low(raw), times), zeros));
        vi_store(out + 64, _mm512_sub_epi8(vi_times(vi_high(raw), times), zeros));
    }
}

/* Unpacks n_groups groups of int4. */
static void widen_int4(const unsigned char *from, const uint16_t *scales, uint32_t n_groups,
                       uint32_t group, unsigned char *out)
{
    for (uint32_t g = 0; g < n_groups; g++, scales += int_scales_step(ZOO_INT4, group)) {
        for (uint32_t part = 0; part < group / 32; part++, from += 256, out += 512) {
            widen_run(from, scales + ZOO_PANEL + part * ZOO_PANEL / 2, out);
        }
    }
}

static void widen_int5(const unsigned char *from, size_t columns, unsigned char *out)
{
    __m512i sixteen = _mm512_set1_epi8(16);
    for (size_t k = 0; k < columns; k += 32, from += 64) {
        vi fifths = vi_load(from);
        for (int i = 0; i < 4; i++, out += 128) {
            vi raw = vi_load(from += 64);
            vi low = vi_fifth(vi_low(raw), vi_left(fifths, 4));
            vi high = vi_fifth(vi_high(raw), vi_left(fifths, 3));
            vi_store(out, _mm512_sub_epi8(low, sixteen));
            vi_store(out + 64, _mm512_sub_epi8(high, sixteen));
            fifths = vi_right(fifths, 2);
        }
    }
}

static void widen_int6(const unsigned char *from, size_t columns, unsigned char *out)
{
    for (size_t k = 0; k < columns; k += 16, from += 192, out += 256) {
        vi upper = vi_load(from), first = vi_load(from + 64), second = vi_load(from + 128);
        vi_store(out, vi_signed6(vi_sixth(vi_low(first), vi_left(upper, 4))));
        vi_store(out + 64, vi_signed6(vi_sixth(vi_high(first), vi_left(upper, 2))));
        vi_store(out + 128, vi_signed6(vi_sixth(vi_low(second), upper)));
        vi_store(out + 192, vi_signed6(vi_sixth(vi_high(second), vi_right(upper, 2))));
    }
}

static inline void prefetch_ahead(amx_job *j)
{
    for (size_t b = 0; b < j->pre_step; b += 64) {
        __builtin_prefetch(j->pre + b, 0, 2);
    }
    j->pre += j->pre_step;
}

/* sums[r] += whole[r] * w_scale * x_scale[r] */
__attribute__((always_inline)) static inline void add_group(v16 *sums, const int32_t *whole,
                                                            const amx_segment *s, uint32_t group)
{
    v16 w_scale = v16_load(s->w_scales + (size_t)group * ZOO_PANEL);
    const float *x_scale = s->x_scales + (size_t)group * TILE;
#pragma GCC unroll 16
    for (int r = 0; r < TILE; r++) {
        v16 sum = _mm512_cvtepi32_ps(_mm512_load_si512(whole + r * 16));
        sums[r] = v16_fma(sum, v16_mul(w_scale, v16_set1(x_scale[r])), sums[r]);
    }
}

/* Multiplies four groups of a segment, and scales the four that were multiplied before. */
__attribute__((always_inline)) static inline void
four_groups(amx_job *j, v16 *sums, const amx_segment *now, uint32_t group,
            const amx_segment *before, uint32_t group_before)
{
    size_t size = j->g->weight->group;
    long stride = (long)j->g->x_stride;
    const char *x = now->x + group * size;
    const unsigned char *w = now->w + group * size * ZOO_PANEL;
#define GROUP(c, x_tile, w_tile, earlier)                                                          \
    _tile_zero(c);                                                                                 \
    _tile_loadd(x_tile, x + size * (c), stride);                                                   \
    _tile_loadd(w_tile, w + size * ZOO_PANEL * (c), 64);                                           \
    _tile_dpbssd(c, x_tile, w_tile);                                                               \
    _tile_stored(earlier, j->whole[earlier], 64);                                                  \
    prefetch_ahead(j);                                                                             \
    add_group(sums, j->whole[c], before, group_before + (c))
    GROUP(0, 4, 6, 2);
    GROUP(1, 5, 7, 3);
    GROUP(2, 4, 6, 0);
    GROUP(3, 5, 7, 1);
#undef GROUP
}

__attribute__((always_inline)) static inline void load_sums(v16 *sums, const float *rest)
{
#pragma GCC unroll 16
    for (int r = 0; r < TILE; r++) {
        sums[r] = rest ? v16_load(rest + r * 16) : v16_set1(0);
    }
}

__attribute__((always_inline)) static inline void store_sums(const v16 *sums, float *rest)
{
#pragma GCC unroll 16
    for (int r = 0; r < TILE; r++) {
        v16_store(rest + r * 16, sums[r]);
    }
}

/* Sets the prefetch: this block of the next panel; from the last panel, the next block of the first
 * panel; from the last block, the panel after. */
static void plan_ahead(amx_job *j, const unsigned char *packed, size_t group_bytes, bool last)
{
    const zoo_weight *w = j->g->weight;
    size_t panel_bytes = int_groups(w->cols, w->group) * group_bytes;
    bool more = j->begin + j->n_groups < int_groups(w->cols, w->group);
    j->pre = packed + (last ? j->n_groups * group_bytes : panel_bytes);
    j->pre -= last && more ? (j->n_panels - 1) * panel_bytes : 0;
    j->pre_step = (group_bytes / j->n_tiles + 63) / 64 * 64;
}

static void widen_scales(const zoo_weight *w, const uint16_t *from, uint32_t n_groups, float *out)
{
    size_t step = int_scales_step(w->kind, w->group);
    for (uint32_t g = 0; g < n_groups; g++, from += step, out += ZOO_PANEL) {
        v16_store(out, int_is_rotated(w->kind) ? v16_from_bf16(from) : v16_from_f16(from));
    }
}

/* The block's weights of one panel as signed bytes; widens its scales. */
static const unsigned char *ready(amx_job *j, uint32_t panel, float *scales)
{
    const zoo_weight *w = j->g->weight;
    size_t group_bytes = int_group_bytes(w->kind, w->group);
    size_t first = (size_t)panel * int_groups(w->cols, w->group) + j->begin;
    const unsigned char *packed = (const unsigned char *)w->data + first * group_bytes;
    const uint16_t *at = w->scales + first * int_scales_step(w->kind, w->group);
    plan_ahead(j, packed, group_bytes, panel + 1 == j->panel + j->n_panels);
    widen_scales(w, at, j->n_groups, scales);
    if (w->kind == ZOO_INT8) {
        return packed;
    }
    if (w->kind == ZOO_INT5) {
        widen_int5(packed, (size_t)j->n_groups * w->group, j->wide);
    } else if (w->kind == ZOO_INT6) {
        widen_int6(packed, (size_t)j->n_groups * w->group, j->wide);
    } else {
        widen_int4(packed, at, j->n_groups, w->group, j->wide);
    }
    compiler_fence(j->wide);
    return j->wide;
}

static uint32_t tile_row(const amx_job *j, uint32_t tile)
{
    return tile + 1 < j->n_tiles ? tile * j->tile_rows : j->n_rows - j->tile_rows;
}

/* Stores and scales the products in flight: the last four of `last`. */
static inline void drain(amx_job *j, v16 *sums, const amx_segment *last)
{
    _tile_stored(2, j->whole[2], 64);
    _tile_stored(3, j->whole[3], 64);
    for (uint32_t i = 0; i < ROUND; i++) {
        add_group(sums, j->whole[i], last, j->n_groups - ROUND + i);
    }
    store_sums(sums, last->sums);
}

/* One block for all panels and tiles of rows. The pipeline starts with a dummy segment, whose sums
 * are discarded. */
static void run_block(amx_job *j)
{
    float nothing[TILE_SUMS];
    const zoo_weight *weight = j->g->weight;
    memset(j->w_scales[1], 0, sizeof j->w_scales[1]);
    amx_segment now = {.w_scales = j->w_scales[1], .x_scales = j->x_scales[0][0], .sums = nothing};
    amx_segment before = now;
    v16 sums[TILE];
    load_sums(sums, NULL);
    for (uint32_t p = 0; p < j->n_panels; p++) {
        now.w_scales = j->w_scales[p % 2];
        now.w = ready(j, j->panel + p, j->w_scales[p % 2]);
        for (uint32_t t = 0; t < j->n_tiles; t++) {
            now.x = j->x + tile_row(j, t) * j->g->x_stride + (size_t)j->begin * weight->group;
            now.x_scales = j->x_scales[t][0];
            now.sums = j->sums[p][t];
            four_groups(j, sums, &now, 0, &before, j->n_groups - ROUND);
            store_sums(sums, before.sums);
            load_sums(sums, j->begin ? now.sums : NULL);
            for (uint32_t g = ROUND; g < j->n_groups; g += ROUND) {
                four_groups(j, sums, &now, g, &now, g - ROUND);
            }
            before = now;
        }
    }
    drain(j, sums, &before);
}

/* x_scales [tiles][groups][TILE] of the block. */
static void gather_scales(amx_job *j)
{
    __m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    at = _mm512_mullo_epi32(at, _mm512_set1_epi32((int)(j->g->x_stride / sizeof(float))));
    __mmask16 rows = (__mmask16)((1u << j->tile_rows) - 1);
    for (uint32_t t = 0; t < j->n_tiles; t++) {
        const float *scales = int_row_at(j->g, j->row + tile_row(j, t)).scales + j->begin;
        for (uint32_t g = 0; g < j->n_groups; g++) {
            v16 s = _mm512_mask_i32gather_ps(v16_set1(0), rows, at, scales + g, sizeof(float));
            v16_store(j->x_scales[t][g], s);
        }
    }
}

static void finish(const amx_job *j)
{
    const zoo_gemm *g = j->g;
    for (uint32_t t = 0; t < j->n_tiles; t++) {
        float *y = g->y + (j->row + tile_row(j, t)) * g->y_stride;
        for (uint32_t r = 0; r < j->tile_rows; r++, y += g->y_stride) {
            for (uint32_t p = 0; p < j->n_panels; p++) {
                size_t o = (size_t)(j->panel + p) * ZOO_PANEL, n = g->weight->rows - o;
                v16 v = v16_load(j->sums[p][t] + r * 16);
                v = g->bias ? v16_add(v, v16_get(g->bias + o, n)) : v;
                v16_put(y + o, v, n);
            }
        }
    }
}

static void run_panels(amx_job *j)
{
    const zoo_weight *w = j->g->weight;
    uint32_t n_groups = int_groups(w->cols, w->group);
    uint32_t most = (j->n_tiles > TILES / 2 ? BLOCK / 2 : BLOCK) / w->group;
    for (j->begin = 0; j->begin < n_groups; j->begin += j->n_groups) {
        j->n_groups = n_groups - j->begin < most ? n_groups - j->begin : most;
        gather_scales(j);
        run_block(j);
    }
    finish(j);
}

static void gemm_tiles(const zoo_gemm *g)
{
    amx_job j;
    j.g = g;
    for (j.row = 0; j.row < g->n_rows; j.row += j.n_rows) {
        j.n_rows = tile_share(g->n_rows - j.row, TILES * TILE);
        j.n_tiles = (j.n_rows + TILE - 1) / TILE;
        j.tile_rows = (j.n_rows + j.n_tiles - 1) / j.n_tiles;
        j.x = (const char *)g->x + j.row * g->x_stride;
        configure(j.tile_rows, g->weight->group);
        for (j.panel = g->panel_begin; j.panel < g->panel_end; j.panel += j.n_panels) {
            j.n_panels = g->panel_end - j.panel < PANELS ? g->panel_end - j.panel : PANELS;
            run_panels(&j);
        }
    }
    _tile_release();
}

#include "kernels/gemm_int_amx_streams.inc"

static bool few_or_odd(const zoo_gemm *g)
{
    uint32_t group = g->weight->group;
    bool odd = (group != 32 && group != 64) || g->weight->cols % (group * ROUND);
    return odd || g->n_rows <= ROWS_FEW;
}

void k_gemm_int8_amx(const zoo_gemm *g)
{
    if (few_or_odd(g)) {
        k_gemm_int8_avx512vnni(g);
        return;
    }
    zoo_gemm rest = *g;
    if (g->n_rows <= ROWS_STREAMS && streams_fit(g)) {
        rest.panel_begin = gemm_streams(g);
    }
    if (rest.panel_begin < rest.panel_end) {
        gemm_tiles(&rest);
    }
}

void k_gemm_int4_amx(const zoo_gemm *g)
{
    (few_or_odd(g) ? k_gemm_int4_avx512vnni : gemm_tiles)(g);
}

void k_gemm_int5_amx(const zoo_gemm *g)
{
    (few_or_odd(g) ? k_gemm_int5_avx512vnni : gemm_tiles)(g);
}

void k_gemm_int6_amx(const zoo_gemm *g)
{
    (few_or_odd(g) ? k_gemm_int6_avx512vnni : gemm_tiles)(g);
}
