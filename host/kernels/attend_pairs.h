/*
 * attend_pairs.h: building blocks of attention through products of bf16 pairs: rounding of rows to
 * bf16, 2^x, and joining the softmax sums of parts. Include after v16_avx512.h and stored.inc.
 */
#ifndef ZOO_ATTEND_PAIRS_H
#define ZOO_ATTEND_PAIRS_H

/* c [16 n_m][16] = or += a [16 n_m][16 n_k pairs] b [16 n_k pairs][16]; of the sixteen lanes the
 * first n_lanes are wanted, the others may become anything. */
typedef struct pairs {
    const void *a;
    size_t a_row; /* bytes */
    const uint32_t *b;
    float *c;
    uint32_t n_m, n_lanes;
    size_t n_k;
    bool fresh; /* =, not += */
} pairs;

/* 2^x for x <= 0, at least 2^-126: no subnormal results. NaN stays NaN. */
static inline v16 power_of_two(v16 x)
{
    const v16 magic = v16_set1(12582912.0f + 127.0f); /* 1.5 * 2^23: the sum is rounded to ones */
    x = v16_max(v16_set1(-126.0f), x);
    v16 whole = v16_add(x, magic);
    v16 r = v16_sub(x, v16_sub(whole, magic));
    v16 y = v16_fma(v16_set1(0.00960039552f), r, v16_set1(0.0559168938f));
    y = v16_fma(y, r, v16_set1(0.240237185f));
    y = v16_fma(y, r, v16_set1(0.693121995f));
    y = v16_fma(y, r, v16_set1(1.0f));
    return v16_mul(y, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(whole), 23)));
}

/* Interleaves two rows of sixteen non-negative numbers as pairs of bf16, ties rounded up. */
static inline __m512i pair_up(v16 lower, v16 upper)
{
    const __m512i half = _mm512_set1_epi32(0x8000);
    __m512i a = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(lower), half), 16);
    __m512i b = _mm512_add_epi32(_mm512_castps_si512(upper), half);
    return _mm512_mask_blend_epi16(0xaaaaaaaa, a, b);
}

/* Sixteen floats to bf16, to nearest even. */
static inline void store_bf16(uint16_t *to, v16 x)
{
    _mm256_storeu_si256((__m256i *)(void *)to, (__m256i)_mm512_cvtneps_pbh(x));
}

/* Elements [from, from + width) of sixteen rows (null: zeros), scaled, to pairs [pad / 2][16]. */
static inline void pair_rows(const float *const *rows, size_t from, size_t width, size_t pad,
                             float scale, uint32_t *to)
{
    for (size_t d = 0; d < pad; d += 32) {
        v16 words[16];
        for (uint32_t r = 0; r < 16; r++) {
            uint16_t half[32] = {0};
            for (size_t i = d; rows[r] && i < d + 32 && i < width; i += 16) {
                v16 x = v16_get(rows[r] + from + i, width - i);
                store_bf16(half + (i - d), v16_mul(x, v16_set1(scale)));
            }
            words[r] = v16_load((const float *)(const void *)half);
        }
        v16_transpose(words, (float *)(to + d / 2 * 16), 16);
    }
}

/* Rows of floats [n][width], `step` apart, to bf16 [n][pad]. */
static void round_rows(const float *x, size_t step, uint32_t n, size_t width, uint16_t *to,
                       size_t pad)
{
    for (uint32_t r = 0; r < n; r++, x += step, to += pad) {
        for (size_t d = 0; d < pad; d += 16) {
            store_bf16(to + d, d < width ? v16_get(x + d, width - d) : v16_set1(0));
        }
    }
}

/* The float of a bf16, in all lanes. */
static inline v16 spread_bf16(const unsigned char *at)
{
    uint16_t x;
    memcpy(&x, at, sizeof x);
    __m512i both = _mm512_set1_epi16((short)x);
    return _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32((int)0xffff0000)));
}

static inline void narrow_int8(const unsigned char *codes, const unsigned char *scale, uint16_t *to)
{
    v16 by = spread_bf16(scale);
    v16 a = v16_mul(widen_codes(ZOO_FORM_INT8, codes), by);
    v16 b = v16_mul(widen_codes(ZOO_FORM_INT8, codes + 16), by);
    _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

/* The sixteen values that a group's codes can have. */
static inline v16 int4_values(const unsigned char *at)
{
    const v16 codes = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    uint16_t fit;
    memcpy(&fit, at, sizeof fit);
    v16 x = v16_sub(codes, v16_set1(int4_zeros[fit & 127]));
    return v16_mul(x, v16_set1(int4_scales[fit >> 7]));
}

/* Values of 32 codes are looked up among those of their two groups. */
static inline void narrow_int4(const unsigned char *codes, const unsigned char *fits, uint16_t *to)
{
    const __m512i second = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(16), 1);
    __m512i x = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)codes));
    x = _mm512_or_si512(x, _mm512_slli_epi32(x, 12));
    x = _mm512_or_si512(_mm512_and_si512(x, _mm512_set1_epi16(15)), second);
    __m512i values = (__m512i)_mm512_cvtne2ps_pbh(int4_values(fits + 2), int4_values(fits));
    _mm512_storeu_si512(to, _mm512_permutexvar_epi16(x, values));
}

