/* pack_scalar.c: rows to panels; see pack.inc. */
#include "kernels/v16_scalar.h"

#include "kernels/vmath.h"

#include "kernels/pack.inc"
