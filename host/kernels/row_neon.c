/* row_neon.c: norms, elementwise maps, dot, softmax and top-k; see row.inc. */
#include "kernels/v16_neon.h"

#include "kernels/vmath.h"

#include <math.h>

#include "kernels/row.inc"
