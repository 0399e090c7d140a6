/*
 * int_prepare_avx2.c: quantises activations to int8 groups; see int_rows.h. The AVX2 products need
 * two other layouts: for int8, 16-bit numbers with the four columns of a quad in the order 0, 2, 1,
 * 3; for int5, a shift for each 32 columns (in groups of 16 for each 16), columns 0 and 1 of all
 * quads in its lower half, columns 2 and 3 in its upper half, times 16.
 */
#include "kernels/v16_avx2.h"

#include "kernels/int_rows.h"
#include "kernels/vmath.h"

#include "kernels/int_prepare.inc"

size_t k_prepared_size_int16_avx2(uint32_t cols, uint32_t group)
{
    return int_row_size(cols, group) + int_bytes(cols, group);
}

static void widen_row(const unsigned char *from, size_t n, unsigned char *to)
{
    for (size_t k = 0; k < n; k += 16) {
        __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(from + k)));
        x = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(x, 0xd8), 0xd8);
        _mm256_storeu_si256((void *)(to + 2 * k), x);
    }
}

void k_prepare_int16_avx2(const float *x, size_t x_stride, uint32_t n_rows,
                          const zoo_weight *weight, void *out)
{
    size_t n = int_bytes(weight->cols, weight->group);
    size_t size = k_prepared_size_int16_avx2(weight->cols, weight->group);
    for (uint32_t i = 0; i < n_rows; i++) {
        /* The bytes are in the second half, so widening in place overwrites none before it is
         * read. */
        unsigned char *row = (unsigned char *)out + i * size;
        prepare_row(x + i * x_stride, weight, row + n);
        widen_row(row + n, n, row);
    }
}

/* The shift of 32 bytes, or of 16; each half is within 16 * 16 * 127. */
static int32_t half_shifts(const unsigned char *bytes, uint32_t n)
{
    __m256i x = n < 32 ? _mm256_zextsi128_si256(_mm_loadu_si128((const void *)bytes))
                       : _mm256_loadu_si256((const void *)bytes);
    __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), x);
    __m128i sum = _mm_add_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    sum = _mm_add_epi16(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi16(sum, _mm_shuffle_epi32(sum, 0xb1));
    return _mm_cvtsi128_si32(_mm_mullo_epi16(sum, _mm_set1_epi16(-INT5_ZERO)));
}

size_t k_prepared_size_halves_avx2(uint32_t cols, uint32_t group)
{
    size_t n_groups = int_groups(cols, group);
    size_t n_shifts = n_groups * group / (group < 32 ? group : 32);
    size_t lines = (int_bytes(cols, group) + (n_groups + n_shifts) * sizeof(float) + 63) / 64;
    return (lines | 1) * 64;
}

void k_prepare_halves_avx2(const float *x, size_t x_stride, uint32_t n_rows,
                           const zoo_weight *weight, void *out)
{
    uint32_t cols = weight->cols, group = weight->group, n_groups = int_groups(cols, group);
    uint32_t run = group < 32 ? group : 32;
    size_t size = k_prepared_size_halves_avx2(cols, group);
    for (uint32_t i = 0; i < n_rows; i++) {
        unsigned char *row = (unsigned char *)out + i * size;
        prepare_row(x + i * x_stride, weight, row);
        int32_t *shifts =
            (int32_t *)(void *)(row + int_bytes(cols, group) + n_groups * sizeof(float));
        for (uint32_t part = 0; part < n_groups * group / run; part++) {
            shifts[part] = half_shifts(row + (size_t)part * run, run);
        }
    }
}
