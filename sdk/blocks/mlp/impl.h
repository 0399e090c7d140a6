/* impl.h: what bind.c (params and tensors) and mlp.c (forward) share. */
#ifndef ZOO_BLOCKS_MLP_IMPL_H
#define ZOO_BLOCKS_MLP_IMPL_H

#include "blocks/mlp/mlp.h"

extern const zoo_bind zoo_mlp_binds[];

#endif
