/* gemm_float_avx2.c: products with f32 and bf16 weights, bf16 widened; see gemm_float.inc. */
#include "v16_avx2.h"

#include "tile.h"
#include "vmath.h"

#include "gemm_float.inc"
