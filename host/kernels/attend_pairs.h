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

/* Converts whole groups of 32 int8 codes; returns the number of values converted. */
static inline size_t narrow_int8(const stored_row *row, size_t width, uint16_t *to)
{
    size_t d = 0;
    for (; d + 32 <= width; d += 32) {
        uint16_t s;
        memcpy(&s, row->scales + d / 16, sizeof s);
        v16 scale = v16_set1(float_of_bits((uint32_t)s << 16));
        v16 a = v16_mul(widen_codes(ZOO_FORM_INT8, row->codes + d), scale);
        v16 b = v16_mul(widen_codes(ZOO_FORM_INT8, row->codes + d + 16), scale);
        _mm512_storeu_si512(to + d, (__m512i)_mm512_cvtne2ps_pbh(b, a));
    }
    return d;
}

/* Rows begin .. begin + n - 1 of a page of a constant form to bf16 [n][pad]. */
__attribute__((always_inline)) static inline void narrow_rows(zoo_row_form form, const void *page,
                                                              uint32_t begin, uint32_t n,
                                                              size_t width, uint16_t *to,
                                                              size_t pad)
{
    for (uint32_t r = 0; r < n; r++, to += pad) {
        const stored_row row = row_of_page(form, page, width, begin + r);
        size_t d = form == ZOO_FORM_INT8 ? narrow_int8(&row, width, to) : 0;
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
