/* pack_avx512.c: rows to panels; see pack.inc. */
#include "v16_avx512.h"

#include "vmath.h"

#include "pack.inc"
