/* int_prepare_scalar.c: rows of activations to int8 groups; see int_rows.h. */
#include "v16_scalar.h"

#include "int_rows.h"
#include "vmath.h"

#include "int_prepare.inc"
