/* recur_avx512.c: convolution and recurrences; see recur.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/vmath.h"

#include "kernels/recur.inc"
