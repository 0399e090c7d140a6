/* pack_avx512.c: rows to panels; see pack.inc. */
#include "kernels/v16_avx512.h"

#include "kernels/vmath.h"

#include "kernels/pack.inc"
