/* fit_scalar.c: scales of int4 groups; see fit.inc. */
#include "v16_scalar.h"

#include "vmath.h"

#include "fit.inc"
