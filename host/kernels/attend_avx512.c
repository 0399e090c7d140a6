/* attend_avx512.c: attention; see attend.inc. */
#include "v16_avx512.h"

#include "tile.h"
#include "vmath.h"

#include <math.h>

#include "attend.inc"
