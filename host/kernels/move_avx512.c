/* move_avx512.c: rotary embedding and cache rows; see move.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/vmath.h"

#include "kernels/move.inc"
