/* row_scalar.c: norms, elementwise maps, dot, softmax and top-k; see row.inc. */
#include "v16_scalar.h"

#include "vmath.h"

#include <math.h>

#include "row.inc"
