/* gemm_int_avx2.c: products with int8 and int4 weights; see gemm_int.inc. */
#include "vi_avx2.h"

#include "int_rows.h"
#include "share.h"
#include "vmath.h"

#include "gemm_int.inc"
