/* fit_scalar.c: scales of int4 groups; see fit.inc. */
#include "kernels/v16_scalar.h"

#include "kernels/vmath.h"

#include "kernels/fit.inc"
