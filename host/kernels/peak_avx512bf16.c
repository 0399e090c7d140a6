/* peak_avx512bf16.c: see peak.inc. */
#include "kernels/v16_avx512.h"

#undef V16_ISA
#define V16_ISA avx512bf16
#include "kernels/vmath.h"

#include "kernels/kernels.inc"
#include "kernels/peak.inc"

#define BF16_STEP(a, w) __asm__("vdpbf16ps %1, %1, %0" : "+v"(a) : "v"(w))

PEAK(bf16, __m512, BF16_STEP, 32)
