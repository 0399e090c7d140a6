/* gemm_float_neon.c: products with f32 and bf16 weights, bf16 widened; see gemm_float.inc. */
#include "kernels/v16_neon.h"

#include "kernels/tile.h"
#include "kernels/vmath.h"

#include "kernels/gemm_float.inc"
