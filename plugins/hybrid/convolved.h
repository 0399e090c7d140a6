/* convolved.h: what the files of layers with convolved branches share (convolved.c). */
#ifndef HYBRID_CONVOLVED_H
#define HYBRID_CONVOLVED_H

#include "blocks/ops.h"
#include "hybrid.h"

typedef struct convolved_params {
    uint32_t width, taps;
    float scale; /* of the sum; 1: none */
} convolved_params;

#endif
