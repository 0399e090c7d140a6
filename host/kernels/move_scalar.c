/* move_scalar.c: rotation and cache rows; see move.inc. */
#include "v16_scalar.h"

#include "vmath.h"

#include "move.inc"
