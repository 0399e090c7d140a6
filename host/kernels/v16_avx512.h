/*
 * v16_avx512.h: v16_scalar.h in one 512-bit register.
 */
#ifndef ZOO_V16_AVX512_H
#define ZOO_V16_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define V16_ISA avx512
enum { V16_TILE_ROWS = 12, V16_TILE_COLS = 2 };

typedef __m512 v16;

static inline v16 v16_set1(float x)
{
    return _mm512_set1_ps(x);
}

static inline v16 v16_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void v16_store(float *p, v16 x)
{
    _mm512_storeu_ps(p, x);
}

static inline __mmask16 v16_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1u);
}

static inline v16 v16_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(v16_mask(n), p);
}

static inline void v16_store_n(float *p, v16 x, size_t n)
{
    _mm512_mask_storeu_ps(p, v16_mask(n), x);
}

static inline v16 v16_add(v16 x, v16 y)
{
    return _mm512_add_ps(x, y);
}

/* Each product with 1 or -1 is exact: the sums are those of plain additions. */
static inline v16 v16_hadamard(v16 x)
{
    const v16 one = _mm512_set1_ps(1.0f);
    x = _mm512_fmadd_ps(x, _mm512_mask_sub_ps(one, 0xff00, one, _mm512_set1_ps(2.0f)),
                        _mm512_shuffle_f32x4(x, x, 0x4e));
    x = _mm512_fmadd_ps(x, _mm512_mask_sub_ps(one, 0xf0f0, one, _mm512_set1_ps(2.0f)),
                        _mm512_shuffle_f32x4(x, x, 0xb1));
    x = _mm512_fmadd_ps(x, _mm512_mask_sub_ps(one, 0xcccc, one, _mm512_set1_ps(2.0f)),
                        _mm512_permute_ps(x, 0x4e));
    return _mm512_fmadd_ps(x, _mm512_mask_sub_ps(one, 0xaaaa, one, _mm512_set1_ps(2.0f)),
                           _mm512_permute_ps(x, 0xb1));
}

static inline v16 v16_sub(v16 x, v16 y)
{
    return _mm512_sub_ps(x, y);
}

static inline v16 v16_mul(v16 x, v16 y)
{
    return _mm512_mul_ps(x, y);
}

static inline v16 v16_div(v16 x, v16 y)
{
    return _mm512_div_ps(x, y);
}

static inline v16 v16_fma(v16 x, v16 y, v16 z)
{
    return _mm512_fmadd_ps(x, y, z);
}

static inline v16 v16_min(v16 x, v16 y)
{
    return _mm512_min_ps(x, y);
}

static inline v16 v16_max(v16 x, v16 y)
{
    return _mm512_max_ps(x, y);
}

static inline v16 v16_abs(v16 x)
{
    return _mm512_abs_ps(x);
}

static inline v16 v16_copysign(v16 x, v16 s)
{
    return _mm512_or_ps(_mm512_abs_ps(x), _mm512_and_ps(s, _mm512_set1_ps(-0.0f)));
}

static inline v16 v16_round(v16 x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline v16 v16_pick_gt(v16 a, v16 b, v16 x, v16 y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}

static inline int v16_any_gt(v16 a, v16 b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}

static inline v16 v16_between(v16 x, int lo, int hi, float other)
{
    uint32_t below_hi = hi >= 16 ? 0xffffu : hi > 0 ? (1u << hi) - 1u : 0;
    uint32_t below_lo = lo >= 16 ? 0xffffu : lo > 0 ? (1u << lo) - 1u : 0;
    return _mm512_mask_blend_ps((__mmask16)(below_hi & ~below_lo), _mm512_set1_ps(other), x);
}

static inline v16 v16_ldexp(v16 x, v16 n)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(n, n, _CMP_UNORD_Q), _mm512_scalef_ps(x, n), n);
}

static inline float v16_sum(v16 x)
{
    __m256 s = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 t = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    t = _mm_add_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_add_ss(t, _mm_movehdup_ps(t)));
}

static inline float v16_top(v16 x)
{
    __m256 s = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 t = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    t = _mm_max_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_max_ss(t, _mm_movehdup_ps(t)));
}

static inline v16 v16_from_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline void v16_to_f16(uint16_t *p, v16 x)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline v16 v16_from_bf16(const uint16_t *p)
{
    __m512i x = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
}

