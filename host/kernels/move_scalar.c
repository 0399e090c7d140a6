/* move_scalar.c: rotation and cache rows; see move.inc. */
#include "kernels/v16_scalar.h"

#include "kernels/vmath.h"

#include "kernels/move.inc"
