/* recur_scalar.c: convolution and recurrences; see recur.inc. */
#include "v16_scalar.h"

#include "vmath.h"

#include "recur.inc"
