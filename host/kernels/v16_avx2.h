/*
 * v16_avx2.h: v16_scalar.h in two 256-bit registers.
 */
#ifndef ZOO_V16_AVX2_H
#define ZOO_V16_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define V16_ISA avx2
enum { V16_TILE_ROWS = 6, V16_TILE_COLS = 1 };

typedef struct v16 {
    __m256 a, b;
} v16;

static inline v16 v16_pair(__m256 a, __m256 b)
{
    return (v16){a, b};
}

static inline v16 v16_set1(float x)
{
    return v16_pair(_mm256_set1_ps(x), _mm256_set1_ps(x));
}

static inline v16 v16_load(const float *p)
{
    return v16_pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
}

static inline void v16_store(float *p, v16 x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}

/* All ones in lanes base + i < n. */
static inline __m256i v16_mask(int base, size_t n)
{
    __m256i lanes =
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(base));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lanes);
}

static inline v16 v16_load_n(const float *p, size_t n)
{
    return v16_pair(_mm256_maskload_ps(p, v16_mask(0, n)),
                    n > 8 ? _mm256_maskload_ps(p + 8, v16_mask(8, n)) : _mm256_setzero_ps());
}

static inline void v16_store_n(float *p, v16 x, size_t n)
{
    _mm256_maskstore_ps(p, v16_mask(0, n), x.a);
    if (n > 8) {
        _mm256_maskstore_ps(p + 8, v16_mask(8, n), x.b);
    }
}

static inline v16 v16_add(v16 x, v16 y)
{
    return v16_pair(_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b));
}

/* Each product with 1 or -1 is exact: the sums are those of plain additions. */
static inline __m256 v16_hadamard_8(__m256 x)
{
    x = _mm256_fmadd_ps(x, _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1),
                        _mm256_permute2f128_ps(x, x, 1));
    x = _mm256_fmadd_ps(x, _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1), _mm256_permute_ps(x, 0x4e));
    return _mm256_fmadd_ps(x, _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1),
                           _mm256_permute_ps(x, 0xb1));
}

static inline v16 v16_hadamard(v16 x)
{
    return v16_pair(v16_hadamard_8(_mm256_add_ps(x.a, x.b)),
                    v16_hadamard_8(_mm256_sub_ps(x.a, x.b)));
}

static inline v16 v16_sub(v16 x, v16 y)
{
    return v16_pair(_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b));
}

static inline v16 v16_mul(v16 x, v16 y)
{
    return v16_pair(_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b));
}

static inline v16 v16_div(v16 x, v16 y)
{
    return v16_pair(_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b));
}

static inline v16 v16_fma(v16 x, v16 y, v16 z)
{
    return v16_pair(_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b));
}

static inline v16 v16_min(v16 x, v16 y)
{
    return v16_pair(_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b));
}

static inline v16 v16_max(v16 x, v16 y)
{
    return v16_pair(_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b));
}

static inline v16 v16_abs(v16 x)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return v16_pair(_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b));
}

static inline v16 v16_copysign(v16 x, v16 s)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return v16_pair(_mm256_or_ps(_mm256_andnot_ps(sign, x.a), _mm256_and_ps(sign, s.a)),
                    _mm256_or_ps(_mm256_andnot_ps(sign, x.b), _mm256_and_ps(sign, s.b)));
}

#define V16_NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

static inline v16 v16_round(v16 x)
{
    return v16_pair(_mm256_round_ps(x.a, V16_NEAREST), _mm256_round_ps(x.b, V16_NEAREST));
}

static inline v16 v16_pick_gt(v16 a, v16 b, v16 x, v16 y)
{
    return v16_pair(_mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(a.a, b.a, _CMP_GT_OQ)),
                    _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(a.b, b.b, _CMP_GT_OQ)));
}

