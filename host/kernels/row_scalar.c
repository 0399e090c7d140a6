/* row_scalar.c: norms, elementwise maps, dot, softmax and top-k; see row.inc. */
#include "kernels/v16_scalar.h"

#include "kernels/vmath.h"

#include <math.h>

#include "kernels/row.inc"
