/* gemm_int_avxvnni.c: products with int8 and int4 weights; see gemm_int.inc. */
#include "vi_avxvnni.h"

#include "int_rows.h"
#include "share.h"
#include "vmath.h"

#include "gemm_int.inc"
