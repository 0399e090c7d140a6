/* peak_avx2.c: see peak.inc. int8: 16-bit pairs; int4: nibbles whose 16-bit sums hold a group. */
#include "kernels/v16_avx2.h"

#include "kernels/vmath.h"

#include "kernels/kernels.inc"
#include "kernels/peak.inc"

#define F32_STEP(a, w) __asm__("vfmadd231ps %1, %1, %0" : "+x"(a) : "x"(w))
#define PAIR_STEP(product, sum, a, w)                                                              \
    do {                                                                                           \
        __m256i p;                                                                                 \
        __asm__(product " %2, %2, %1\n\t" sum " %1, %0, %0" : "+x"(a), "=&x"(p) : "x"(w));         \
    } while (0)
#define INT8_STEP(a, w) PAIR_STEP("vpmaddwd", "vpaddd", a, w)
#define INT4_STEP(a, w) PAIR_STEP("vpmaddubsw", "vpaddw", a, w)

PEAK(f32, __m256, F32_STEP, 8)
PEAK(int8, __m256i, INT8_STEP, 16)
PEAK(int4, __m256i, INT4_STEP, 32)
