/* pack_avx2.c: rows to panels; see pack.inc. */
#include "kernels/v16_avx2.h"

#include "kernels/vmath.h"

#include "kernels/pack.inc"
