/* gemm_int_avx2.c: products with integer weights; see gemm_int.inc. */
#include "kernels/vi_avx2.h"

#include "kernels/int_rows.h"
#include "kernels/share.h"
#include "kernels/vmath.h"

#include "kernels/gemm_int.inc"