/* Converts the first groups of 32 codes of rows that lie dense; returns their number. */
static inline size_t narrow_groups(zoo_row_form form, const stored_row *row, size_t n, uint16_t *to)
{
    size_t i = 0;
    for (; form == ZOO_FORM_INT8 && i < n; i++) {
        narrow_int8(row->codes + i * 32, row->scales + i * 2, to + i * 32);
    }
    for (; form == ZOO_FORM_INT4 && i < n; i++) {
        narrow_int4(row->codes + i * 16, row->scales + i * 4, to + i * 32);
    }
    return i;
}

/* Rows begin .. begin + n - 1 of a page of a constant form to bf16 [n][pad]. */
__attribute__((always_inline)) static inline void narrow_rows(zoo_row_form form, const void *page,
                                                              uint32_t begin, uint32_t n,
                                                              size_t width, uint16_t *to,
                                                              size_t pad)
{
    const stored_row all = row_of_page(form, page, width, begin);
    if (width == pad && width % 32 == 0 && narrow_groups(form, &all, n * width / 32, to)) {
        return;
    }
    for (uint32_t r = 0; r < n; r++, to += pad) {
        const stored_row row = row_of_page(form, page, width, begin + r);
        size_t d = narrow_groups(form, &row, width / 32, to) * 32;
        for (; d + 16 <= width; d += 16) {
            store_bf16(to + d, whole_part(form, row, d));
        }
        for (; d < pad; d += 16) {
            store_bf16(to + d, d < width ? any_part(form, row, d, width) : v16_set1(0));
        }
    }
}

static bool is_rotated(const zoo_cache_ops *kind)
{
    return kind && kind->flags & ZOO_CACHE_HADAMARD;
}

static bool is_narrow(const zoo_cache_ops *kind)
{
    if (!kind || kind->form == ZOO_FORM_F32) {
        return false;
    }
    return kind->form != ZOO_FORM_OWN || kind->narrowness != ZOO_F32;
}

static inline bool takes_pairs(const zoo_attend_args *a)
{
    return is_narrow(a->k_kind) && is_narrow(a->v_kind) && (!a->tail || is_narrow(a->tail_kind));
}

/* Lanes in which no key was visible. */
static inline __mmask16 unseen(v16 top, v16 sum)
{
    __mmask16 none = _mm512_cmp_ps_mask(sum, v16_set1(0), _CMP_EQ_OQ);
    return _mm512_mask_cmp_ps_mask(none, top, v16_set1(-INFINITY), _CMP_EQ_OQ);
}

/* Softmax state of 16 rows: largest score, sum of weights, and the factor that a join applies to
 * the values. */
typedef struct lane_sums {
    v16 top, sum, gain;
} lane_sums;

/* Joins `part` to `all` and sets the factors of both; initial values of `all` are zero. */
static inline void join_lanes(lane_sums *all, lane_sums *part)
{
    __mmask16 none = unseen(part->top, part->sum);
    v16 peak = _mm512_mask_mov_ps(v16_max(all->top, part->top), none, all->top);
    v16 before = power_of_two(v16_sub(all->top, peak)),
        now = power_of_two(v16_sub(part->top, peak));
    all->gain = _mm512_mask_mov_ps(before, none, v16_set1(1.0f));
    part->gain = _mm512_maskz_mov_ps((__mmask16)~none, now);
    all->top = peak;
    all->sum = v16_fma(all->sum, all->gain, v16_mul(part->sum, part->gain));
}

/* Final factor of each lane's values, 1 / sum of weights; sinks: in units of log2, or null. */
static v16 last_factor(v16 top, v16 sum, const v16 *sinks)
{
    v16 gain = v16_set1(1.0f), total = sum;
    if (sinks) {
        v16 peak = v16_max(top, *sinks);
        gain = power_of_two(v16_sub(top, peak));
        total = v16_fma(sum, gain, power_of_two(v16_sub(*sinks, peak)));
    }
    return v16_pick_gt(sum, v16_set1(0), v16_div(gain, total), v16_mul(sum, v16_set1(0)));
}

#endif
