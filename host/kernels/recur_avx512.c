/* recur_avx512.c: convolution and recurrences; see recur.inc. */
#include "v16_avx512.h"

#include "vmath.h"

#include "recur.inc"
