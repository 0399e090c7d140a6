/* inspect.h: a description of a model, and the tensors that its plan asks for. */
#ifndef ZOO_ENGINE_INSPECT_H
#define ZOO_ENGINE_INSPECT_H

#include <stdio.h>

#include "model/bound_model.h"

/* As zoo_engine_inspect, for a model without an engine. n_wanted: values of all tensors that the
 * plan asks for, where it was laid out from config.json alone. ZOO_E_MEMORY. */
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
