/* fill_scalar.c: the table's slots; see fill.inc. */
#include "kernels/v16_scalar.h"

#include "kernels/vmath.h"

#include "kernels/fill.inc"
