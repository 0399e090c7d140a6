/* fit_avx512.c: scales of int4 groups; see fit.inc. */
#include "v16_avx512.h"

#include "vmath.h"

#include "fit.inc"
