/* move_scalar.c: rotary embedding and cache rows; see move.inc. */
#include "kernels/v16_scalar.h"

#include "kernels/vmath.h"

#include "kernels/move.inc"
