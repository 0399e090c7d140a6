/* renames.h: is every pair of a card's "tensors" of use, and how is it spelt where it is not? */
#ifndef ZOO_MODEL_RENAMES_H
#define ZOO_MODEL_RENAMES_H

#include "model/bound_model.h"

/*
 * After all names were asked for: refuses a pair whose first part is nearly, but not quite, part of
 * a name that the plan wants, or whose second part is nearly part of a stored name, with that name.
 * ZOO_E_FORMAT. [load]
 */
zoo_status zoo_renames_judge(zoo_model *model, zoo_error *err);

#endif
