/* fit_avx512.c: scales of int4 groups; see fit.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/vmath.h"

#include "kernels/fit.inc"
