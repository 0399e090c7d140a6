/*
 * recalled.h: what recalled_bind.c (params, tensors, words) and recalled.c (forward) share.
 */
#ifndef HYBRID_RECALLED_H
#define HYBRID_RECALLED_H

#include "hybrid.h"

typedef struct recalled_params {
    zoo_experts experts;
    uint32_t width_in, rank, classes; /* classes: experts and the empty one */
    uint32_t recalls;                 /* there is a layer before */
    float eps;
    zoo_rowmap gate_map, up_map;
    const void *memory; /* names the memo */
} recalled_params;

typedef struct recalled_weights {
    zoo_weight down, first, second, out;
    const float *down_bias, *first_bias, *second_bias, *norm, *scale, *balance;
    zoo_expert_weights experts;
} recalled_weights;

extern const zoo_bind hybrid_recalled_binds[];
void hybrid_recalled_explain(const void *params, char *text, size_t n);
void hybrid_recalled_facts(const void *params, const zoo_facts *to);

#endif
