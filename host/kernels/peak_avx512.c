/* peak_avx512.c: see peak.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/vmath.h"

#include "kernels/kernels.inc"
#include "kernels/peak.inc"

#define F32_STEP(a, w) __asm__("vfmadd231ps %1, %1, %0" : "+v"(a) : "v"(w))

PEAK(f32, __m512, F32_STEP, 16)
