/* recur_scalar.c: convolution and recurrences; see recur.inc. */
#include "kernels/v16_scalar.h"

#include "kernels/vmath.h"

#include "kernels/recur.inc"