static inline int v16_any_gt(v16 a, v16 b)
{
    return _mm256_movemask_ps(
        _mm256_or_ps(_mm256_cmp_ps(a.a, b.a, _CMP_GT_OQ), _mm256_cmp_ps(a.b, b.b, _CMP_GT_OQ)));
}

static inline __m256 v16_between_half(__m256 x, int lo, int hi, float other)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i in = _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(lo), lane),
                                     _mm256_cmpgt_epi32(_mm256_set1_epi32(hi), lane));
    return _mm256_blendv_ps(_mm256_set1_ps(other), x, _mm256_castsi256_ps(in));
}

static inline v16 v16_between(v16 x, int lo, int hi, float other)
{
    return v16_pair(v16_between_half(x.a, lo, hi, other),
                    v16_between_half(x.b, lo - 8, hi - 8, other));
}

/* In two exact steps but for the last, which rounds. */
static inline __m256 v16_ldexp_half(__m256 x, __m256 n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i bias = _mm256_set1_epi32(127);
    __m256i low = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i high = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
    __m256 y = _mm256_mul_ps(_mm256_mul_ps(x, _mm256_castsi256_ps(low)), _mm256_castsi256_ps(high));
    return _mm256_blendv_ps(y, n, _mm256_cmp_ps(n, n, _CMP_UNORD_Q));
}

static inline v16 v16_ldexp(v16 x, v16 n)
{
    return v16_pair(v16_ldexp_half(x.a, n.a), v16_ldexp_half(x.b, n.b));
}

static inline float v16_sum(v16 x)
{
    __m256 s = _mm256_add_ps(x.a, x.b);
    __m128 t = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    t = _mm_add_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_add_ss(t, _mm_movehdup_ps(t)));
}

static inline float v16_top(v16 x)
{
    __m256 s = _mm256_max_ps(x.a, x.b);
    __m128 t = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    t = _mm_max_ps(t, _mm_movehl_ps(t, t));
    return _mm_cvtss_f32(_mm_max_ss(t, _mm_movehdup_ps(t)));
}

static inline __m256 v16_from_bf16_half(const uint16_t *p)
{
    __m256i x = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(x, 16));
}

static inline v16 v16_from_f16(const uint16_t *p)
{
    const __m128i *halves = (const __m128i *)(const void *)p;
    return v16_pair(_mm256_cvtph_ps(_mm_loadu_si128(halves)),
                    _mm256_cvtph_ps(_mm_loadu_si128(halves + 1)));
}

static inline void v16_to_f16(uint16_t *p, v16 x)
{
    __m128i *halves = (__m128i *)(void *)p;
    _mm_storeu_si128(halves, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}

static inline v16 v16_from_bf16(const uint16_t *p)
{
    return v16_pair(v16_from_bf16_half(p), v16_from_bf16_half(p + 8));
}

/* Words of two bf16 as the lower ones and the upper ones. */
static inline void v16_part_bf16(const float *words, v16 *lower, v16 *upper)
{
    __m256i mask = _mm256_set1_epi32((int)0xffff0000);
    __m256i a = _mm256_loadu_si256((const void *)words);
    __m256i b = _mm256_loadu_si256((const void *)(words + 8));
    *lower = v16_pair(_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)),
                      _mm256_castsi256_ps(_mm256_slli_epi32(b, 16)));
    *upper = v16_pair(_mm256_castsi256_ps(_mm256_and_si256(a, mask)),
                      _mm256_castsi256_ps(_mm256_and_si256(b, mask)));
}

static inline __m256i v16_to_bf16_half(__m256 x)
{
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(_mm256_srli_epi32(up, 16), quiet, nan);
}

static inline void v16_to_bf16(uint16_t *p, v16 x)
{
    __m256i y = _mm256_packus_epi32(v16_to_bf16_half(x.a), v16_to_bf16_half(x.b));
    _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permute4x64_epi64(y, 0xd8));
}

