/*
 * int_prepare_avx2.c: rows of activations to int8 groups; see int_rows.h. For int8 products with
 * AVX2 the bytes as 16-bit numbers, the four columns of a quad in the order 0, 2, 1, 3.
 */
#include "v16_avx2.h"

#include "int_rows.h"
#include "vmath.h"

#include "int_prepare.inc"

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
        /* the bytes stand in the second half and are widened from the front: none is lost */
        unsigned char *row = (unsigned char *)out + i * size;
        prepare_row(x + i * x_stride, weight, row + n);
        widen_row(row + n, n, row);
    }
}
