/* fit_neon.c: fits int4 and int5 groups; see fit.inc. */
#include "kernels/v16_neon.h"

#include "kernels/vmath.h"

#include "kernels/fit.inc"
