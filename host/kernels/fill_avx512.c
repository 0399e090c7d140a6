/* fill_avx512.c: the table's slots; see fill.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/vmath.h"

#include "kernels/fill.inc"
