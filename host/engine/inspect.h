/* inspect.h: a model in words, and the tensors that its plan asks for. */
#ifndef ZOO_ENGINE_INSPECT_H
#define ZOO_ENGINE_INSPECT_H

#include <stdio.h>

#include "model/bound_model.h"

/* zoo_engine_inspect of a model that is not open; of one that was laid out from config.json alone
 * with the tensors that it would want, n_wanted values together. ZOO_E_MEMORY. */
zoo_status zoo_model_inspect(const zoo_model *model, uint64_t n_wanted, FILE *out, bool json,
                             zoo_error *err);
/* How each stream is kept, a line for each shape of it: kind, and bits of a value, scales included.
 */
void zoo_model_print_kinds(const zoo_model *model, FILE *out);
/* Prints the tensors that a plan asks for, grouped. ZOO_E_MEMORY. */
zoo_status zoo_inspect_wanted(const zoo_model *model, FILE *out, zoo_error *err);
/* The name with each run of digits as '#', so that one line stands for all layers. */
void zoo_name_skeleton(const char *name, char *out, size_t n);

#endif
