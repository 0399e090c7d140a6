/* mlp_impl.h: between mlp_bind.c (params and tensors) and mlp.c (a step). */
#ifndef ZOO_BLOCKS_MLP_IMPL_H
#define ZOO_BLOCKS_MLP_IMPL_H

#include "mlp.h"

extern const zoo_bind zoo_mlp_binds[];

#endif
