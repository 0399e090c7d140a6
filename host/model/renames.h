/* renames.h: finds misspelt pairs in a card's "tensors". */
#ifndef ZOO_MODEL_RENAMES_H
#define ZOO_MODEL_RENAMES_H

#include "model/bound_model.h"

/*
 * After all tensors were looked up: refuses an unused pair whose first part almost matches part of
 * a name that the plan asks for, or whose second part almost matches part of a stored name, and
 * suggests that name. ZOO_E_FORMAT. [load]
 */
zoo_status zoo_renames_judge(zoo_model *model, zoo_error *err);

#endif
