/* kinds_told.h: one line about the kinds that a model's matrices are packed to, and why. */
#ifndef ZOO_MODEL_KINDS_TOLD_H
#define ZOO_MODEL_KINDS_TOLD_H

#include <stdio.h>

#include "model/bound_model.h"

/* Counts a matrix whose kind was chosen (kinds.c); flags: of its bind row. */
void zoo_model_count_kind(zoo_model *model, const zoo_matrix *m, uint32_t flags,
                          const zoo_weight *w);

/* Counts a matrix of stored codes that packing rounds. */
void zoo_model_count_rounded(zoo_model *model, const zoo_matrix *m);

/* The line, without its end: "auto: 36 matrices in bf16, as they are stored". Known after
 * ZOO_BIND_CHECK. */
void zoo_model_tell_kinds(const zoo_model *model, FILE *out);

#endif
