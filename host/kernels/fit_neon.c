/* fit_neon.c: scales of int4 groups; see fit.inc. */
#include "kernels/v16_neon.h"

#include "kernels/vmath.h"

#include "kernels/fit.inc"
