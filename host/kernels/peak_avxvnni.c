/* peak_avxvnni.c: see peak.inc. */
#include "kernels/v16_avx2.h"

#undef V16_ISA
#define V16_ISA avxvnni
#include "kernels/vmath.h"

#include "kernels/kernels.inc"
#include "kernels/peak.inc"

#define INT8_STEP(a, w) __asm__("%{vex%} vpdpbusd %1, %1, %0" : "+x"(a) : "x"(w))

PEAK(int8, __m256i, INT8_STEP, 32)
