/* open.h: opens a model folder: checked, laid out and bound. */
#ifndef ZOO_MODEL_OPEN_H
#define ZOO_MODEL_OPEN_H

#include "model/bound_model.h"
#include "model/options.h"

/*
 * Fills model, which is zeroed, from the folder; with plan_only no weights are read and there is no
 * pool. The caller gives it to zoo_model_release whatever is returned. ZOO_E_IO: a file is missing
 * or cannot be read. [load]
 */
zoo_status zoo_model_open(zoo_model *model, const char *folder, const zoo_model_options *options,
                          zoo_error *err);

/* Bytes that weights and caches may take: options->memory, else three quarters of the machine's. */
size_t zoo_model_memory_limit(const zoo_model_options *options);

#endif
