/* fill_neon.c: the table's slots; see fill.inc. */
#include "kernels/v16_neon.h"

#include "kernels/vmath.h"

#include "kernels/fill.inc"
