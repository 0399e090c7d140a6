/* fit_avx2.c: fits int4 and int5 groups; see fit.inc. */
#include "kernels/v16_avx2.h"

#include "kernels/vmath.h"

#include "kernels/fit.inc"
