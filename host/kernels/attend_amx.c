/*
 * attend_amx.c: attention over caches narrower than float32 through AMX tiles (kernels.h has the
 * formula).
 *
 * Rows (queries times heads) are the sixteen columns of a tile; several tiles of rows go through
 * the blocks of ZOO_PAGE keys together. Per block and tile:
 *
 *   z [64 keys][rows]    = K q, q = scale log2(e) q rounded to bf16, K as the pages hold it
 *   p = 2^(z - top)        in float32, summed; rounded to bf16 for
 *   acc [v_dim][rows]   += V^T p, V transposed once a block for all tiles
 *
 * Softcap and slopes are applied to z in float32. Columns are independent, so a row's bits depend
 * on its own query and keys alone. A key that a row may not see has weight 0, which does not change
 * the sums. At the end of a part its sums are joined to those before it. Rows of other narrow pages
 * (int8, int4, a kind's own) are converted to bf16, a block at a time. Float32 streams go to the
 * avx512 kernel, which has the bits of the other levels. Memory: the scratch of the call, as many
 * tiles as fit.
 */
#include "kernels/v16_avx512.h"

#include "kernels/share.h"

#undef V16_ISA
#define V16_ISA amx
#include "kernels/vmath.h"

#include <math.h>

#include "kernels/hadamard.inc"
#include "kernels/stored.inc"

#include "kernels/amx_pairs.h"

enum { LANES = 16, TILES_MAX = 16, PAIRS = ZOO_PAGE / 2, WORD_ROW = PAIRS * 4 };

static const float log2_e = 1.44269504f;

typedef struct bf16_walk {
    const zoo_attend_args *args;
    uint32_t row, n_rows, n_tiles; /* first row of all, row = query * n_heads + head */
    size_t k_pad, tail_pad;        /* elements of a row, rounded up to 32 */
    size_t v_pad;                  /* rounded up to 16 */
    bool bends;                    /* softcap or slopes are to be applied to z */
    uint32_t *q;                   /* [n_tiles][(k_pad + tail_pad) / 2][LANES] pairs */
    float *acc, *all;              /* [n_tiles][v_pad][LANES]: current part, parts before it */
    float *top, *sum;              /* [n_tiles][LANES], top in units of log2 */
    float *all_top, *all_sum;
    bool *begun, *joined;         /* [n_tiles] acc, all hold sums */
    int32_t *first, *end;         /* [n_tiles][LANES] keys that a lane sees; none beyond n_rows */
    float *slope;                 /* [n_tiles][LANES] */
    uint16_t *keys, *tail, *rows; /* [64][k_pad], [64][tail_pad], [64][v_pad] rounded rows */
    uint32_t *values;             /* [v_pad][PAIRS] pairs of keys */
    float *z;                     /* [64][LANES] */
    uint32_t *p;                  /* [PAIRS][LANES] */
    float *read;                  /* [LANES][max(head_dim, v_dim)] */
} bf16_walk;

static uint32_t query_of(const bf16_walk *w, uint32_t r)
{
    return (w->row + r) / w->args->n_heads;
}

static uint32_t head_of(const bf16_walk *w, uint32_t r)
{
    return (w->row + r) % w->args->n_heads;
}

/* Columns [lo, hi) of a block of one stream. */
typedef struct block_part {
    const zoo_cache_ops *kind;
    const zoo_segment *segment;
    uint32_t lo, hi;
    size_t width, pad; /* elements of a row, and rounded up */
    uint16_t *copy;    /* [64][pad] */
} block_part;

/* Converts the part's rows to bf16 in its copy. */
static void fill_rows(const bf16_walk *w, const block_part *b)
{
    const zoo_segment *s = b->segment;
    uint32_t at = s->at + b->lo - s->row % ZOO_PAGE, n = b->hi - b->lo;
    uint16_t *to = b->copy + b->lo * b->pad;
    switch (b->kind->form) {
    case ZOO_FORM_BF16:
        narrow_rows(ZOO_FORM_BF16, s->page, at, n, b->width, to, b->pad);
        return;
    case ZOO_FORM_INT8:
        narrow_rows(ZOO_FORM_INT8, s->page, at, n, b->width, to, b->pad);
        return;
    case ZOO_FORM_INT4:
        narrow_rows(ZOO_FORM_INT4, s->page, at, n, b->width, to, b->pad);
        return;
    default:
        break;
    }
    for (uint32_t r = 0; r < n; r += LANES) {
        uint32_t some = n - r < LANES ? n - r : LANES;
        b->kind->read(w->args->kernels, (uint32_t)b->width, s->page, at + r, some, w->read,
                      b->width);
        round_rows(w->read, b->width, some, b->width, to + r * b->pad, b->pad);
    }
}

