/*
 * random_weights.h: a checkpoint of random numbers for a plan, so that a plugin can be run before
 * anybody has weights.
 */
#ifndef ZOO_ADDING_RANDOM_WEIGHTS_H
#define ZOO_ADDING_RANDOM_WEIGHTS_H

#include "explain/arch.h"

/* At most so many parameters are made. */
enum { ZOO_RANDOM_PARAMS_MAX = 64 << 20 };

/*
 * Writes <folder>/model.safetensors with every tensor that the plan binds, under the names and
 * shapes of its bind tables, renamed as the card says: matrices normal / sqrt(columns), norms
 * around one, other vectors around zero. ZOO_E_LIMIT: the model is too large. [load]
 */
zoo_status zoo_random_weights(zoo_arch *arch, const char *folder, zoo_error *err);

#endif
