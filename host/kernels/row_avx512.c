/* row_avx512.c: norms, elementwise maps, dot, softmax and top-k; see row.inc. */
#include "v16_avx512.h"

#include "vmath.h"

#include <math.h>

#include "row.inc"
