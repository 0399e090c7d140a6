/* gemm_float_scalar.c: products with f32 and bf16 weights, bf16 widened; see gemm_float.inc. */
#include "v16_scalar.h"

#include "tile.h"
#include "vmath.h"

#include "gemm_float.inc"
