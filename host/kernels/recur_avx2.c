/* recur_avx2.c: convolution and recurrences; see recur.inc. */
#include "v16_avx2.h"

#include "vmath.h"

#include "recur.inc"
