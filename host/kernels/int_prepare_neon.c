/* int_prepare_neon.c: rows of activations to int8 groups; see int_rows.h. */
#include "kernels/v16_neon.h"

#include "kernels/int_rows.h"
#include "kernels/vmath.h"

#include "kernels/int_prepare.inc"
