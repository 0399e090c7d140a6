/* move_avx512.c: rotation and cache rows; see move.inc. */
#include "v16_avx512.h"

#include "vmath.h"

#include "move.inc"