/* The part as rows of bf16, in the page itself if possible, else in the copy. Returns the row of
 * column 0; rows outside [lo, hi) are undefined. */
static const uint16_t *block_rows(const bf16_walk *w, const block_part *b)
{
    const zoo_segment *s = b->segment;
    if (b->kind->form == ZOO_FORM_BF16 && b->width == b->pad && s->at == s->row % ZOO_PAGE) {
        return s->page;
    }
    fill_rows(w, b);
    return b->copy;
}

/* Transposes values [64][v_pad], of which rows [lo, hi) are defined, to pairs of keys; prefetches
 * bytes[i] bytes at next[i] meanwhile. */
static void transpose_values(const bf16_walk *w, const uint16_t *rows, uint32_t lo, uint32_t hi,
                             const char *const next[2], const size_t bytes[2])
{
    static const uint16_t zeros[16];
    size_t rounds = w->v_pad / 16 * 2, done = 0;
    size_t step[2] = {(bytes[0] / rounds + 63) / 64 * 64, (bytes[1] / rounds + 63) / 64 * 64};
    for (size_t d = 0; d < w->v_pad; d += 16) {
        for (uint32_t k = 0; k < PAIRS; k += 16, done++) {
            v16 words[16];
            for (uint32_t i = 0; i < 16; i++) {
                uint32_t j = 2 * (k + i);
                const uint16_t *a = j >= lo && j < hi ? rows + j * w->v_pad + d : zeros;
                const uint16_t *b =
                    j + 1 >= lo && j + 1 < hi ? rows + (j + 1) * w->v_pad + d : zeros;
                __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)a));
                __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)b));
                words[i] = _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
            }
            v16_transpose(words, (float *)(w->values + d * PAIRS + k), PAIRS);
            for (int s = 0; s < 2; s++) {
                for (size_t i = done * step[s]; i < (done + 1) * step[s] && i < bytes[s]; i += 64) {
                    __builtin_prefetch(next[s] + i, 0, 2);
                }
            }
        }
    }
}

/* Applies softcap, slopes and the factor log2(e) to columns [lo, hi). */
static void cap_scores(const bf16_walk *w, uint32_t tile, uint32_t block, uint32_t lo, uint32_t hi)
{
    const zoo_attend_args *a = w->args;
    v16 slope = v16_load(w->slope + tile * LANES);
    __m512i last =
        _mm512_sub_epi32(_mm512_loadu_si512(w->end + tile * LANES), _mm512_set1_epi32(1));
    for (uint32_t j = lo; j < hi; j++) {
        v16 z = v16_load(w->z + j * LANES);
        if (a->softcap > 0) {
            z = v16_softcap(z, a->softcap);
        }
        __m512i away = _mm512_sub_epi32(_mm512_set1_epi32((int)(block + j)), last);
        z = v16_fma(slope, _mm512_cvtepi32_ps(away), z);
        v16_store(w->z + j * LANES, v16_mul(z, v16_set1(log2_e)));
    }
}

/* Sets the largest scores to `now` and rescales the sums and values of lanes where it grew. */
static void move_top(const bf16_walk *w, uint32_t tile, v16 now)
{
    float *top = w->top + tile * LANES, *sum = w->sum + tile * LANES;
    float *acc = w->acc + tile * LANES * w->v_pad;
    v16 before = v16_load(top);
    __mmask16 moved = _mm512_cmp_ps_mask(before, now, _CMP_NEQ_UQ);
    if (!moved) {
        return;
    }
    v16 rescale = _mm512_mask_mov_ps(v16_set1(1.0f), moved, power_of_two(v16_sub(before, now)));
    v16_store(top, now);
    v16_store(sum, v16_mul(v16_load(sum), rescale));
    for (size_t d = 0; w->begun[tile] && d < w->v_pad; d++) {
        v16_store(acc + d * LANES, v16_mul(v16_load(acc + d * LANES), rescale));
    }
}

