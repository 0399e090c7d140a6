/* fit_avx512.c: fits int4 and int5 groups; see fit.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/vmath.h"

#include "kernels/fit.inc"
