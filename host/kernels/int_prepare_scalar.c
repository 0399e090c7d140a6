/* int_prepare_scalar.c: rows of activations to int8 groups; see int_rows.h. */
#include "kernels/v16_scalar.h"

#include "kernels/int_rows.h"
#include "kernels/vmath.h"

#include "kernels/int_prepare.inc"
