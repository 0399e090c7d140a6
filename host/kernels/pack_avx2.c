/* pack_avx2.c: rows to panels; see pack.inc. */
#include "v16_avx2.h"

#include "vmath.h"

#include "pack.inc"
