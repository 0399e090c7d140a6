/* fill_avx2.c: the table's slots; see fill.inc. */
#include "kernels/v16_avx2.h"

#include "kernels/vmath.h"

#include "kernels/fill.inc"
