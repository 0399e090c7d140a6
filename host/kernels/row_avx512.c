/* row_avx512.c: norms, elementwise maps, dot, softmax and top-k; see row.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/vmath.h"

#include <math.h>

#include "kernels/row.inc"