static inline void v16_pairs_bf16(const uint16_t *p, v16 *a, v16 *b)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(p + 16));
    __m256i high = _mm256_set1_epi32((int)0xffff0000);
    *a = v16_pair(_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)),
                  _mm256_castsi256_ps(_mm256_slli_epi32(y, 16)));
    *b = v16_pair(_mm256_castsi256_ps(_mm256_and_si256(x, high)),
                  _mm256_castsi256_ps(_mm256_and_si256(y, high)));
}

static inline v16 v16_from_bytes(__m128i bytes)
{
    return v16_pair(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))));
}

static inline v16 v16_from_i8(const int8_t *p)
{
    return v16_from_bytes(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline void v16_to_i8(int8_t *p, v16 x)
{
    __m256i y = _mm256_packs_epi32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b));
    y = _mm256_permute4x64_epi64(y, 0xd8);
    _mm_storeu_si128((__m128i *)(void *)p,
                     _mm_packs_epi16(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1)));
}

static inline v16 v16_from_i4(const uint8_t *p)
{
    __m128i x = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)p));
    x = _mm_and_si128(_mm_or_si128(x, _mm_slli_epi16(x, 4)), _mm_set1_epi8(15));
    return v16_from_bytes(_mm_sub_epi8(x, _mm_set1_epi8(8)));
}

static inline void v16_unzip_half(const float *p, __m256 *a, __m256 *b)
{
    __m256 x = _mm256_loadu_ps(p), y = _mm256_loadu_ps(p + 8);
    __m256 low = _mm256_permute2f128_ps(x, y, 0x20), high = _mm256_permute2f128_ps(x, y, 0x31);
    *a = _mm256_shuffle_ps(low, high, 0x88);
    *b = _mm256_shuffle_ps(low, high, 0xdd);
}

static inline void v16_unzip(const float *p, v16 *a, v16 *b)
{
    v16_unzip_half(p, &a->a, &b->a);
    v16_unzip_half(p + 16, &a->b, &b->b);
}

static inline void v16_zip_half(float *p, __m256 a, __m256 b)
{
    __m256 low = _mm256_unpacklo_ps(a, b), high = _mm256_unpackhi_ps(a, b);
    _mm256_storeu_ps(p, _mm256_permute2f128_ps(low, high, 0x20));
    _mm256_storeu_ps(p + 8, _mm256_permute2f128_ps(low, high, 0x31));
}

static inline void v16_zip(float *p, v16 a, v16 b)
{
    v16_zip_half(p, a.a, b.a);
    v16_zip_half(p + 16, a.b, b.b);
}

static inline void v16_transpose8(const __m256 *r, float *out, size_t stride)
{
    __m256 t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    for (size_t i = 0; i < 4; i++) {
        _mm256_storeu_ps(out + i * stride, _mm256_permute2f128_ps(u[i], u[i + 4], 0x20));
        _mm256_storeu_ps(out + (i + 4) * stride, _mm256_permute2f128_ps(u[i], u[i + 4], 0x31));
    }
}

static inline void v16_transpose(const v16 *rows, float *out, size_t out_stride)
{
    for (size_t half = 0; half < 2; half++) {
        __m256 low[8], high[8];
        for (size_t r = 0; r < 8; r++) {
            low[r] = rows[half * 8 + r].a;
            high[r] = rows[half * 8 + r].b;
        }
        v16_transpose8(low, out + half * 8, out_stride);
        v16_transpose8(high, out + half * 8 + 8 * out_stride, out_stride);
    }
}

/* Sixteen floats from each of sixteen rows in memory, transposed to out [16][16]. */
static inline void v16_turn(const float *const *rows, float *out)
{
    for (size_t part = 0; part < 4; part++) {
        size_t from = part / 2 * 8, at = part % 2 * 8; /* eight rows, eight columns */
        __m256 r[8];
        for (size_t i = 0; i < 8; i++) {
            r[i] = _mm256_loadu_ps(rows[from + i] + at);
        }
        v16_transpose8(r, out + at * 16 + from, 16);
    }
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
