/* fit_avx2.c: scales of int4 groups; see fit.inc. */
#include "v16_avx2.h"

#include "vmath.h"

#include "fit.inc"