/* Lanes that see key j of the block. */
static inline __mmask16 sees(const bf16_walk *w, uint32_t tile, uint32_t key)
{
    __m512i k = _mm512_set1_epi32((int)key);
    __mmask16 in = _mm512_cmple_epi32_mask(_mm512_loadu_si512(w->first + tile * LANES), k);
    return _mm512_mask_cmpgt_epi32_mask(in, _mm512_loadu_si512(w->end + tile * LANES), k);
}

/* Scores z to weights p, for a whole block that all lanes see. */
static void weigh_whole(const bf16_walk *w, uint32_t tile)
{
    const float *z = w->z;
    v16 high[4], sum[4];
    for (uint32_t i = 0; i < 4; i++) {
        high[i] = v16_load(z + i * LANES);
        sum[i] = v16_set1(0);
    }
    for (uint32_t j = 4; j < ZOO_PAGE; j += 4) {
        for (uint32_t i = 0; i < 4; i++) {
            high[i] = v16_max(v16_load(z + (j + i) * LANES), high[i]);
        }
    }
    v16 now = v16_max(v16_max(high[0], high[1]), v16_max(high[2], high[3]));
    now = v16_max(now, v16_load(w->top + tile * LANES));
    move_top(w, tile, now);
    for (uint32_t j = 0; j < ZOO_PAGE; j += 4) {
        v16 p[4];
        for (uint32_t i = 0; i < 4; i++) {
            p[i] = power_of_two(v16_sub(v16_load(z + (j + i) * LANES), now));
            sum[i] = v16_add(sum[i], p[i]);
        }
        _mm512_storeu_si512(w->p + j / 2 * LANES, pair_up(p[0], p[1]));
        _mm512_storeu_si512(w->p + (j / 2 + 1) * LANES, pair_up(p[2], p[3]));
    }
    v16 all = v16_add(v16_add(sum[0], sum[1]), v16_add(sum[2], sum[3]));
    float *to = w->sum + tile * LANES;
    v16_store(to, v16_add(v16_load(to), all));
}

/* The same for a block with columns [lo, hi), of which a lane may see only a part; a lane that sees
 * a whole block gets the bits of weigh_whole. */
static void weigh_part(const bf16_walk *w, uint32_t tile, uint32_t block, uint32_t lo, uint32_t hi)
{
    v16 now = v16_load(w->top + tile * LANES), sum[4], zero = v16_set1(0);
    for (uint32_t j = lo; j < hi; j++) {
        v16 high = v16_max(v16_load(w->z + j * LANES), now);
        now = _mm512_mask_mov_ps(now, sees(w, tile, block + j), high);
    }
    move_top(w, tile, now);
    sum[0] = sum[1] = sum[2] = sum[3] = zero;
    for (uint32_t j = 0; j < ZOO_PAGE; j += 2) {
        v16 p[2] = {zero, zero};
        for (uint32_t i = 0; i < 2; i++) {
            if (j + i >= lo && j + i < hi) {
                v16 all = power_of_two(v16_sub(v16_load(w->z + (j + i) * LANES), now));
                p[i] = _mm512_maskz_mov_ps(sees(w, tile, block + j + i), all);
                sum[(j + i) % 4] = v16_add(sum[(j + i) % 4], p[i]);
            }
        }
        _mm512_storeu_si512(w->p + j / 2 * LANES, pair_up(p[0], p[1]));
    }
    v16 all = v16_add(v16_add(sum[0], sum[1]), v16_add(sum[2], sum[3]));
    float *to = w->sum + tile * LANES;
    v16_store(to, v16_add(v16_load(to), all));
}

/* A block of keys, converted once for all tiles; its values are w->values. */
typedef struct bf16_block {
    const uint16_t *keys, *tail; /* row of column 0 */
    uint32_t key, lo, hi;        /* position of column 0; columns [lo, hi) are defined */
} bf16_block;

