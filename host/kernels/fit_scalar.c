/* fit_scalar.c: fits int4 and int5 groups; see fit.inc. */
#include "kernels/v16_scalar.h"

#include "kernels/vmath.h"

#include "kernels/fit.inc"
