/*
 * bind.c: the tensors of attention as a bind table. Which rows exist stands in zoo_gqa.when,
 * set by params.c.
 */
#include "blocks/gqa/impl.h"
#include "blocks/rows.h"

/* clang-format off */
const zoo_bind zoo_gqa_binds[] = {
#include "blocks/gqa/binds.inc"
    {0}};
/* clang-format on */