static void attend_tile_block(const bf16_walk *w, uint32_t tile, const bf16_block *b)
{
    uint32_t n = w->n_rows - tile * LANES, last = tile * LANES + (n < LANES ? n : LANES) - 1;
    const int32_t *first = w->first, *end = w->end;
    const uint32_t *q = w->q + tile * (w->k_pad + w->tail_pad) / 2 * LANES;
    if ((uint32_t)end[last] <= b->key + b->lo || (uint32_t)first[tile * LANES] >= b->key + b->hi) {
        return;
    }
    uint32_t from = b->lo / 16 * 16, n_keys = (b->hi - from + 15) / 16;
    pairs_multiply(&(pairs){.a = b->keys + from * w->k_pad,
                            .a_row = w->k_pad * 2,
                            .b = q,
                            .c = w->z + from * LANES,
                            .n_m = n_keys,
                            .n_k = w->k_pad / 32,
                            .fresh = true});
    if (w->tail_pad) {
        pairs_multiply(&(pairs){.a = b->tail + from * w->tail_pad,
                                .a_row = w->tail_pad * 2,
                                .b = q + w->k_pad / 2 * LANES,
                                .c = w->z + from * LANES,
                                .n_m = n_keys,
                                .n_k = w->tail_pad / 32});
    }
    if (w->bends) {
        cap_scores(w, tile, b->key, b->lo, b->hi);
    }
    if (b->lo == 0 && b->hi == ZOO_PAGE && (uint32_t)first[last] <= b->key &&
        (uint32_t)end[tile * LANES] >= b->key + ZOO_PAGE) {
        weigh_whole(w, tile);
    } else {
        weigh_part(w, tile, b->key, b->lo, b->hi);
    }
    pairs_multiply(&(pairs){.a = w->values,
                            .a_row = WORD_ROW,
                            .b = w->p,
                            .c = w->acc + tile * LANES * w->v_pad,
                            .n_m = (uint32_t)(w->v_pad / 16),
                            .n_k = PAIRS / 16,
                            .fresh = !w->begun[tile]});
    w->begun[tile] = true;
}

/* Attends to one segment with all tiles and prefetches the next one's pages. */
static void attend_segment(const bf16_walk *w, uint32_t s, uint32_t begin, uint32_t end)
{
    const zoo_attend_args *a = w->args;
    const zoo_segment *k = &a->k[s], *next = s + 1 < a->n_segments ? k + 1 : NULL;
    size_t split = a->head_dim - (a->tail ? a->tail_dim : 0);
    bf16_block b = {.key = k->row / ZOO_PAGE * ZOO_PAGE};
    if (k->row >= end || k->row + k->n_rows <= begin) {
        return;
    }
    b.lo = (k->row > begin ? k->row : begin) - b.key;
    b.hi = (k->row + k->n_rows < end ? k->row + k->n_rows : end) - b.key;
    const block_part keys = {a->k_kind, k, b.lo, b.hi, split, w->k_pad, w->keys};
    const block_part values = {a->v_kind, &a->v[s], b.lo, b.hi, a->v_dim, w->v_pad, w->rows};
    b.keys = block_rows(w, &keys);
    if (a->tail) {
        const block_part tail = {a->tail_kind, &a->tail[s], b.lo,   b.hi,
                                 a->tail_dim,  w->tail_pad, w->tail};
        b.tail = block_rows(w, &tail);
    }
    const char *pages[2] = {next ? next->page : NULL, next ? a->v[s + 1].page : NULL};
    size_t bytes[2] = {next ? a->k_kind->bytes((uint32_t)split, ZOO_PAGE) : 0,
                       next && pages[1] != pages[0] ? a->v_kind->bytes(a->v_dim, ZOO_PAGE) : 0};
    transpose_values(w, block_rows(w, &values), b.lo, b.hi, pages, bytes);
    for (uint32_t t = 0; t < w->n_tiles; t++) {
        attend_tile_block(w, t, &b);
    }
}

