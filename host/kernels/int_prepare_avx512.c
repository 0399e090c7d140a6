/* int_prepare_avx512.c: rows of activations to int8 groups; see int_rows.h. */
#include "v16_avx512.h"

#include "int_rows.h"
#include "vmath.h"

#include "int_prepare.inc"