/* Words of two bf16 as the lower ones and the upper ones. */
static inline void v16_part_bf16(const float *words, v16 *lower, v16 *upper)
{
    __m512i x = _mm512_loadu_si512(words);
    *lower = _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
    *upper = _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32((int)0xffff0000)));
}

static inline void v16_to_bf16(uint16_t *p, v16 x)
{
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    __m512i y = _mm512_mask_blend_epi32(nan, _mm512_srli_epi32(up, 16), quiet);
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(y));
}

static inline void v16_pairs_bf16(const uint16_t *p, v16 *a, v16 *b)
{
    __m512i x = _mm512_loadu_si512(p);
    *a = _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
    *b = _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32((int)0xffff0000)));
}

static inline v16 v16_from_bytes(__m128i bytes)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

static inline v16 v16_from_i8(const int8_t *p)
{
    return v16_from_bytes(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline void v16_to_i8(int8_t *p, v16 x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}

static inline v16 v16_from_i4(const uint8_t *p)
{
    __m128i x = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)p));
    x = _mm_and_si128(_mm_or_si128(x, _mm_slli_epi16(x, 4)), _mm_set1_epi8(15));
    return v16_from_bytes(_mm_sub_epi8(x, _mm_set1_epi8(8)));
}

static inline void v16_unzip(const float *p, v16 *a, v16 *b)
{
    __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    __m512 x = _mm512_loadu_ps(p), y = _mm512_loadu_ps(p + 16);
    *a = _mm512_permutex2var_ps(x, even, y);
    *b = _mm512_permutex2var_ps(x, _mm512_add_epi32(even, _mm512_set1_epi32(1)), y);
}

static inline void v16_zip(float *p, v16 a, v16 b)
{
    __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    _mm512_storeu_ps(p, _mm512_permutex2var_ps(a, low, b));
    _mm512_storeu_ps(p + 16, _mm512_permutex2var_ps(a, high, b));
}

/* Transposes the four 4 x 4 parts of four rows, each in its 128-bit lane. */
static inline void v16_transpose4(const v16 *r, v16 *out)
{
    __m512 t0 = _mm512_unpacklo_ps(r[0], r[1]), t1 = _mm512_unpackhi_ps(r[0], r[1]);
    __m512 t2 = _mm512_unpacklo_ps(r[2], r[3]), t3 = _mm512_unpackhi_ps(r[2], r[3]);
    out[0] = _mm512_shuffle_ps(t0, t2, 0x44);
    out[1] = _mm512_shuffle_ps(t0, t2, 0xee);
    out[2] = _mm512_shuffle_ps(t1, t3, 0x44);
    out[3] = _mm512_shuffle_ps(t1, t3, 0xee);
}

static inline void v16_transpose(const v16 *rows, float *out, size_t out_stride)
{
    v16 t[16];
    for (int i = 0; i < 4; i++) {
        v16_transpose4(rows + 4 * i, t + 4 * i);
    }
    for (size_t c = 0; c < 4; c++) {
        __m512 a = _mm512_shuffle_f32x4(t[c], t[c + 4], 0x88);
        __m512 b = _mm512_shuffle_f32x4(t[c], t[c + 4], 0xdd);
        __m512 d = _mm512_shuffle_f32x4(t[c + 8], t[c + 12], 0x88);
        __m512 e = _mm512_shuffle_f32x4(t[c + 8], t[c + 12], 0xdd);
        _mm512_storeu_ps(out + c * out_stride, _mm512_shuffle_f32x4(a, d, 0x88));
        _mm512_storeu_ps(out + (c + 4) * out_stride, _mm512_shuffle_f32x4(b, e, 0x88));
        _mm512_storeu_ps(out + (c + 8) * out_stride, _mm512_shuffle_f32x4(a, d, 0xdd));
        _mm512_storeu_ps(out + (c + 12) * out_stride, _mm512_shuffle_f32x4(b, e, 0xdd));
    }
}

/* Sixteen floats from each of sixteen rows in memory, transposed to out [16][16]. */
static inline void v16_turn(const float *const *rows, float *out)
{
    v16 x[16];
    for (size_t r = 0; r < 16; r++) {
        x[r] = v16_load(rows[r]);
    }
    v16_transpose(x, out, 16);
}

static inline v16 v16_gather(const float *p, size_t stride, size_t n)
{
    float x[16] = {0};
    for (size_t i = 0; i < n; i++) {
        x[i] = p[i * stride];
    }
    return v16_load(x);
}

#endif
