/* int_prepare_avx512.c: rows of activations to int8 groups; see int_rows.h. */
#include "kernels/v16_avx512.h"

#include "kernels/int_rows.h"
#include "kernels/vmath.h"

#include "kernels/int_prepare.inc"
