/* attend_scalar.c: attention; see attend.inc. */
#include "v16_scalar.h"

#include "tile.h"
#include "vmath.h"

#include <math.h>

#include "attend.inc"
