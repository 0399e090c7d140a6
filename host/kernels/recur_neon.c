/* recur_neon.c: convolution and recurrences; see recur.inc. */
#include "kernels/v16_neon.h"

#include "kernels/vmath.h"

#include "kernels/recur.inc"
