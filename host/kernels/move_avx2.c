/* move_avx2.c: rotary embedding and cache rows; see move.inc. */
#include "kernels/v16_avx2.h"

#include "kernels/vmath.h"

#include "kernels/move.inc"
