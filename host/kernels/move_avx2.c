/* move_avx2.c: rotation and cache rows; see move.inc. */
#include "v16_avx2.h"

#include "vmath.h"

#include "move.inc"
