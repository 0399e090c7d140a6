/* recur_avx2.c: convolution and recurrences; see recur.inc. */
#include "kernels/v16_avx2.h"

#include "kernels/vmath.h"

#include "kernels/recur.inc"
