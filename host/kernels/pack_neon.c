/* pack_neon.c: rows to panels; see pack.inc. */
#include "kernels/v16_neon.h"

#include "kernels/vmath.h"

#include "kernels/pack.inc"