/* The unscaled query of row r; with rotated keys, its inverse rotation in w->read. */
static const float *query_row(const bf16_walk *w, uint32_t r)
{
    const zoo_attend_args *a = w->args;
    uint32_t split = a->head_dim - (a->tail ? a->tail_dim : 0);
    const float *q = a->q + query_of(w, r) * a->q_stride + (size_t)head_of(w, r) * a->head_dim;
    if (is_rotated(a->k_kind) || (a->tail && is_rotated(a->tail_kind))) {
        float *to = w->read + (size_t)(r % LANES) * a->head_dim;
        memcpy(to, q, a->head_dim * sizeof *to);
        if (is_rotated(a->k_kind)) {
            hadamard_row(to, to, split, true);
        }
        if (a->tail && is_rotated(a->tail_kind)) {
            hadamard_row(to + split, to + split, a->tail_dim, true);
        }
        return to;
    }
    return q;
}

static void begin_tile(const bf16_walk *w, uint32_t tile)
{
    const zoo_attend_args *a = w->args;
    size_t split = a->head_dim - (a->tail ? a->tail_dim : 0);
    float scale = w->bends ? a->scale : a->scale * log2_e;
    const float *rows[LANES] = {0};
    for (uint32_t i = 0, r = tile * LANES; i < LANES; i++, r++) {
        w->first[r] = w->end[r] = 0;
        w->slope[r] = 0;
        if (r < w->n_rows) {
            rows[i] = query_row(w, r);
            w->first[r] = (int32_t)a->first[query_of(w, r)];
            w->end[r] = (int32_t)(a->pos + query_of(w, r) + 1);
            w->slope[r] = a->slopes ? a->slopes[head_of(w, r)] : 0;
        }
        w->top[r] = w->all_top[r] = -INFINITY;
        w->sum[r] = w->all_sum[r] = 0;
    }
    uint32_t *q = w->q + tile * (w->k_pad + w->tail_pad) / 2 * LANES;
    pair_rows(rows, 0, split, w->k_pad, scale, q);
    if (w->tail_pad) {
        pair_rows(rows, split, a->tail_dim, w->tail_pad, scale, q + w->k_pad / 2 * LANES);
    }
    w->begun[tile] = w->joined[tile] = false;
}

static void end_part(const bf16_walk *w, uint32_t tile)
{
    uint32_t at = tile * LANES;
    lane_sums part = {.top = v16_load(w->top + at), .sum = v16_load(w->sum + at)};
    lane_sums all = {.top = v16_load(w->all_top + at), .sum = v16_load(w->all_sum + at)};
    float *acc = w->acc + at * w->v_pad, *to = w->all + at * w->v_pad;
    if (unseen(part.top, part.sum) == 0xffff) {
        return;
    }
    join_lanes(&all, &part);
    for (size_t d = 0; d < w->v_pad * LANES; d += LANES) {
        v16 before = w->joined[tile] ? v16_load(to + d) : v16_set1(0);
        v16_store(to + d, v16_fma(before, all.gain, v16_mul(v16_load(acc + d), part.gain)));
    }
    w->begun[tile] = false;
    w->joined[tile] = true;
    v16_store(w->all_top + at, all.top);
    v16_store(w->all_sum + at, all.sum);
    v16_store(w->top + at, v16_set1(-INFINITY));
    v16_store(w->sum + at, v16_set1(0));
}

/* Transposes values [v_pad][LANES], times a factor of each lane, to rows[lane]. Adding 0 makes -0
 * into +0. */
static void spread_values(const bf16_walk *w, const float *values, v16 factor,
                          float *const rows[LANES])
{
    for (size_t d = 0; d < w->args->v_dim; d += 16) {
        v16 scaled[LANES];
        float part[LANES * 16];
        for (uint32_t i = 0; i < 16; i++) {
            scaled[i] = v16_fma(v16_load(values + (d + i) * LANES), factor, v16_set1(0));
        }
        v16_transpose(scaled, part, 16);
        for (uint32_t r = 0; r < LANES && rows[r]; r++) {
            v16_put(rows[r] + d, v16_load(part + r * 16), w->args->v_dim - d);
        }
    }
}

