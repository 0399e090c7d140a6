/*
 * gemm_int_amx.c: products with int8, int4 and int5 weights through AMX tiles, the bits of all
 * other levels (order of operations: int_rows.h): tiles give the exact integer sums of a group,
 * 512-bit registers the float32 part.
 *
 * One product takes up to 16 rows of 64 or 32 bytes of a group against 16 quads of a panel; packed
 * int8 panels are tiles as they stand, the others are widened to a buffer once per group of panels.
 * Up to ROWS_FEW rows go to the avx512vnni kernels, whose bits are the same. Tiles are configured
 * at each call and released at its end. Stack: at most 40 KiB.
 */
#include "vi_avx512vnni.h"

#include "amx.h"
#include "int_rows.h"
#include "share.h"

#undef V16_ISA
#define V16_ISA amx
#include "vmath.h"

enum { ROWS_FEW = 6, TILE_ROWS = 16, GROUPS_BLOCK = 16, PANELS = 2 };

/* Tile 0: sums; 1: rows of x; 2: weights, for `depth` bytes of each of n rows. */
static void configure(uint32_t n, uint32_t depth)
{
    tile_config c = {.palette = 1};
    c.rows[0] = c.rows[1] = (uint8_t)n;
    c.row_bytes[0] = c.row_bytes[2] = 64;
    c.row_bytes[1] = (uint16_t)depth;
    c.rows[2] = (uint8_t)(depth / 4);
    configure_tiles(&c);
}

typedef struct amx_job {
    const zoo_gemm *g;
    const int8_t *x;
    const float *x_scales;
    uint32_t row, n_rows, panel;
    uint32_t depth; /* bytes of x in one tile: 64 or 32 */
} amx_job;

static void widen_quads(const unsigned char *from, size_t columns, unsigned char *out)
{
    __m512i eight = _mm512_set1_epi8(8);
    for (size_t k = 0; k < columns; k += 8, from += 64, out += 128) {
        vi raw = vi_load(from);
        vi_store(out, _mm512_sub_epi8(vi_low(raw), eight));
        vi_store(out + 64, _mm512_sub_epi8(vi_high(raw), eight));
    }
}

static void widen_fives(const unsigned char *from, size_t columns, unsigned char *out)
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

/* sums[r] += whole[r] * w_scale * x_scale[r] */
static void add_group(const amx_job *j, const int32_t *whole, const uint16_t *w_scale, size_t group,
                      float *sums)
{
    v16 scale = v16_from_bf16(w_scale);
    for (uint32_t r = 0; r < j->n_rows; r++) {
        const void *at = (const char *)(j->x_scales + group) + r * j->g->x_stride;
        v16 s = v16_mul(scale, v16_set1(*(const float *)at));
        v16 sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(whole + r * 16));
        v16_store(sums + r * 16, v16_fma(sum, s, v16_load(sums + r * 16)));
    }
}

/* Groups [begin, begin + n) of one panel, quads of signed bytes at w. */
static void amx_groups(const amx_job *j, const unsigned char *w, uint32_t begin, uint32_t n,
                       float *sums)
{
    _Alignas(64) int32_t whole[2][TILE_ROWS * 16];
    const zoo_weight *weight = j->g->weight;
    uint32_t group = weight->group;
    size_t n_groups = int_groups(weight->cols, group);
    const uint16_t *scales = weight->scales + ((size_t)j->panel * n_groups + begin) * 16;
    for (uint32_t g = 0; g < n; g++, w += (size_t)group * 16) {
        const int8_t *x = j->x + (size_t)(begin + g) * group;
        _tile_zero(0);
        for (uint32_t k = 0; k < group; k += j->depth) {
            _tile_loadd(1, x + k, (long)j->g->x_stride);
            _tile_loadd(2, w + (size_t)k * 16, 64);
            _tile_dpbssd(0, 1, 2);
        }
        _tile_stored(0, whole[g % 2], 64);
        if (g > 0) {
            add_group(j, whole[(g - 1) % 2], scales + (size_t)(g - 1) * 16, begin + g - 1, sums);
        }
    }
    add_group(j, whole[(n - 1) % 2], scales + (size_t)(n - 1) * 16, begin + n - 1, sums);
}

static void finish_tile(const amx_job *j, const float *sums)
{
    const zoo_gemm *g = j->g;
    size_t o = (size_t)j->panel * ZOO_PANEL, n = g->weight->rows - o;
    for (uint32_t r = 0; r < j->n_rows; r++) {
        v16 v = v16_load(sums + r * 16);
        v = g->bias ? v16_add(v, v16_get(g->bias + o, n)) : v;
        v16_put(g->y + (j->row + r) * g->y_stride + o, v, n);
    }
}

static void amx_panel(amx_job *j)
{
    _Alignas(64) unsigned char wide[GROUPS_BLOCK * 64 * ZOO_PANEL];
    _Alignas(64) float sums[TILE_ROWS * 16] = {0};
    const zoo_weight *w = j->g->weight;
    uint32_t n_groups = int_groups(w->cols, w->group), n;
    size_t group_bytes = int_group_bytes(w->kind, w->group);
    const unsigned char *data = (const unsigned char *)w->data + j->panel * n_groups * group_bytes;
    for (uint32_t begin = 0; begin < n_groups; begin += n) {
        n = n_groups - begin < GROUPS_BLOCK ? n_groups - begin : GROUPS_BLOCK;
        const unsigned char *at = data + begin * group_bytes;
        if (w->kind != ZOO_INT8) {
            (w->kind == ZOO_INT5 ? widen_fives : widen_quads)(at, (size_t)n * w->group, wide);
            at = wide;
            settle(wide);
        }
        amx_groups(j, at, begin, n, sums);
    }
    finish_tile(j, sums);
}

static void gemm_tiles(const zoo_gemm *g)
{
    amx_job j = {.g = g, .depth = g->weight->group % 64 ? 32 : 64};
    for (j.row = 0; j.row < g->n_rows; j.row += j.n_rows) {
        int_row x = int_row_at(g, j.row);
        j.x = x.q;
        j.x_scales = x.scales;
        j.n_rows = tile_share(g->n_rows - j.row, TILE_ROWS);
        configure(j.n_rows, j.depth);
        for (j.panel = g->panel_begin; j.panel < g->panel_end; j.panel++) {
            amx_panel(&j);
        }
    }
    _tile_release();
}

void k_gemm_int8_amx(const zoo_gemm *g)
{
    if (g->weight->group % 32 || g->n_rows <= ROWS_FEW) {
        k_gemm_int8_avx512vnni(g);
    } else {
        gemm_tiles(g);
    }
}

void k_gemm_int4_amx(const zoo_gemm *g)
{
    if (g->n_rows <= ROWS_FEW) {
        k_gemm_int4_avx512vnni(g);
    } else {
        gemm_tiles(g);
    }
}

void k_gemm_int5_amx(const zoo_gemm *g)
{
    if (g->n_rows <= ROWS_FEW) {
        k_gemm_int5_avx512vnni(g);
    } else {
        gemm_tiles(g);
    }
}
