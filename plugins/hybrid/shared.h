/*
 * shared.h: what shared_plan.c (parts of a layer) and shared.c (forward) share: layers that send
 * the stream through a transformer block of which several layers use the same weights.
 */
#ifndef HYBRID_SHARED_H
#define HYBRID_SHARED_H

#include "hybrid.h"

enum { SHARED_PARTS = 10 };

/* Numbers of the parts of a layer; ZOO_NONE: the layer has no such part. */
typedef struct shared_params {
    const void *key; /* of the memo with the embeddings, the same for all layers */
    const zoo_part *parts;
    uint32_t n_parts;
    uint32_t hidden, qkv_rows[3], mlp_rows; /* widths of the adapters' outputs */
    uint32_t in_norm, adapters[3], attention, mid_norm, mlp_adapter, mlp, linear, mixer;
} shared_params;

#endif