static void finish_tile(const bf16_walk *w, uint32_t tile)
{
    const zoo_attend_args *a = w->args;
    uint32_t begin = tile * LANES, n = w->n_rows - begin < LANES ? w->n_rows - begin : LANES;
    float *rows[LANES] = {0}, sinks[LANES] = {0};
    end_part(w, tile);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t head = head_of(w, begin + i);
        rows[i] = a->out + query_of(w, begin + i) * a->out_stride + (size_t)head * a->v_dim;
        sinks[i] = a->sinks ? a->sinks[head] * log2_e : 0;
    }
    v16 sink = v16_load(sinks);
    v16 factor = last_factor(v16_load(w->all_top + begin), v16_load(w->all_sum + begin),
                             a->sinks ? &sink : NULL);
    if (!w->joined[tile]) {
        memset(w->all + begin * w->v_pad, 0, LANES * w->v_pad * sizeof *w->all);
    }
    spread_values(w, w->all + begin * w->v_pad, factor, rows);
    for (uint32_t i = 0; is_rotated(a->v_kind) && i < n; i++) {
        hadamard_row(rows[i], rows[i], a->v_dim, true);
    }
}

/* Writes the sums of the current part for attend_join. */
static void export_tile(const bf16_walk *w, uint32_t tile, float *sums)
{
    size_t width = w->args->v_dim;
    uint32_t begin = tile * LANES, n = w->n_rows - begin < LANES ? w->n_rows - begin : LANES;
    float *rows[LANES] = {0};
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = sums + (size_t)(w->row + begin + i) * (width + 2);
        rows[i][width] = w->top[begin + i];
        rows[i][width + 1] = w->sum[begin + i];
    }
    if (!w->begun[tile]) {
        memset(w->acc + begin * w->v_pad, 0, LANES * w->v_pad * sizeof *w->acc);
    }
    spread_values(w, w->acc + begin * w->v_pad, v16_set1(1.0f), rows);
}

static void *take(char **at, size_t bytes)
{
    char *p = *at;
    *at += (bytes + 63) / 64 * 64;
    return p;
}

/* Divides the call's scratch into buffers; returns the number of tiles that fit. */
static uint32_t lay_out(bf16_walk *w)
{
    const zoo_attend_args *a = w->args;
    size_t wider = a->head_dim > a->v_dim ? a->head_dim : a->v_dim;
    size_t per_tile = LANES * ((w->k_pad + w->tail_pad) * 2 + w->v_pad * 8 + 7 * 4);
    char *begin = (char *)(((uintptr_t)a->scratch + 63) / 64 * 64), *at = begin;
    size_t room = zoo_attend_scratch(a->head_dim, a->v_dim) * sizeof(float) -
                  (size_t)(begin - (const char *)a->scratch);
    w->values = take(&at, w->v_pad * WORD_ROW);
    w->z = take(&at, ZOO_PAGE * LANES * 4);
    w->p = take(&at, PAIRS * LANES * 4);
    w->keys = take(&at, ZOO_PAGE * w->k_pad * 2);
    w->tail = take(&at, ZOO_PAGE * w->tail_pad * 2);
    w->rows = take(&at, ZOO_PAGE * w->v_pad * 2);
    w->read = take(&at, LANES * wider * 4);
    w->begun = take(&at, TILES_MAX);
    w->joined = take(&at, TILES_MAX);
    size_t left = (room - (size_t)(at - begin)) / per_tile;
    uint32_t tiles = left < TILES_MAX ? (uint32_t)left : TILES_MAX;
    w->q = take(&at, tiles * LANES * (w->k_pad + w->tail_pad) * 2);
    w->acc = take(&at, tiles * LANES * w->v_pad * 4);
    w->all = take(&at, tiles * LANES * w->v_pad * 4);
    w->all_top = take(&at, tiles * LANES * 4);
    w->all_sum = take(&at, tiles * LANES * 4);
    w->top = take(&at, tiles * LANES * 4);
    w->sum = take(&at, tiles * LANES * 4);
    w->first = take(&at, tiles * LANES * 4);
    w->end = take(&at, tiles * LANES * 4);
    w->slope = take(&at, tiles * LANES * 4);
    return tiles;
}

