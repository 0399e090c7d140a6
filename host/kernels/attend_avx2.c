/* attend_avx2.c: attention; see attend.inc. */
#include "v16_avx2.h"

#include "tile.h"
#include "vmath.h"

#include <math.h>

#include "attend.inc"
