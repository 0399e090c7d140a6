/* fit_avx2.c: scales of int4 groups; see fit.inc. */
#include "kernels/v16_avx2.h"

#include "kernels/vmath.h"

#include "kernels/fit.inc"