/* Attends to all keys with the current tiles; the caller ends the last part. */
static void walk_keys(const bf16_walk *w)
{
    const zoo_attend_args *a = w->args;
    uint32_t begin = a->first[query_of(w, 0)], end = a->pos + query_of(w, w->n_rows - 1) + 1;
    uint32_t part = begin / ZOO_PART;
    for (uint32_t s = 0; s < a->n_segments; s++) {
        if (a->k[s].row / ZOO_PART > part) {
            for (uint32_t t = 0; t < w->n_tiles; t++) {
                end_part(w, t);
            }
            part = a->k[s].row / ZOO_PART;
        }
        attend_segment(w, s, begin, end);
    }
}

static void attend_narrow(const zoo_attend_args *a, float *sums)
{
    uint32_t tail = a->tail ? a->tail_dim : 0, rows = a->n_queries * a->n_heads;
    bf16_walk w = {.args = a,
                   .k_pad = ((size_t)a->head_dim - tail + 31) / 32 * 32,
                   .tail_pad = ((size_t)tail + 31) / 32 * 32,
                   .v_pad = ((size_t)a->v_dim + 15) / 16 * 16,
                   .bends = a->softcap > 0 || a->slopes};
    uint32_t rows_max = lay_out(&w) * LANES;
    pairs_begin();
    for (; w.row < rows; w.row += w.n_rows) {
        w.n_rows = tile_share(rows - w.row, rows_max);
        w.n_rows = w.n_rows < rows - w.row ? (w.n_rows + LANES - 1) / LANES * LANES : w.n_rows;
        w.n_tiles = (w.n_rows + LANES - 1) / LANES;
        for (uint32_t t = 0; t < w.n_tiles; t++) {
            begin_tile(&w, t);
        }
        walk_keys(&w);
        for (uint32_t t = 0; t < w.n_tiles; t++) {
            if (sums) {
                export_tile(&w, t, sums);
            } else {
                finish_tile(&w, t);
            }
        }
    }
    pairs_end();
}

void K(attend)(const zoo_attend_args *a)
{
    if (takes_pairs(a)) {
        attend_narrow(a, NULL);
    } else {
        k_attend_avx512(a);
    }
}

void K(attend_part)(const zoo_attend_args *a, float *sums)
{
    if (takes_pairs(a)) {
        attend_narrow(a, sums);
    } else {
        k_attend_part_avx512(a, sums);
    }
}

/* One row: its sums are broadcast to all lanes, its values are kept in `out`. */
static void join_row(const zoo_attend_args *a, uint32_t row, const float *const *parts,
                     uint32_t n_parts)
{
    size_t width = a->v_dim;
    uint32_t head = row % a->n_heads;
    float *out = a->out + row / a->n_heads * a->out_stride + head * width;
    lane_sums all = {.top = v16_set1(-INFINITY), .sum = v16_set1(0)};
    memset(out, 0, width * sizeof *out);
    for (uint32_t p = 0; p < n_parts; p++) {
        const float *from = parts[p] + row * (width + 2);
        lane_sums part = {.top = v16_set1(from[width]), .sum = v16_set1(from[width + 1])};
        if (unseen(part.top, part.sum)) {
            continue;
        }
        join_lanes(&all, &part);
        for (size_t d = 0; d < width; d += 16) {
            v16 now = v16_mul(v16_get(from + d, width - d), part.gain);
            v16_put(out + d, v16_fma(v16_get(out + d, width - d), all.gain, now), width - d);
        }
    }
    v16 sink = v16_set1(a->sinks ? a->sinks[head] * log2_e : 0);
    v16 factor = last_factor(all.top, all.sum, a->sinks ? &sink : NULL);
    for (size_t d = 0; d < width; d += 16) {
        v16_put(out + d, v16_fma(v16_get(out + d, width - d), factor, v16_set1(0)), width - d);
    }
    if (is_rotated(a->v_kind)) {
        hadamard_row(out, out, a->v_dim, true);
    }
}

void K(attend_join)(const zoo_attend_args *a, const float *const *parts, uint32_t n_parts)
{
    if (!takes_pairs(a)) {
        k_attend_join_avx512(a, parts, n_parts);
        return;
    }
    for (uint32_t row = 0; row < a->n_queries * a->n_heads; row++) {
        join_row(a, row, parts, n_parts);
    }
}
