/* gemm_int_avx512vnni.c: products with int8 and int4 weights; see gemm_int.inc. */
#include "vi_avx512vnni.h"

#include "int_rows.h"
#include "share.h"
#include "vmath.h"

#include "gemm_int.inc"
