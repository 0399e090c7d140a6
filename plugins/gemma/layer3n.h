/* layer3n.h: weights of the layer of layer3n.c. */
#ifndef GEMMA_LAYER3N_H
#define GEMMA_LAYER3N_H

#include "gemma.h"

typedef struct gemma_layer3n_weights {
    zoo_weight router, predict, correct, left, right, gate, projection;
    const float *router_norm, *laurel_norm, *input_norm, *attn_norm, *ffn_norm, *layer_norm,
        *output_scale;
} gemma_layer3n_weights;

extern const zoo_bind gemma_layer3n_binds[];

#endif
