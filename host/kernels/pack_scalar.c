/* pack_scalar.c: rows to panels; see pack.inc. */
#include "v16_scalar.h"

#include "vmath.h"

#include "pack.inc"
