/* peak_avx512vnni.c: see peak.inc. */
#include "kernels/v16_avx512.h"

#undef V16_ISA
#define V16_ISA avx512vnni
#include "kernels/vmath.h"

#include "kernels/kernels.inc"
#include "kernels/peak.inc"

#define INT8_STEP(a, w) __asm__("vpdpbusd %1, %1, %0" : "+v"(a) : "v"(w))

PEAK(int8, __m512i, INT8_STEP, 64)
