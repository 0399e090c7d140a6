/* attend_avx512.c: attention and index scores; see attend.inc, index.inc. */
#include "v16_avx512.h"

#include "tile.h"
#include "vmath.h"

#include <math.h>

#include "attend.inc"
#include "index.inc"
