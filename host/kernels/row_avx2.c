/* row_avx2.c: norms, elementwise maps, dot, softmax and top-k; see row.inc. */
#include "v16_avx2.h"

#include "vmath.h"

#include <math.h>

#include "row.inc"
