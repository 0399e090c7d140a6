/*
 * tensor_renames.h: from the names that releases give their tensors to those of the reference's
 * class.
 *
 * `names/<model_type>.json` in the card folder, made by tools/reference/names.py, holds
 *
 *   renames   [[pattern, replacement], ...] or [[pattern, replacement, [prefix, ...]], ...]
 *
 * Every pair is tried in order on what the pairs before it made of the name; a pair with prefixes
 * looks only behind the first prefix that the name has. A replacement that ends in "@i" says that
 * the tensor is part i of the rows of one that the class has whole. Both spellings stay: the new
 * name is a second one, and a tensor that is really called so keeps it.
 */
#ifndef ZOO_CONFIG_TENSOR_RENAMES_H
#define ZOO_CONFIG_TENSOR_RENAMES_H

#include "checkpoint/safetensors.h"

/* Gives the tensors their second names by the file of the first of n_types types that has one in
 * one of the card folders (null-ended, the first that has it); no file is ZOO_OK. ZOO_E_FORMAT
 * names a file that is not of this form. [load] */
zoo_status zoo_tensor_renames_apply(const char *const *card_dirs, const char *const *types,
                                    uint32_t n_types, zoo_tensors *tensors, zoo_error *err);

#endif
