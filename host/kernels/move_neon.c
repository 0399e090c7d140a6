/* move_neon.c: rotary embedding and cache rows; see move.inc. */
#include "kernels/v16_neon.h"

#include "kernels/vmath.h"

#include "kernels/move.inc"
